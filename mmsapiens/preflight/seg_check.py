"""Checks label maps: sizes, ids, how often each class occurs, left and right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.data.loading import IGNORE_INDEX, map_labels, read_labels
from engine.data.mirror import pairs_of
from engine.data.sample import Sample
from engine.tables import format_table
from mmsapiens.preflight.check import Case, Finding, Item, Summary
from mmsapiens.preflight.flip_audit import ClassPlaces, audit_flip_pairs

WEIGHT_RANGE = (0.1, 10.0)


class SegFacts(NamedTuple):
    """What is measured of a label map; the arrays (n,) have an entry a label that occurs.

    Attributes:
        size_hw: Its size.
        image_hw: Size of the image after EXIF rotation; None if that could not be read.
        labels: Ids after the dataset's ``label_map``.
        pixels: How many have the label.
        x: Their mean position from the left (0) to the right edge (1).
        y: From the top (0) to the bottom (1).
    """

    size_hw: tuple[int, int]
    image_hw: tuple[int, int] | None
    labels: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    x: NDArray[np.float32]
    y: NDArray[np.float32]


class SegMapCheck:
    """Label maps that fit their images and classes, class frequencies, and the flip pairs."""

    name = "seg_map"
    key = "seg_map_path"

    def measure(self, sample: Sample) -> SegFacts:
        """Reads ``seg_map`` and measures it."""
        raw = read_labels(sample["seg_map_path"], sample.get("color_map"))
        labels = map_labels(raw, sample.get("label_map"))
        sample["seg_map"] = labels
        columns, rows = _histograms(labels)
        pixels = columns.sum(axis=1)
        present = np.flatnonzero(pixels)
        x, y = (
            (counts[present] @ ((np.arange(n) + 0.5) / n) / pixels[present]).astype(np.float32)
            for counts, n in ((columns, labels.shape[1]), (rows, labels.shape[0]))
        )
        return SegFacts(
            labels.shape, sample.get("ori_size_hw"), present.astype(np.uint8), pixels[present], x, y
        )

    def summarise(self, metainfo: dict, measured: Sequence[tuple[Item, SegFacts]]) -> Summary:
        """Lists maps that do not fit, counts the classes, and audits the flip pairs."""
        ignore_index = metainfo.get("ignore_index")
        ignore_index = IGNORE_INDEX if ignore_index is None else ignore_index
        classes = metainfo["classes"]
        findings = [
            *_misfits(measured, len(classes), ignore_index),
            _absent([facts for _, facts in measured], classes, ignore_index),
        ]
        facts = [facts for _, facts in measured]
        pixels, x, y = _by_class(facts, len(classes))
        total = sum(int(f.pixels.sum()) for f in facts)
        ignored = sum(int(f.pixels[f.labels == ignore_index].sum()) for f in facts)
        frequencies = {"ignored_share": ignored / total, **_frequencies(pixels, total)}
        places = ClassPlaces(
            classes,
            [item for item, _ in measured],
            pixels / np.array([f.pixels.sum() for f in facts])[:, None],
            x,
            y,
        )
        audit = audit_flip_pairs(places, pairs_of(metainfo, "classes") or ())
        return Summary(
            [f for f in (*findings, *audit.findings) if f.cases],
            {**frequencies, **audit.figures},
            [_class_table(classes, frequencies), *audit.tables],
        )


def _histograms(labels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each label occurs in each column (256, W) and in each row (256, H)."""
    height, width = labels.shape
    wide = labels.astype(np.int64)
    columns = np.bincount((wide * width + np.arange(width)).ravel(), minlength=256 * width)
    rows = np.bincount((wide * height + np.arange(height)[:, None]).ravel(), minlength=256 * height)
    return columns.reshape(256, width), rows.reshape(256, height)


def _by_class(facts: Sequence[SegFacts], num_classes: int) -> NDArray[np.float64]:
    """Lays pixels, x and y out as tables (3, N, C); x and y are NaN where a class is absent."""
    tables = np.full((3, len(facts), 256), np.nan)
    tables[0] = 0
    for row, (_, _, present, *values) in enumerate(facts):
        tables[:, row, present] = values
    return tables[..., :num_classes]


