"""A look at some label maps when a dataset is read: masks of 0 and 255 would teach nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log

from engine.data.loading import IGNORE_INDEX, map_labels, read_labels
from engine.errors import DataError

NUM_CHECKED = 8


def warn_of_one_class(
    records: Sequence[Mapping[str, Any]], options: Mapping[str, Any], metainfo: Mapping[str, Any]
) -> None:
    """Warns if label maps, spread over a dataset, hold one class at most, beside ignored pixels.

    A model that predicts this class everywhere has a loss of 0 then. Files that cannot be read
    pass. Of most datasets one file is read, as it has two classes.

    Args:
        records: With ``seg_map_path``.
        options: ``label_map`` and ``color_map``, if there are any.
        metainfo: Of the dataset.
    """
    ignore_index = metainfo.get("ignore_index", IGNORE_INDEX)
    found: set[int] = set()
    paths = [r["seg_map_path"] for r in records[:: -(-len(records) // NUM_CHECKED) or 1]]
    for path in paths:
        try:
            labels = map_labels(
                read_labels(path, options.get("color_map")), options.get("label_map")
            )
        except DataError:
            continue  # LoadLabels says so, or the dataset passes over it
        found |= set(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist())
        if len(found - {ignore_index}) > 1:
            return
    if ignore_index not in found:
        return
    classes = metainfo["classes"]
    others = [i for i in range(len(classes)) if i not in found]
    print_log(
        f"The label maps of {len(paths)} samples, such as {paths[0]}, hold labels "
        f"{', '.join(map(str, sorted(found)))}, of which {ignore_index} is ignored: one class at "
        f"most is left, which teaches nothing. If {ignore_index} stands for a class, give the "
        f"dataset label_map={{{ignore_index}: {others[-1] if len(others) == 1 else 'its id'}}}. "
        "mmsapiens check looks at all files.",
        "current",
        logging.WARNING,
    )
