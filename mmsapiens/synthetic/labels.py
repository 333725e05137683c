"""Tables from the names of parts to the class ids of the datasets.

A table gives every part of any scene a class; 255 is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.data.loading import IGNORE_INDEX
from seg.parts.datasets import CIHPDataset, FaceDataset, GoliathDataset, LIPDataset, SegDataset

_MOUTH = ("Mouth_interior", "Upper_teeth", "Lower_teeth", "Tongue")
_FEATURES = ("Skin", "Nose", "Left_eye", "Right_eye", "Left_brow", "Right_brow", "Beard")
_EARS = ("Left_ear", "Right_ear")
_LIPS = ("Top_lip", "Bottom_lip")
_GARMENTS = ("Shirt", "Coat", "Dress", "Jumpsuit", "Pants", "Skirt", "Scarf")
_ON_LIMBS = tuple(f"{s}_{what}" for s in ("Left", "Right") for what in ("glove", "sock", "shoe"))
_LIMBS = ("hand", "lower_arm", "upper_arm", "foot", "lower_leg", "upper_leg")
# Parts that are classes wherever a dataset has a class of their name.
_ALIKE = {*FaceDataset.METAINFO["classes"], *_GARMENTS, "Torso", "Tongue"}


def _table(dataset: type[SegDataset], parts: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """From the parts to the classes of a dataset, of which ``""`` is ignored.

    Args:
        dataset: Whose classes.
        parts: Of each class, besides the one of its own name.
    """
    ids = {name: i for i, name in enumerate(dataset.METAINFO["classes"])}
    alike = {name: i for name, i in ids.items() if name in _ALIKE}
    ids[""] = IGNORE_INDEX
    return alike | {part: ids[name] for name, group in parts.items() for part in group}


def _sided(names: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Left and right of a table whose names have neither; "*" stands for the side."""
    return {
        name.replace("*", side): [f"{side}_{part}" for part in parts]
        for name, parts in names.items()
        for side in ("Left", "Right")
    }


FACE_LABELS = _table(
    FaceDataset,
    {
        "Mouth_interior": _MOUTH,
        "Clothing": ("Clothing", *_GARMENTS, "Bag", *_ON_LIMBS),
        "": ("Torso", *(f"{side}_{limb}" for side in ("Left", "Right") for limb in _LIMBS)),
    },
)
GOLIATH_LABELS = _table(
    GoliathDataset,
    {
        "Apparel": ("Headwear", "Facewear", "Scarf", "Bag", "Left_glove", "Right_glove"),
        "Face_Neck": (*_FEATURES, *_EARS, "Mouth_interior", "Neck"),
        "Upper_Clothing": ("Clothing", "Shirt", "Coat", "Dress", "Jumpsuit"),
        "Lower_Clothing": ("Pants", "Skirt"),
        "Lower_Lip": ["Bottom_lip"],
        "Upper_Lip": ["Top_lip"],
        "Lower_Teeth": ["Lower_teeth"],
        "Upper_Teeth": ["Upper_teeth"],
        **_sided({f"*_{what.title()}": [what] for what in (*_LIMBS, "shoe", "sock")}),
        "": ["Glasses"],  # frames and lenses are classes that the 28 leave out
    },
)
LIP_LABELS = _table(
    LIPDataset,
    {
        "Background": ("Background", "Bag"),
        "Hat": ["Headwear"],
        "Glove": ("Left_glove", "Right_glove"),
        "Sunglasses": ["Glasses"],
        "UpperClothes": ("Clothing", "Shirt"),
        "Socks": ("Left_sock", "Right_sock"),
        "Jumpsuits": ["Jumpsuit"],
        "Face": (*_FEATURES, *_EARS, *_LIPS, *_MOUTH, "Neck", "Facewear"),
        **_sided({"*-arm": _LIMBS[:3], "*-leg": _LIMBS[3:], "*-shoe": ["shoe"]}),
        "": ["Torso"],  # bare skin of the trunk has no class
    },
)
# Jumpsuits are upper clothes in CIHP, as class 10 is the skin of neck and trunk.
CIHP_LABELS = {
    **LIP_LABELS,
    "Jumpsuit": LIP_LABELS["Shirt"],
    **_table(CIHPDataset, {"Torso-skin": ("Neck", "Torso")}),
}
