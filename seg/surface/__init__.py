"""The visible surface: depth and normals."""

from seg.surface import datasets, metric, models, pictures, transforms  # noqa: F401
