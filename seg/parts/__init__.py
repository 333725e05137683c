"""Labels: body parts, faces, classes of your own."""

from seg.parts import datasets, hooks, metric, models, pictures, writer  # noqa: F401
