"""The layouts of the real datasets that synthetic people are written in.

* ``face``: FaceSynthetics (Wood et al., 2021). The landmark files ``NNNNNN_ldmks.txt`` of the real
  data hold 70 points in a definition of their own, and are left out.
* ``goliath``, ``lip``, ``cihp``: body parts; label maps are 8-bit PNG, in which 255 is ignored.
* ``depth``: (H, W) float32, in heights of a head / 2.3 from the camera's plane, larger is farther;
  0 outside the mask, which is 255 on the person and 0 elsewhere.
* ``normal``: (H, W, 3) float32, unit vectors X, Y, Z with x to the right, y down and z away from
  the camera, so that surfaces that are seen have Z <= 0; 0 outside the mask.
* ``coco``, ``coco_wholebody``, ``goliath_pose``: keypoints, see ``annotations.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Literal

import numpy as np

from pose.metainfo import COCO, COCO_WHOLEBODY, GOLIATH

from .annotations import Annotations
from .body import sample_group, sample_person
from .head import sample_head
from .labels import CIHP_LABELS, FACE_LABELS, GOLIATH_LABELS, LIP_LABELS
from .render import Render
from .scene import Scene

Split = Literal["train", "val"]
MOST_PEOPLE = 4


@dataclass(frozen=True)
class Layout:
    """How a dataset is written.

    Args:
        draw: Draws the scene of a picture, from a generator and the variety.
        files: What is written of each picture, by its path below the dataset's folder, in which
            ``{split}`` and ``{name}`` stand for the split and the picture.
        splits: What the paths call the splits that the dataset has.
        annotations: What is written of a split besides.
    """

    draw: Callable[[np.random.Generator, float], Scene]
    files: Mapping[str, Callable[[Render], np.ndarray]]
    splits: Mapping[Split, str] = field(default_factory=lambda: {"train": ""})
    annotations: Annotations | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        """Match all files of the layout, below the dataset's folder."""
        name = "[0-9]" * (12 if self.annotations else 6)
        paths = (*self.files, *([self.annotations.path] if self.annotations else []))
        return tuple(p.format(split=s, name=name) for p in paths for s in self.splits.values())


def _head(rng: np.random.Generator, variety: float) -> Scene:
    """A head, which knows no variety."""
    return sample_head(rng)


def _group(rng: np.random.Generator, variety: float) -> Scene:
    return sample_group(rng, int(rng.integers(1, MOST_PEOPLE + 1)), variety)


def _person_or_group(rng: np.random.Generator, variety: float) -> Scene:
    """As a group, but a person alone may be seen from near."""
    num = int(rng.integers(1, MOST_PEOPLE + 1))
    return sample_person(rng, variety) if num == 1 else sample_group(rng, num, variety)


def _mask(picture: Render) -> np.ndarray:
    return (picture.person > 0).astype(np.uint8) * 255


def _depth(picture: Render) -> np.ndarray:
    return np.where(picture.person > 0, picture.depth, np.float32(0))


_image = attrgetter("image")
_SPLITS: dict[Split, str] = {"train": "train", "val": "val"}
_PEOPLE = "annotations/person_keypoints_{split}.json"

LAYOUTS: dict[str, Layout] = {
    "face": Layout(
        _head,
        {"{name}.png": _image, "{name}_seg.png": partial(Render.labels, table=FACE_LABELS)},
    ),
    "goliath": Layout(
        sample_person,
        {
            "images/{name}.jpg": _image,
            "segmentations/{name}.png": partial(Render.labels, table=GOLIATH_LABELS),
        },
    ),
    "lip": Layout(
        sample_person,
        {
            "images/{split}_images/{name}.jpg": _image,
            "segmentations/{split}_segmentations/{name}.png": partial(
                Render.labels, table=LIP_LABELS
            ),
        },
        _SPLITS,
    ),
    "cihp": Layout(
        _person_or_group,
        {
            "{split}/Images/{name}.jpg": _image,
            "{split}/Category_ids/{name}.png": partial(Render.labels, table=CIHP_LABELS),
        },
        {"train": "Training", "val": "Validation"},
    ),
    "depth": Layout(
        sample_person,
        {"images/{name}.png": _image, "masks/{name}.png": _mask, "depths/{name}.npy": _depth},
    ),
    "normal": Layout(
        sample_person,
        {
            "images/{name}.png": _image,
            "masks/{name}.png": _mask,
            "normals/{name}.npy": attrgetter("normal"),
        },
    ),
    "coco": Layout(
        _group,
        {"images/{split}/{name}.jpg": _image},
        _SPLITS,
        Annotations(_PEOPLE, COCO.keypoints, {"body": range(len(COCO.keypoints))}),
    ),
    "coco_wholebody": Layout(
        _group,
        {"images/{split}/{name}.jpg": _image},
        _SPLITS,
        Annotations(
            "annotations/coco_wholebody_{split}.json",
            COCO_WHOLEBODY.keypoints,
            COCO_WHOLEBODY.groups,
        ),
    ),
    "goliath_pose": Layout(
        sample_person,
        {"images/{split}/{name}.jpg": _image},
        _SPLITS,
        Annotations(_PEOPLE, GOLIATH.keypoints, GOLIATH.groups, "goliath_wholebody_kpts"),
    ),
}
"""All layouts, by name."""
