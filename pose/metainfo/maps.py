"""From one keypoint set to another, by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pose.metainfo.metainfo import PoseMetainfo

MISSING = -1


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
