"""Synthetic people: pictures of stylised persons with exact labels, for tests and quick starts.

::

    scene = sample_head(np.random.default_rng(0))
    picture = render(scene, size_hw=(512, 512))
    labels = picture.labels(FACE_LABELS)
"""

from .head import sample_head
from .labels import FACE_CLASSES, FACE_LABELS
from .render import Render, render
from .scene import Scene

__all__ = ["FACE_CLASSES", "FACE_LABELS", "Render", "Scene", "render", "sample_head"]
