"""Tables from the names of parts to the class ids of the datasets."""

from __future__ import annotations

# FaceSynthetics (Wood et al., 2021), in its order.
FACE_CLASSES = (
    "Background",
    "Skin",
    "Nose",
    "Right_eye",
    "Left_eye",
    "Right_brow",
    "Left_brow",
    "Right_ear",
    "Left_ear",
    "Mouth_interior",
    "Top_lip",
    "Bottom_lip",
    "Neck",
    "Hair",
    "Beard",
    "Clothing",
    "Glasses",
    "Headwear",
    "Facewear",
)

_INSIDE_MOUTH = ("Upper_teeth", "Tongue")

FACE_LABELS: dict[str, int] = {name: index for index, name in enumerate(FACE_CLASSES)}
FACE_LABELS.update(dict.fromkeys(_INSIDE_MOUTH, FACE_LABELS["Mouth_interior"]))
