"""Keypoint sets of a config: one of ours by name, or one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from engine.config.keys import reject_unknown
from engine.errors import ConfigError
from pose.metainfo.coco import COCO, COCO_WHOLEBODY
from pose.metainfo.goliath import GOLIATH
from pose.metainfo.metainfo import PoseMetainfo
from pose.metainfo.openpose import OPENPOSE18, OPENPOSE134

METAINFOS: dict[str, PoseMetainfo] = {
    metainfo.name: metainfo for metainfo in (COCO, COCO_WHOLEBODY, GOLIATH, OPENPOSE18, OPENPOSE134)
}
"""The sets of this package by name."""


def parse_metainfo(metainfo: str | Mapping[str, Any]) -> PoseMetainfo:
    """Makes a keypoint set from what a config, or a checkpoint's metainfo, says.

        parse_metainfo("coco_wholebody")
        parse_metainfo(dict(
            name="hand_tools",
            keypoints=["hammer_head", "hammer_grip", "left_hand", "right_hand"],
            flip_pairs=[("left_hand", "right_hand")],
            skeleton=[("hammer_head", "hammer_grip")],       # or (name, name, (r, g, b))
            sigmas=[0.05, 0.05, 0.03, 0.03],
        ))

    Args:
        metainfo: A key of :data:`METAINFOS`, or the arguments of :class:`PoseMetainfo`, lists
            instead of tuples allowed.

    Raises:
        ConfigError: If the name or a key is unknown, a key is missing, or the set contradicts
            itself.
    """
    if isinstance(metainfo, str):
        if metainfo not in METAINFOS:
            raise ConfigError(
                f"metainfo {metainfo!r} is none of {', '.join(METAINFOS)}. For keypoints of your "
                "own give dict(name=..., keypoints=[...], flip_pairs=[...], ...)."
            )
        return METAINFOS[metainfo]
    reject_unknown("metainfo", metainfo, [f.name for f in fields(PoseMetainfo)])
    for key in ("name", "keypoints"):
        if key not in metainfo:
            raise ConfigError(f"metainfo has no {key!r}; found {', '.join(metainfo) or 'nothing'}.")
    return PoseMetainfo(**_tuples(metainfo))


def _tuples(value: Any) -> Any:
    """Lists, nested ones too, as tuples."""
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
