"""Images with a mask, and a map of the surface inside it: depth or normals."""

from __future__ import annotations

import itertools
import logging
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from engine.data.files import MASK_SUFFIXES
from engine.errors import ConfigError, DataError
from seg.paired import PairedDataset
from seg.registry import DATASETS
from seg.surface.depth_traits import TRAITS, depth_traits
from seg.surface.reading import NormalAxes, axis_signs, read_mask, read_normal

_MASKS = ("mask_path", MASK_SUFFIXES, "mask")
"""Png or npy, not zero on the person."""


NUM_CHECKED = 4
MIN_FACING = 0.9
STRIDE = 4  # of the pixels that are looked at, along both axes


@DATASETS.register_module()
class DepthGeneralDataset(PairedDataset):
    """``images/``, ``masks/`` and ``depths/``: npy (H, W), exr, or grey png of 16 bits.

    Larger is farther, in any unit: training takes it relative to the mask of each picture. What is
    odd about the first samples is said when the dataset is read.

    Args:
        depth_scale: Factor of all depths, such as 0.001 for png files in millimetres.
        **kwargs: ``data_root``, ``split``, ``val_ratio``, ``val_list``, ...: see
            :class:`seg.paired.PairedDataset`.
    """

    folders = ("images", "masks", "depths")
    partners: ClassVar = (_MASKS, ("depth_path", (".npy", ".exr", ".png"), "depth"))

    def __init__(self, depth_scale: float = 1.0, **kwargs: Any) -> None:
        if not depth_scale > 0:
            raise ConfigError(f"depth_scale is positive, larger is farther; found {depth_scale!r}.")
        self.file_options = {"depth_scale": depth_scale}
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Returns the records of the split, sorted by name, after a look at their depths."""
        records = super().load_data_list()
        warn_of_traits(records[:NUM_CHECKED])
        return records


@DATASETS.register_module()
class RenderPeopleDataset(DepthGeneralDataset):
    """The same as ``rgb/``, ``mask/`` and ``depth/``."""

    folders = ("rgb", "mask", "depth")


@DATASETS.register_module()
class NormalGeneralDataset(PairedDataset):
    """``images/``, ``masks/`` and ``normals/``: npy (H, W, 3), unit vectors X, Y, Z.

    Surfaces that are seen face the camera. Whether they do in the files shows if the axes are what
    the config says; the first samples are looked at for this when the dataset is read.

    Args:
        axes: Camera axes of the files: ``"x right, y up, z towards"`` (the camera), ``"x right, y
            down, z away"``, or with other signs of y and z. See docs/normals.md.
        **kwargs: As for :class:`DepthGeneralDataset`.

    Raises:
        DataError: If less than 90 % of the normals face the camera.
    """

    folders = ("images", "masks", "normals")
    partners: ClassVar = (_MASKS, ("normal_path", (".npy",), "normal"))

    def __init__(self, axes: NormalAxes = "x right, y up, z towards", **kwargs: Any) -> None:
        axis_signs(axes)  # unknown ones fail here
        self.axes = axes
        self.file_options = {"normal_axes": axes}
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Returns the records of the split, sorted by name, after a look at their axes."""
        records = super().load_data_list()
        check_facing(records[:NUM_CHECKED], self.axes)
        return records


@DATASETS.register_module()
class NormalRenderPeopleDataset(NormalGeneralDataset):
    """The same as ``rgb/``, ``mask/`` and ``normal/``."""

    folders = ("rgb", "mask", "normal")


def warn_of_traits(records: list[dict]) -> None:
    """Warns of what is odd about the depth of some records; files that cannot be read pass."""
    warned: set[str] = set()
    for record in records:
        try:
            mask = read_mask(record["mask_path"])
            traits = depth_traits(record["depth_path"], mask)
        except (DataError, IndexError):
            continue  # LoadMask or LoadDepth says so, or the dataset passes over it
        for kind in sorted(traits - warned):
            message = f"{record['depth_path']}: {TRAITS[kind]}. mmsapiens check finds all of them."
            print_log(message, "current", logging.WARNING)
        warned |= traits


def check_facing(records: list[dict], axes: NormalAxes) -> None:
    """Checks that the masked normals of some records face the camera.

    Raises:
        DataError: If fewer than 90 % do; it names what order and signs of channels would fit.
    """
    normals, places = [], []
    for record in records:
        try:
            mask = read_mask(record["mask_path"])
            normal = read_normal(record["normal_path"], axis_signs(axes))
        except DataError:
            continue  # LoadMask or LoadNormal says so, or the dataset passes over it
        if mask.shape != normal.shape[:2]:
            continue  # LoadNormal says so, with the image's size
        y, x = np.nonzero(mask[::STRIDE, ::STRIDE])
        values = normal[::STRIDE, ::STRIDE][y, x]
        known = np.isfinite(values).all(axis=1)
        if known.any():
            normals.append(values[known])
            places.append(np.stack([x - x.mean(), y.mean() - y], axis=1)[known])
    if not normals:
        return
    found = np.concatenate(normals)
    facing = float((found[:, 2] > 0).mean())
    if facing < MIN_FACING:
        in_files = found * axis_signs(axes)
        raise DataError(
            f"{records[0]['normal_path']} and the next {len(records) - 1}: only {facing:.0%} of "
            f"the normals inside the masks face the camera, if their axes are {axes!r}; at least "
            f"{MIN_FACING:.0%} should. {_explain(in_files, np.concatenate(places))}"
        )


def _explain(normals: NDArray, places: NDArray) -> str:
    """Says what would fit.

    On a body's outline normals point outwards: x grows to the right, and y upwards.

    Args:
        normals: (N, 3) as in the files.
        places: (N, 2), how far to the right of the mask's centre, and how far up.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # a constant channel correlates with none
        outwards = np.nan_to_num(np.corrcoef(normals, places, rowvar=False)[3:, :3])  # (2, 3)
    share = (normals > 0).mean(axis=0)
    seen = np.maximum(share, 1 - share)
    order = max(
        (p for p in itertools.permutations(range(3)) if seen[p[2]] >= MIN_FACING),
        key=lambda p: outwards[0, p[0]] + abs(outwards[1, p[1]]),
        default=None,
    )
    if order is None:
        return (
            "No channel faces the camera in any sign. Are they in world instead of camera "
            "coordinates, or scaled to [0, 1]?"
        )
    y = "up" if outwards[1, order[1]] > 0 else "down"
    z = "towards" if share[order[2]] > 0.5 else "away"
    fitting = f'axes="x right, y {y}, z {z}"'
    if order == (0, 1, 2):
        return f"The sign of z would fit {fitting}."
    channels = "".join("XYZ"[order.index(channel)] for channel in range(3))
    index = ", ".join(map(str, order))
    return (
        f"The channels look like {channels} instead of XYZ: save normal[..., [{index}]], and set "
        f"{fitting}."
    )
