"""What a mirror exchanges: pairs of names that belong to the left and to the right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from engine.errors import ConfigError

Pairs = tuple[tuple[int, int], ...]

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def index_flip_pairs(
    names: Sequence[str],
    flip_pairs: Sequence[tuple[str, str]],
    source: str,
    kind: str = "classes",
) -> Pairs:
    """Turns pairs of names that a mirror exchanges into pairs of ids.

    Args:
        names: All names, in the order of their ids.
        flip_pairs: Pairs of names such as ``("Left_eye", "Right_eye")``, in any order.
        source: The dataset's name, for the error messages.
        kind: What the names are of, likewise.

    Raises:
        ConfigError: If a pair holds an unknown name, a name stands in two pairs, or one of a side
            (Left_arm, arm_left, LeftArm) has no partner, so that a mirrored image would keep a
            wrong label.
    """
    ids = {name: i for i, name in enumerate(names)}
    paired: set[str] = set()
    for pair in flip_pairs:
        if len(pair) != 2 or pair[0] == pair[1]:
            raise ConfigError(f"{source}: flip_pairs holds {pair!r}; expected two different names.")
        for name in pair:
            if name not in ids:
                raise ConfigError(
                    f"{source}: flip_pairs names {name!r}, which is not among its {len(ids)} "
                    f"{kind}: {', '.join(names)}."
                )
            if name in paired:
                raise ConfigError(f"{source}: {name!r} stands in two of the flip_pairs.")
            paired.add(name)
    sides = {"left", "right"}
    of_a_side = [name for name in names if sides & {w.lower() for w in _WORD.findall(name)}]
    alone = [name for name in of_a_side if name not in paired]
    if alone:
        raise ConfigError(
            f"{source}: {', '.join(alone)}: named after a side, but in no pair of flip_pairs, so a "
            "mirrored image would keep the wrong label. Add the pairs, e.g. "
            "flip_pairs=[('Left_eye', 'Right_eye')]."
        )
    return tuple((ids[a], ids[b]) for a, b in flip_pairs)


def pairs_of(metainfo: Mapping[str, Any], kind: str) -> Pairs | None:
    """Returns the pairs of ids that a mirror exchanges, of a metainfo that was checked before.

    Args:
        metainfo: With the names under ``kind``, and ``flip_pairs``.
        kind: ``"classes"`` or ``"keypoints"``.

    Returns:
        None if the metainfo does not say.
    """
    if kind not in metainfo or "flip_pairs" not in metainfo:
        return None
    ids = {name: i for i, name in enumerate(metainfo[kind])}
    return tuple((ids[a], ids[b]) for a, b in metainfo["flip_pairs"])


@lru_cache
def mirror_order(num: int, pairs: Pairs) -> tuple[int, ...]:
    """For each of ``num`` ids, the one that takes its place in a mirrored image.

    Raises:
        ConfigError: If a pair holds another id.
    """
    order = list(range(num))
    for a, b in pairs:
        if not (0 <= a < num and 0 <= b < num):
            raise ConfigError(
                f"swap_seg_labels has the pair ({a}, {b}), but the dataset's {num} classes are "
                f"0..{num - 1}."
            )
        order[a], order[b] = b, a
    return tuple(order)
