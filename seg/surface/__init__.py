"""The visible surface: depth and normals."""

from seg.surface import datasets, loading, metric, models, pictures, targets, writer  # noqa: F401
