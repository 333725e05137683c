"""Synthetic people: pictures of stylised persons with exact labels, for tests and quick starts.

::

    scene = sample_person(np.random.default_rng(0))
    picture = render(scene, size_hw=(1024, 768))
    parts = picture.labels(GOLIATH_LABELS)
    keypoints = keypoints_of(picture, ["nose", "left_eye", "right_eye"])

The tables of classes are in :mod:`.labels`: they take the datasets' names, and so import PyTorch,
which drawing does not need.
"""

from .body import sample_group, sample_person
from .head import sample_head
from .keypoint_names import keypoints_of
from .render import Render, render
from .scene import Scene

__all__ = [
    "Render",
    "Scene",
    "keypoints_of",
    "render",
    "sample_group",
    "sample_head",
    "sample_person",
]
