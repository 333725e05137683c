"""Labels: body parts, faces, classes of your own."""

from seg.parts import datasets, metric, models, pictures, writer  # noqa: F401
