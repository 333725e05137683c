"""Which class of Goliath the classes of other datasets of body parts are.

A table names the classes that have a counterpart; the others are ignored. The release's tables
send skirts to upper clothing and ignore CIHP's Torso-skin; here they are lower clothing and torso.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.data.loading import IGNORE_INDEX
from engine.errors import ConfigError

ATR_CLASSES = (
    "Background", "Hat", "Hair", "Sunglasses", "UpperClothes", "Skirt", "Pants", "Dress", "Belt",
    "Left-shoe", "Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm", "Right-arm", "Bag",
    "Scarf",
)  # fmt: skip
"""Of ATR (Liang et al., 2015), in the order of its ids."""

PASCAL_CLASSES = (
    "Background", "Head", "Left-eye", "Right-eye", "Left-ear", "Right-ear", "Left-eyebrow",
    "Right-eyebrow", "Nose", "Mouth", "Hair", "Torso", "Neck", "Left-lower-arm", "Left-upper-arm",
    "Left-hand", "Right-lower-arm", "Right-upper-arm", "Right-hand", "Left-lower-leg",
    "Left-upper-leg", "Left-foot", "Right-lower-leg", "Right-upper-leg", "Right-foot",
)  # fmt: skip
"""Of the persons of Pascal-Part (Chen et al., 2014), in the order of the ids that are in use."""

_CLOTHED = {
    "Background": "Background",
    "Hair": "Hair",
    "UpperClothes": "Upper_Clothing",
    "Pants": "Lower_Clothing",
    "Skirt": "Lower_Clothing",
    "Face": "Face_Neck",
    "Left-shoe": "Left_Shoe",
    "Right-shoe": "Right_Shoe",
}
_LIP = {**_CLOTHED, "Coat": "Upper_Clothing"}
_HEAD = (
    "Head", "Left-eye", "Right-eye", "Left-ear", "Right-ear", "Left-eyebrow", "Right-eyebrow",
    "Nose", "Neck",
)  # fmt: skip

REMAPS: dict[str, Mapping[str, str]] = {
    "lip_to_goliath": _LIP,
    "cihp_to_goliath": {**_LIP, "Torso-skin": "Torso"},
    "atr_to_goliath": _CLOTHED,
    # People of Pascal are dressed: trunks are clothing, and feet are in shoes.
    "pascal_to_goliath": {
        "Background": "Background",
        **dict.fromkeys(_HEAD, "Face_Neck"),
        "Hair": "Hair",
        "Torso": "Upper_Clothing",
        "Left-hand": "Left_Hand",
        "Right-hand": "Right_Hand",
        "Left-foot": "Left_Shoe",
        "Right-foot": "Right_Shoe",
    },
}
"""Source class -> class of Goliath, by name of the table."""

UNKNOWN = 254
"""Where ids go that are no class of the source, so that loading such a file is an error."""


def remap_labels(
    remap: str | Mapping[str, str], source: Sequence[str], target: Sequence[str]
) -> dict[int, int]:
    """Turns a table of class names into one of ids.

    Args:
        remap: Source class -> target class; or the name of a table of ``REMAPS``.
        source: Classes of the dataset, in the order of their ids.
        target: Classes that its labels are to be mapped to, likewise.

    Returns:
        The new id of each of 0..254: 255 (ignored) for classes that the table does not list, and
        ``UNKNOWN`` for ids without a class.

    Raises:
        ConfigError: If the table is not known, or names a class that is not there.
    """
    if isinstance(remap, str):
        if remap not in REMAPS:
            raise ConfigError(f"there is no remap {remap!r}; known are {', '.join(REMAPS)}.")
        remap = REMAPS[remap]
    for names, classes, side in ((remap, source, "source"), (remap.values(), target, "target")):
        unknown = sorted(set(names) - set(classes))
        if unknown:
            raise ConfigError(
                f"the remap names {', '.join(unknown)}, but the {side} has the classes "
                f"{', '.join(classes)}."
            )
    table = dict.fromkeys(range(IGNORE_INDEX), UNKNOWN)
    for i, name in enumerate(source):
        table[i] = target.index(remap[name]) if name in remap else IGNORE_INDEX
    return table
