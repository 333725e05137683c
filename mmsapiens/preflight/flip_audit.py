"""Looks for left/right faults in label maps, from where the classes lie.

A mirrored image must have its left and right labels exchanged. Images that were mirrored without,
and pairs of classes that nobody declared, raise no error anywhere; they only make the model worse.
But over a dataset the two sides of a pair have similar areas, lie at similar heights, and lie in
the same order from left to right in most images.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.tables import format_table
from mmsapiens.preflight.check import MIN_IMAGES, Case, Finding, Item, Summary

MIN_OFFSET = 0.02
"""In an image, sides closer than this share of its width have no order."""
MIN_TYPICAL_OFFSET = 0.05
"""Classes that look like a pair are further apart than this in most images."""
MIN_AGREEMENT = 0.8
"""Classes that look like a pair have the same order in this share of the images."""
MAX_AREA_RATIO = 1.5
MAX_ASYMMETRY = 0.25
"""Of the means of a pair, relative to their distance: off the centre, and in height."""
CLEARLY_BETTER = 2.0
"""A class has another partner than declared if that one is so many times as symmetric."""


class ClassPlaces(NamedTuple):
    """Where the classes lie in each image.

    Attributes:
        classes: Names of the C classes.
        items: The N images.
        area: Share of the image's pixels (N, C).
        x: Mean position (N, C) from the left (0) to the right edge (1); NaN where absent.
        y: From the top (0) to the bottom (1).
    """

    classes: Sequence[str]
    items: list[Item]
    area: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def name_of(self, a: int, b: int) -> str:
        """How a pair is called."""
        return f"{self.classes[a]} / {self.classes[b]}"

    def says_left(self, a: int) -> bool:
        """Whether the class is named as one of the left side."""
        return self.classes[a].lower().startswith("left")


class PairStatistics(NamedTuple):
    """How two classes lie to each other in the images that show both.

    Attributes:
        images: Number of these.
        offset: Mean of x_a - x_b.
        agreement: Share of the images with an order that have the more frequent one; 0 if none.
        area_ratio: Mean area of a to that of b.
        asymmetry: How far the means are from mirrored, in image sizes: |x_a + x_b - 1| +
            |y_a - y_b|.
    """

    images: int
    offset: float
    agreement: float
    area_ratio: float
    asymmetry: float

    @property
    def looks_mirrored(self) -> bool:
        """Whether these are the sides of something."""
        return (
            self.images >= MIN_IMAGES
            and abs(self.offset) >= MIN_TYPICAL_OFFSET
            and self.agreement >= MIN_AGREEMENT
            and abs(np.log(self.area_ratio)) <= np.log(MAX_AREA_RATIO)
            and self.asymmetry <= MAX_ASYMMETRY * abs(self.offset)
        )


def audit_flip_pairs(places: ClassPlaces, pairs: Sequence[tuple[int, int]]) -> Summary:
    """Compares the declared flip pairs with where the classes lie.

    Args:
        places: Where they lie.
        pairs: The declared pairs of ids.
    """
    pairs = [(b, a) if places.says_left(b) else (a, b) for a, b in pairs]
    declared = {pair: pair_statistics(places, *pair) for pair in pairs}
    findings = [
        _swapped_images(places, pairs),
        _reversed_pairs(places, declared),
        _forgotten_pairs(places, pairs),
        _wrong_partners(places, declared),
    ]
    rows = [(places.name_of(*pair), s) for pair, s in declared.items()]
    figures: dict[str, Any] = {name: s._asdict() for name, s in rows}
    header = ("first / second", "images", "area ratio", "x offset", "same order")
    cells = [
        (name, str(s.images), f"{s.area_ratio:.2f}", f"{s.offset:+.3f}", f"{s.agreement:.1%}")
        for name, s in rows
    ]
    title = "flip pairs; offset: x of the first - x of the second"
    tables = [f"{title}\n{format_table(header, cells)}"] if rows else []
    return Summary(findings, {"flip_pairs": figures}, tables)


def pair_statistics(places: ClassPlaces, a: int, b: int) -> PairStatistics:
    """Measures two classes where both occur."""
    both = (places.area[:, a] > 0) & (places.area[:, b] > 0)
    if not both.any():
        return PairStatistics(0, 0.0, 0.0, 1.0, 0.0)
    x_a, x_b, y_a, y_b = (v[both, c].mean() for v in (places.x, places.y) for c in (a, b))
    signs = _order(places.x[both, a] - places.x[both, b])
    ordered = np.count_nonzero(signs)
    return PairStatistics(
        images=int(both.sum()),
        offset=float(x_a - x_b),
        agreement=float((1 + abs(signs.sum()) / ordered) / 2) if ordered else 0.0,
        area_ratio=float(places.area[both, a].mean() / places.area[both, b].mean()),
        asymmetry=float(abs(x_a + x_b - 1) + abs(y_a - y_b)),
    )


def _order(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where the first lies right of the second, -1 where left, 0 where neither can be said."""
    return np.where(np.abs(offset) > MIN_OFFSET, np.sign(offset), 0)


