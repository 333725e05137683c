"""Checks people with keypoints: is the image the one that was annotated, do they lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.data.sample import Sample
from mmsapiens.preflight.check import Case, Finding, Item, Summary, extent, extent_table
from pose.transforms.boxes import size_difference


class PersonFacts(NamedTuple):
    """What is measured of a person.

    Attributes:
        difference: How the image differs from the size of its annotation; empty if it does not.
        labelled: Number of labelled keypoints; None of a detected box, which has none.
        outside: How many of them lie outside the annotated image.
        off_box: Whether most of them lie outside the annotated box.
    """

    difference: str
    labelled: int | None
    outside: int
    off_box: bool


class PeopleCheck:
    """Images of the annotated size, and keypoints within them."""

    name = "keypoints"
    key = "annotated_size_hw"

    def measure(self, sample: Sample) -> PersonFacts:
        """Compares a person with the image, if that could be read."""
        difference = size_difference(sample) if "ori_size_hw" in sample else ""
        if "keypoints" not in sample:
            return PersonFacts(difference, None, 0, off_box=False)
        points = sample["keypoints"][0][sample["keypoints_visible"][0] > 0]
        size_wh = np.array(sample["annotated_size_hw"][::-1])
        outside = ((points < -0.5) | (points > size_wh)).any(axis=1)
        upper_left, lower_right = sample["bbox"][0].reshape(2, 2)
        in_box = ((points > upper_left - 1) & (points < lower_right + 1)).all(axis=1)
        off_box = bool(in_box.sum() < len(points) / 2)
        return PersonFacts(difference, len(points), int(outside.sum()), off_box)

    def summarise(self, metainfo: dict, measured: Sequence[tuple[Item, PersonFacts]]) -> Summary:
        """Lists images of another size and keypoints outside, and counts keypoints."""
        resized = {item.path: f.difference for item, f in measured if f.difference}
        outside = [(i, f": {f.outside} of {f.labelled}") for i, f in measured if f.outside]
        off_box = [(i, "") for i, f in measured if f.off_box]
        findings = [
            Finding(
                "size-mismatch",
                "fault",
                "images of another size than their annotation; all labels are wrong",
                tuple(Case(path, detail) for path, detail in resized.items()),
            ),
            Finding(
                "outside",
                "note",
                "people with labelled keypoints outside their image",
                _cases(outside),
            ),
            Finding(
                "off-box",
                "note",
                "people with most labelled keypoints outside their box; are both in pixels?",
                _cases(off_box),
            ),
        ]
        labelled = [facts.labelled for _, facts in measured if facts.labelled is not None]
        figures = {"labelled": extent(labelled)} if labelled else {}
        tables = [extent_table("keypoints of a person", figures, "{:g}")] if labelled else []
        return Summary([f for f in findings if f.cases], figures, tables)


def _cases(found: Sequence[tuple[Item, str]]) -> tuple[Case, ...]:
    return tuple(Case(i.path, f"annotation {i.record.get('id')}{detail}") for i, detail in found)
