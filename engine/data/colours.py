"""Label maps that tell classes by colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ConfigError, DataError

RGB = tuple[int, int, int]
_CODE = np.array([1 << 16, 1 << 8, 1], np.uint32)  # of R, G, B


def parse_color_map(color_map: Mapping[Any, int]) -> dict[RGB, int]:
    """Returns label by RGB (0-255) from what a config says.

        {(255, 0, 0): 1, "0, 255, 0": 2, "#0000ff": 3}

    Raises:
        ConfigError: If a key is no colour, a label is not in 0..255, or a colour is there twice.
    """
    labels: dict[RGB, int] = {}
    for key, label in color_map.items():
        rgb = _parse(key)
        if rgb is None or not isinstance(label, int) or not 0 <= label <= 255:
            raise ConfigError(
                f"color_map maps {key!r} to {label!r}; expected a colour, (r, g, b) or "
                '"#rrggbb" with values in 0..255, and a label in 0..255.'
            )
        if labels.setdefault(rgb, label) != label:
            raise ConfigError(f"color_map maps the colour {rgb} to {labels[rgb]} and to {label}.")
    return labels


def _parse(key: Any) -> RGB | None:
    if isinstance(key, str):
        digits = re.fullmatch(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", key.strip())
        if digits:
            key = [int(pair, 16) for pair in digits.groups()]
        elif re.fullmatch(r"[\d\s,()\[\]]*", key):
            key = [int(number) for number in re.findall(r"\d+", key)]
    if not isinstance(key, tuple | list) or len(key) != 3:
        return None
    if not all(isinstance(value, int) and 0 <= value <= 255 for value in key):
        return None
    return key[0], key[1], key[2]


def labels_of_colours(rgb: NDArray, color_map: Mapping[RGB, int], name: str) -> NDArray[np.uint8]:
    """Turns colours (H, W, 3) uint8 into labels (H, W) uint8.

    Args:
        rgb: The image.
        color_map: Label of each colour.
        name: The file, for errors.

    Raises:
        DataError: If the image has another colour.
    """
    codes = rgb.astype(np.uint32) @ _CODE
    known = np.array(sorted(color_map), np.uint32) @ _CODE
    labels = np.array([color_map[colour] for colour in sorted(color_map)], np.uint8)
    places = np.searchsorted(known, codes).clip(max=len(known) - 1)
    strange = known[places] != codes
    if strange.any():
        y, x = np.argwhere(strange)[0].tolist()
        raise DataError(
            f"{name}: the colour {tuple(rgb[y, x].tolist())} at x={x}, y={y}, and {strange.sum()} "
            f"pixels in all, are none of the {len(known)} colours of color_map. Add the colour; if "
            "it is a blend at an edge, save the map anew without smoothing or JPEG."
        )
    return labels[places]
