"""The visible surface: depth and normals."""

from seg.surface import datasets, metric, models, pictures, transforms, writer  # noqa: F401