def _misfits(
    measured: Sequence[tuple[Item, SegFacts]], num_classes: int, ignore_index: int
) -> list[Finding]:
    sizes, strange, ignored = [], [], []
    for item, facts in measured:
        path = item.record["seg_map_path"]
        if facts.image_hw is not None and facts.size_hw != tuple(facts.image_hw):
            detail = "{}x{}, image {}x{} (height x width)".format(*facts.size_hw, *facts.image_hw)
            sizes.append(Case(path, detail, item.path))
        unknown = facts.labels[(facts.labels >= num_classes) & (facts.labels != ignore_index)]
        if len(unknown):
            strange.append(Case(path, f"labels {', '.join(map(str, unknown))}", item.path))
        if facts.labels.tolist() == [ignore_index]:
            ignored.append(Case(path, "", item.path))
    ids = f"0..{num_classes - 1}, {ignore_index} = ignored"
    return [
        Finding(
            "size-mismatch",
            "fault",
            "label maps of another size than their image; resize one (labels: nearest neighbour)",
            tuple(sizes),
        ),
        Finding(
            "unknown-label",
            "fault",
            f"labels that are no class ({ids}); mend the files, or map them with label_map",
            tuple(strange),
        ),
        Finding(
            "all-ignored", "fault", "label maps without any label; remove them", tuple(ignored)
        ),
    ]


def _absent(facts: Sequence[SegFacts], classes: Sequence[str], ignore_index: int) -> Finding:
    """Classes without a pixel; a binary mask of 0 and 255 has one, as 255 is ignored."""
    occurring = set(np.concatenate([f.labels for f in facts]).tolist())
    absent = [i for i in range(len(classes)) if i not in occurring]
    hint = ""
    if len(absent) == 1 and ignore_index in occurring:
        hint = (
            f"is it what {ignore_index} stands for? Then label_map={{{ignore_index}: {absent[0]}}}"
        )
    return Finding(
        "absent-class",
        "fault",
        "classes without a pixel in any file: nothing teaches them; map the labels that stand for "
        "them with label_map, or take them out of the classes",
        tuple(Case(classes[i], hint) for i in absent),
    )


def _frequencies(pixels: NDArray[np.float64], total: int) -> dict[str, Any]:
    """Class frequencies, and weights by median frequency balancing.

    Eigen and Fergus, 2015, section 6.3.2: weight(c) = median of freq / freq(c), where freq(c) is
    the share of c among the labelled pixels of the images in which c occurs. Weights are clipped
    to WEIGHT_RANGE; a class that never occurs gets 1.

    Args:
        pixels: Of each image and class (N, C).
        total: All pixels, unlabelled ones included.
    """
    occurs = pixels > 0
    images = occurs.sum(axis=0)
    frequency = pixels.sum(axis=0) / np.maximum(pixels.sum(axis=1) @ occurs, 1)
    median = np.median(frequency[images > 0]) if images.any() else 1.0
    weights = np.ones(len(frequency))
    np.divide(median, frequency, out=weights, where=images > 0)
    return {
        "class_pixel_share": (pixels.sum(axis=0) / total).tolist(),
        "class_images": images.tolist(),
        "class_weight": weights.clip(*WEIGHT_RANGE).round(4).tolist(),
        "class_weight_formula": "median frequency balancing (Eigen & Fergus, 2015, section 6.3.2): "
        f"median(freq) / freq, clipped to {WEIGHT_RANGE}",
    }


def _class_table(classes: Sequence[str], frequencies: dict[str, Any]) -> str:
    columns = [frequencies[f"class_{what}"] for what in ("pixel_share", "images", "weight")]
    rows = [
        (name, str(i), f"{share:.3%}", str(images), f"{weight:.3f}" if images else "-")
        for i, (name, share, images, weight) in enumerate(zip(classes, *columns, strict=True))
    ]
    ignored = ("ignored", "", f"{frequencies['ignored_share']:.3%}", "", "")
    title = f"classes; weights by {frequencies['class_weight_formula']}"
    header = ("class", "id", "pixels", "images", "weight")
    return f"{title}\n{format_table(header, [*rows, ignored])}"
