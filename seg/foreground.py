"""The foreground of images by a model of its own, in the same pass as depth or normals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor

from engine.data.packing import collate_samples
from engine.errors import ConfigError
from engine.infer import find_writer
from seg.dense import DenseModel
from seg.parts.writer import SegWriter


class Foreground(NamedTuple):
    """A segmentation model from :func:`engine.infer.init_model`, and its config."""

    model: DenseModel
    cfg: Config

    def masks(self, packed: Sequence[dict[str, Any]], batch_size: int) -> list[Tensor]:
        """Returns the mask (1, H, W) uint8 of each image: 0 on the background, which is label 0.

        Args:
            packed: Samples of the config's :func:`engine.infer.predict.image_pipeline`.
            batch_size: Images a forward pass.
        """
        masks = []
        for start in range(0, len(packed), batch_size):
            batch = collate_samples(packed[start : start + batch_size])
            for sample in self.model.test_step(batch):
                masks.append((sample.pred_sem_seg.data > 0).to(torch.uint8).cpu())
        return masks


def check_segmentation(cfg: Config) -> None:
    """Checks that a config is of a segmentation model.

    Raises:
        ConfigError: If it is of another task.
    """
    writer = find_writer(cfg) if cfg.get("writer") else None
    if writer is None or not issubclass(writer, SegWriter):
        raise ConfigError(
            f"{cfg.filename} is no config of segmentation, whose labels above 0 are the "
            f"foreground: its writer is {writer.__name__ if writer else 'missing'}."
        )
