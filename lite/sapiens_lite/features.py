"""Features of a pretrained backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sapiens_lite.images import Item, read_image, write_array
from sapiens_lite.parts import planes_of
from sapiens_lite.resize import resize_cubic
from sapiens_lite.spec import Spec
from sapiens_lite.work import DenseTask, Prepared


@dataclass(frozen=True)
class Features(DenseTask):
    """Writes ``<stem>.npy``, (C, h, w) float32.

    Args:
        spec: Of the model.
        out_dir: Folder of the results.
    """

    spec: Spec
    out_dir: Path

    @property
    def suffixes(self) -> Sequence[str]:
        """See :class:`sapiens_lite.work.Task`."""
        return (".npy",)

    def prepare(self, item: Item) -> Prepared:
        """Stretches an image to the model's input, with the cubic of pretraining."""
        image = resize_cubic(read_image(item.path), self.spec.size_hw)
        return Prepared(planes_of(image)[None])

    def finish(self, item: Item, result: Any, info: Any) -> None:
        """Writes the array."""
        write_array(Path(f"{self.out_dir / item.stem}.npy"), np.asarray(result, np.float32))
