"""The visible surface: depth and normals."""

from seg.surface import datasets, metric, models, pictures, targets, writer  # noqa: F401
