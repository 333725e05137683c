"""Pictures of what the model sees and predicts, to TensorBoard and to disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from engine.data.loading import read_image


@HOOKS.register_module()
class PicturesHook(Hook):
    """Sends a few samples a validation, and now and then augmented training samples, to the
    visualizer.

    The visualizer's ``add_datasample(name, image_rgb, data_sample, step=...)`` knows how its task
    is drawn; its backends decide where pictures go.

    Args:
        num_samples: Samples a validation, spread evenly over the data set, and at most so many of a
            training batch.
        train_interval: Training iterations between pictures of a training batch; 0 for none.
        show_dir: Folder for a picture of each tested sample, named after its image; None for none.
    """

    priority = "BELOW_NORMAL"

    def __init__(
        self, num_samples: int = 4, train_interval: int = 0, show_dir: str | None = None
    ) -> None:
        self.num_samples = num_samples
        self.train_interval = train_interval
        self.show_dir = None if show_dir is None else Path(show_dir)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws the first samples of the batch, after augmentation, with the model's prediction."""
        step = runner.iter + 1
        if not self.train_interval or step % self.train_interval or not is_main_process():
            return
        model = getattr(runner.model, "module", runner.model)
        images = data_batch["inputs"][: self.num_samples]
        samples = data_batch["data_samples"][: self.num_samples]
        as_seen = [sample.clone() for sample in samples]
        for sample in as_seen:  # predict at the size of the network's input, where the labels are
            sample.set_metainfo({"ori_size_hw": tuple(images.shape[-2:])})
        model.eval()
        with torch.no_grad():
            predicted = model.val_step({"inputs": images, "data_samples": as_seen})
        model.train()
        for i, (image, sample) in enumerate(zip(images, predicted, strict=True)):
            image_rgb = np.ascontiguousarray(image.numpy()[::-1].transpose(1, 2, 0))
            runner.visualizer.add_datasample(f"train_{i}", image_rgb, sample, step=step)

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Draws the samples of this batch that are among the evenly spread ones."""
        num = len(runner.val_dataloader.dataset)
        chosen = np.linspace(0, num - 1, min(self.num_samples, num)).astype(int)
        for sample in outputs or ():
            if sample.sample_idx in chosen:
                name = f"val_{sample.sample_idx:06d}"
                runner.visualizer.add_datasample(
                    name, _read_rgb(sample.img_path), sample, step=runner.iter
                )

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Writes a picture of each sample to ``show_dir``."""
        if self.show_dir is None:
            return
        root = runner.test_dataloader.dataset.data_root or "."
        for sample in outputs or ():
            path = self.show_dir / Path(os.path.relpath(sample.img_path, root)).with_suffix(".png")
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = runner.visualizer.draw(_read_rgb(sample.img_path), sample)
            cv2.imwrite(str(path), picture[..., ::-1])


def _read_rgb(path: str) -> np.ndarray:
    return np.ascontiguousarray(read_image(path)[..., ::-1])