def _swapped_images(places: ClassPlaces, pairs: Sequence[tuple[int, int]]) -> Finding:
    """Images in which all pairs that can be judged lie the other way round than in most images.

    One crossed pair of arms or feet is no sign, so two pairs are needed where there are two.
    """
    swapped: NDArray[np.intp] = np.array([], int)
    if pairs:
        first, second = np.array(pairs).T
        signs = _order(np.nan_to_num(places.x[:, first] - places.x[:, second]))
        votes = signs * _common_order(signs)
        usual = 1 if np.sign(votes.sum(axis=1)).sum() >= 0 else -1
        enough = np.count_nonzero(votes, axis=1) >= min(2, len(pairs))
        if enough.sum() >= MIN_IMAGES:
            swapped = np.flatnonzero(enough & ((votes * usual).max(axis=1) <= 0))
    share = len(swapped) / max(len(places.items), 1)
    items = [places.items[i] for i in swapped]
    return Finding(
        "left-right-swapped",
        "fault",
        f"in {share:.1%} of the images, left and right lie the other way round than in the others: "
        "mirrored without exchanging the labels? People seen from behind look the same here",
        tuple(Case(str(i.record.get("seg_map_path", i.path)), "", i.path) for i in items),
    )


def _common_order(signs: NDArray[np.float64]) -> NDArray[np.float64]:
    """How the pairs lie to each other: 1 or -1 each (P,); 0 for one never seen with others.

    The signs of the first principal component. A majority of each pair by itself would say nothing
    where half of the images are mirrored.

    Args:
        signs: Order of each pair in each image (N, P).
    """
    component = np.linalg.eigh(signs.T @ signs)[1][:, -1]
    common = np.where(np.abs(component) > 1e-6, np.sign(component), 0)
    return common if common.sum() >= 0 else -common


def _reversed_pairs(
    places: ClassPlaces, declared: dict[tuple[int, int], PairStatistics]
) -> Finding:
    """Named pairs whose left lies right of their right, where it is otherwise for most pairs."""
    sided = {
        pair: np.sign(s.offset)
        for pair, s in declared.items()
        if places.says_left(pair[0]) and s.images >= MIN_IMAGES and s.agreement >= MIN_AGREEMENT
    }
    usual = 1 if sum(sided.values()) >= 0 else -1
    return Finding(
        "reversed-pair",
        "fault",
        "pairs whose left and right lie the other way round than those of the other pairs; their "
        "ids are probably exchanged in the files",
        tuple(Case(places.name_of(*pair)) for pair, sign in sided.items() if sign == -usual),
    )


def _forgotten_pairs(places: ClassPlaces, pairs: Sequence[tuple[int, int]]) -> Finding:
    unpaired = sorted(set(range(len(places.classes))) - {c for pair in pairs for c in pair})
    candidates = combinations(unpaired, 2)
    found = [pair for pair in candidates if pair_statistics(places, *pair).looks_mirrored]
    return Finding(
        "forgotten-pair",
        "fault",
        "classes in no flip pair that lie like the two sides of something; if they are, add them "
        "to flip_pairs",
        tuple(Case(places.name_of(*pair)) for pair in found),
    )


def _wrong_partners(
    places: ClassPlaces, declared: dict[tuple[int, int], PairStatistics]
) -> Finding:
    """Declared pairs of classes that are each clearly more symmetric with another paired class."""
    paired = sorted({c for pair in declared for c in pair})
    cases = []
    for (a, b), statistics in declared.items():
        if statistics.images < MIN_IMAGES or statistics.looks_mirrored:
            continue
        better = []
        for side in (a, b):
            others = ((pair_statistics(places, side, c), c) for c in paired if c not in (a, b))
            better += [
                places.name_of(side, c)
                for s, c in others
                if s.looks_mirrored and s.asymmetry * CLEARLY_BETTER < statistics.asymmetry
            ]
        if better:
            cases.append(Case(places.name_of(a, b), f"more symmetric: {', '.join(better)}"))
    return Finding(
        "wrong-partner",
        "fault",
        "flip pairs of classes that lie less like mirror images than others; correct flip_pairs",
        tuple(cases),
    )
