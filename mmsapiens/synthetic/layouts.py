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
from dataclasses import dataclass
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
Splits = Mapping[Split, str]
Values = Callable[[Render], np.ndarray]
Draw = Callable[[np.random.Generator, float], Scene]
MOST_PEOPLE = 4
_ONE_SPLIT: Splits = {"train": ""}
_TRAIN_AND_VAL: Splits = {"train": "train", "val": "val"}
_image: Values = attrgetter("image")


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

    draw: Draw
    files: Mapping[str, Values]
    splits: Splits
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


def _parts(
    draw: Draw, table: Mapping[str, int], image: str, labels: str, splits: Splits = _ONE_SPLIT
) -> Layout:
    return Layout(draw, {image: _image, labels: partial(Render.labels, table=table)}, splits)


def _surface(path: str, values_of: Values) -> Layout:
    files = {"images/{name}.png": _image, "masks/{name}.png": _mask, path: values_of}
    return Layout(sample_person, files, _ONE_SPLIT)


def _mask(picture: Render) -> np.ndarray:
    return (picture.person > 0).astype(np.uint8) * 255


def _depth(picture: Render) -> np.ndarray:
    return np.where(picture.person > 0, picture.depth, np.float32(0))


def _pose(draw: Draw, annotations: Annotations) -> Layout:
    return Layout(draw, {"images/{split}/{name}.jpg": _image}, _TRAIN_AND_VAL, annotations)


LAYOUTS: dict[str, Layout] = {
    "face": _parts(_head, FACE_LABELS, "{name}.png", "{name}_seg.png"),
    "goliath": _parts(
        sample_person, GOLIATH_LABELS, "images/{name}.jpg", "segmentations/{name}.png"
    ),
    "lip": _parts(
        sample_person,
        LIP_LABELS,
        "images/{split}_images/{name}.jpg",
        "segmentations/{split}_segmentations/{name}.png",
        _TRAIN_AND_VAL,
    ),
    "cihp": _parts(
        _person_or_group,
        CIHP_LABELS,
        "{split}/Images/{name}.jpg",
        "{split}/Category_ids/{name}.png",
        {"train": "Training", "val": "Validation"},
    ),
    "depth": _surface("depths/{name}.npy", _depth),
    "normal": _surface("normals/{name}.npy", attrgetter("normal")),
    "coco": _pose(_group, Annotations("person_keypoints", COCO)),
    "coco_wholebody": _pose(_group, Annotations("coco_wholebody", COCO_WHOLEBODY)),
    "goliath_pose": _pose(
        sample_person, Annotations("person_keypoints", GOLIATH, "goliath_wholebody_kpts")
    ),
}
"""All layouts, by name."""
