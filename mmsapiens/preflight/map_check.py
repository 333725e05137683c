"""Checks masks, depth and normals: what training would stop at is found before it."""

from __future__ import annotations

from collections.abc import Sequence

from mmcv.transforms import BaseTransform

from engine.data.sample import Sample
from engine.errors import DataError
from mmsapiens.preflight.check import Item, Summary, extent, extent_table
from seg.surface.transforms import LoadDepth, LoadMask, LoadNormal


class MapCheck:
    """Loads a field as training does; its errors are the report's.

    Args:
        name: Of the field: mask, depth or normal.
        load: The transform that reads it.
    """

    def __init__(self, name: str, load: BaseTransform) -> None:
        self.name = name
        self.key = f"{name}_path"
        self.load = load

    def measure(self, sample: Sample) -> float:
        """Loads the field; returns the share of the image that is in the mask."""
        needed, what = ("ori_size_hw", "image") if self.name == "mask" else ("mask", "mask")
        if needed not in sample:
            raise DataError(f"is not checked, as its {what} cannot be read.")
        self.load(sample)
        return float((sample["mask"] > 0).mean())

    def summarise(self, metainfo: dict, measured: Sequence[tuple[Item, float]]) -> Summary:
        """Tells how much of the images is in the mask; faults are what could not be read."""
        shares = [share for _, share in measured]
        if self.name != "mask" or not shares:
            return Summary([], {}, [])
        figures = {"foreground": extent(shares)}
        table = extent_table("share of an image in its mask", figures, "{:.1%}")
        return Summary([], figures, [table])


MAP_CHECKS = (
    MapCheck("mask", LoadMask()),
    MapCheck("depth", LoadDepth()),
    MapCheck("normal", LoadNormal()),
)
"""In the order of a pipeline."""
