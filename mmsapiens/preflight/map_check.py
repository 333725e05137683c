"""Checks masks, depth and normals: what training would stop at is found before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from mmcv.transforms import BaseTransform

from engine.data.sample import Sample
from engine.errors import DataError
from mmsapiens.preflight.check import Case, Finding, Item, Summary, extent, extent_table
from seg.surface.depth_traits import TRAITS, depth_traits
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

    def measure(self, sample: Sample) -> Any:
        """Loads the field; returns the share of the image that is in the mask."""
        needed, what = ("ori_size_hw", "image") if self.name == "mask" else ("mask", "mask")
        if needed not in sample:
            raise DataError(f"is not checked, as its {what} cannot be read.")
        self.load(sample)
        return float((sample["mask"] > 0).mean())

    def summarise(self, metainfo: dict, measured: Sequence[tuple[Item, Any]]) -> Summary:
        """Tells how much of the images is in the mask; faults are what could not be read."""
        shares = [share for _, share in measured]
        if self.name != "mask" or not shares:
            return Summary([], {}, [])
        figures = {"foreground": extent(shares)}
        table = extent_table("share of an image in its mask", figures, "{:.1%}")
        return Summary([], figures, [table])


class DepthCheck(MapCheck):
    """Also tells what is odd about depth; a wrong sign would spoil a training."""

    def measure(self, sample: Sample) -> Any:
        """Loads the field; returns its traits."""
        super().measure(sample)
        return depth_traits(sample["depth_path"], sample["mask"])

    def summarise(self, metainfo: dict, measured: Sequence[tuple[Item, Any]]) -> Summary:
        """Lists the files by trait."""
        findings = []
        for kind, message in TRAITS.items():
            items = [item for item, traits in measured if kind in traits]
            cases = tuple(Case(item.record[self.key], "", item.path) for item in items)
            level: Literal["fault", "note"] = "fault" if kind == "negative-depth" else "note"
            findings.append(Finding(kind, level, message, cases))
        figures = {"traits": {finding.kind: len(finding.cases) for finding in findings}}
        return Summary([f for f in findings if f.cases], figures, [])


MAP_CHECKS = (
    MapCheck("mask", LoadMask()),
    DepthCheck("depth", LoadDepth()),
    MapCheck("normal", LoadNormal()),
)
"""In the order of a pipeline."""
