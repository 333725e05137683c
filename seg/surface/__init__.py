"""The visible surface: depth and normals."""

from seg.surface import datasets, losses, metric, models, pictures, transforms  # noqa: F401
