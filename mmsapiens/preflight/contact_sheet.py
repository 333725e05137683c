"""One picture of many samples with their labels, the suspicious ones first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.packing import PackInputs
from engine.image_files import image_rgb
from engine.visualizer import put_text
from mmsapiens.preflight.browse import Draw
from mmsapiens.preflight.check import Check, Finding, Item
from mmsapiens.preflight.records import spread
from mmsapiens.preflight.scan import read_sample

TILE_HEIGHT = 320
CAPTION_HEIGHT = 20
COLUMNS = 3
GREY = 128


def choose_items(
    items: Sequence[Item], findings: Sequence[Finding], num: int
) -> list[tuple[Item, str]]:
    """Chooses samples for a sheet: in turn one case of each finding, then evenly spread ones.

    Args:
        items: All samples.
        findings: Faults first; cases that are no sample are passed over.
        num: How many samples.

    Returns:
        (item, the kinds of its findings, such as "grey, duplicate").
    """
    kinds: dict[str, dict[str, None]] = {}
    for finding in findings:
        for case in finding.cases:
            kinds.setdefault(case.sample, {})[finding.kind] = None
    in_turn = chain.from_iterable(zip_longest(*(finding.cases for finding in findings)))
    suspicious = [case.sample for case in in_turn if case is not None]
    evenly = [items[i].path for i in spread(len(items), num)]
    by_path = {item.path: item for item in items}
    paths = [path for path in dict.fromkeys(suspicious + evenly) if path in by_path]
    return [(by_path[path], ", ".join(kinds.get(path, ()))) for path in paths[:num]]


def draw_contact_sheet(
    chosen: Sequence[tuple[Item, str]],
    checks: Sequence[Check],
    metainfos: dict[str, dict],
    draw: Draw,
) -> NDArray:
    """Draws samples in rows of three, each with its name and findings above.

    Args:
        chosen: (item, what to write beside its name); at least one.
        checks: They read the fields that are drawn.
        metainfos: The dataset's metainfo by split.
        draw: Draws a sample.

    Returns:
        The picture (H, W, 3) RGB.
    """
    tiles = [
        _tile(item, note, _picture(item, checks, metainfos[item.split], draw))
        for item, note in chosen
    ]
    width = max(tile.shape[1] for tile in tiles)
    tiles = [
        cv2.copyMakeBorder(t, 0, 8, 0, width - t.shape[1] + 8, 0, value=(255,) * 3) for t in tiles
    ]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _picture(item: Item, checks: Sequence[Check], metainfo: dict, draw: Draw) -> NDArray:
    _, sample = read_sample(item, checks, metainfo)
    if "img" not in sample:
        return np.full((TILE_HEIGHT, TILE_HEIGHT, 3), GREY, np.uint8)
    packed = PackInputs()(sample)
    return draw(image_rgb(packed), packed["data_samples"])


def _tile(item: Item, note: str, picture: NDArray) -> NDArray:
    """Scales the picture to the tile's height, and writes the caption above it."""
    width = max(round(picture.shape[1] * TILE_HEIGHT / picture.shape[0]), TILE_HEIGHT)
    picture = cv2.resize(picture, (width, TILE_HEIGHT), interpolation=cv2.INTER_AREA)
    caption = np.full((CAPTION_HEIGHT, width, 3), 255, np.uint8)
    text = f"{item.path[-24:]}  {note}"
    colour = (200, 0, 0) if note else (0, 0, 0)
    put_text(caption, text, (2, CAPTION_HEIGHT - 6), 0.42, colour)
    return np.vstack([caption, picture])
