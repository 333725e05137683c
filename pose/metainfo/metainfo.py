"""What a set of keypoints is, and how to get from one to another by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.mirror import index_flip_pairs, mirror_order
from engine.errors import ConfigError

RGB = tuple[int, int, int]
MISSING = -1
DEFAULT_COLOR: RGB = (255, 128, 0)
DEFAULT_LINK_COLOR: RGB = (96, 96, 255)
Link = tuple[str, str, RGB]
"""A line of the skeleton, between two keypoints."""


@dataclass(frozen=True)
class PoseMetainfo:
    """A set of K keypoints. It is checked when it is made.

    Args:
        name: Of the set.
        keypoints: K names, in the order of their ids.
        flip_pairs: Pairs of names that a mirror exchanges; the others stay themselves.
        sigmas: How far annotators disagree on each keypoint, as a share of the person's size: the
            kappa / 2 of COCO's object keypoint similarity. Empty if unknown: then there is no AP.
        colors: RGB (0-255) of each keypoint; by default orange.
        skeleton: Lines between keypoints: (name, name, RGB), or without a color.
        upper_body: Names of the upper half, which half-body augmentation may keep alone.
        lower_body: Names of the lower half.
        groups: Ids of the keypoints that are also scored by themselves, such as a hand's.

    Raises:
        ConfigError: If names repeat, a pair, a link or a half names no keypoint, a name that begins
            with left_ or right_ has no partner, or a list is not of length K.
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[str, str], ...] = ()
    sigmas: tuple[float, ...] = ()
    colors: tuple[RGB, ...] = ()
    skeleton: tuple[Link, ...] = ()
    upper_body: tuple[str, ...] = ()
    lower_body: tuple[str, ...] = ()
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num = len(self.keypoints)
        object.__setattr__(self, "colors", self.colors or (DEFAULT_COLOR,) * num)
        links = (link if len(link) > 2 else (*link, DEFAULT_LINK_COLOR) for link in self.skeleton)
        object.__setattr__(self, "skeleton", tuple(links))
        self._check()

    def _check(self) -> None:
        num = self.num_keypoints
        if not self.keypoints:
            raise ConfigError(
                f"{self.name}: keypoints is empty; expected the names of all of them."
            )
        repeated = [name for name, count in Counter(self.keypoints).items() if count > 1]
        if repeated:
            raise ConfigError(f"{self.name}: keypoints names {', '.join(repeated)} more than once.")
        index_flip_pairs(self.keypoints, self.flip_pairs, self.name, kind="keypoints")
        for key in ("sigmas", "colors"):
            values = getattr(self, key)
            if values and len(values) != num:
                raise ConfigError(
                    f"{self.name}: {key} has {len(values)} values for {num} keypoints."
                )
        if min(self.sigmas, default=1) <= 0:
            raise ConfigError(f"{self.name}: sigmas must be positive, found {min(self.sigmas)}.")
        self._require_known("skeleton", (end for a, b, _ in self.skeleton for end in (a, b)))
        self._require_known("upper_body", self.upper_body)
        self._require_known("lower_body", self.lower_body)
        for group, ids in self.groups.items():
            if not set(ids) <= set(range(num)):
                raise ConfigError(f"{self.name}: group {group!r} holds an id outside 0..{num - 1}.")

    def _require_known(self, key: str, names: Iterable[str]) -> None:
        unknown = [name for name in names if name not in self.ids]
        if unknown:
            raise ConfigError(
                f"{self.name}: {key} names {', '.join(map(repr, unknown))}, not among its "
                f"{self.num_keypoints} keypoints: {', '.join(self.keypoints)}."
            )

    @property
    def num_keypoints(self) -> int:
        """K."""
        return len(self.keypoints)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Name -> id."""
        return {name: i for i, name in enumerate(self.keypoints)}

    @cached_property
    def keypoint_swap_indices(self) -> tuple[int, ...]:
        """For each keypoint, the one that takes its place in a mirrored image."""
        pairs = tuple((self.ids[a], self.ids[b]) for a, b in self.flip_pairs)
        return mirror_order(self.num_keypoints, pairs)

    @cached_property
    def links(self) -> tuple[tuple[int, int, RGB], ...]:
        """The skeleton with ids in place of names."""
        return tuple((self.ids[a], self.ids[b], color) for a, b, color in self.skeleton)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values only, fit for a checkpoint; ``parse_metainfo`` reads them back."""
        return asdict(self)


def index_map(
    source: PoseMetainfo, target: PoseMetainfo, aliases: Mapping[str, str] | None = None
) -> tuple[int, ...]:
    """Finds each keypoint of ``target`` in ``source``.

    Equal names are the same point. Between COCO-WholeBody and Goliath these are 53: the body, the
    feet and three points a finger.

    Args:
        source: The set that there is.
        target: The set that is wanted.
        aliases: Names of ``target`` -> names of ``source`` to look for if the name itself is not
            there.

    Returns:
        For each keypoint of ``target`` its id in ``source``, -1 where it has none.
    """
    aliases = aliases or {}
    return tuple(
        source.ids.get(name, source.ids.get(aliases.get(name, name), MISSING))
        for name in target.keypoints
    )


def take_keypoints(
    keypoints: NDArray, scores: NDArray, indices: tuple[int, ...]
) -> tuple[NDArray, NDArray]:
    """Reorders keypoints (..., K, 2) and scores (..., K) by an :func:`index_map`.

    Returns:
        (..., len(indices), 2) and (..., len(indices)); (0, 0) with score 0 where the index is -1.
    """
    order = np.asarray(indices)
    found = order != MISSING
    return (
        np.where(found[:, None], keypoints[..., order, :], 0),
        np.where(found, scores[..., order], 0),
    )
