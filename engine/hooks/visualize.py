"""Pictures of what the model sees and predicts, to TensorBoard and to disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from engine.data import geometry
from engine.data.loading import read_image
from engine.data.packing import give_targets
from engine.hooks.predictions import name_outputs
from engine.image_files import image_rgb, write_rgb
from engine.model.wrappers import unwrap
from engine.parallel.shards import gathered


@HOOKS.register_module()
@dataclass(eq=False)
class PicturesHook(Hook):
    """Sends a few samples a validation, and now and then augmented training samples, to the
    visualizer.

    The visualizer's ``add_datasample(name, image_rgb, data_sample, step=...)`` knows how its task
    is drawn; its backends decide where pictures go.

    Args:
        num_samples: Samples a validation, spread evenly over the data set, and at most so many of a
            training batch.
        train_interval: Training iterations between pictures of a training batch; 0 for none.
        show_dir: Folder for a picture of each tested sample, named after its image, and after the
            ``id`` of its person if it has one; None for none.
    """

    num_samples: int = 4
    train_interval: int = 0
    show_dir: str | None = None

    priority = "BELOW_NORMAL"

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws the first samples of the batch, after augmentation, with the model's prediction."""
        step = runner.iter + 1
        if not self.train_interval or step % self.train_interval:
            return
        model = unwrap(runner.model)
        with gathered(model):  # by all ranks
            if is_main_process():
                self._draw(runner, model, data_batch, step)

    def _draw(self, runner: Any, model: Any, data_batch: Any, step: int) -> None:
        images = data_batch["inputs"][: self.num_samples]
        as_seen = [sample.clone() for sample in data_batch["data_samples"]]
        give_targets(as_seen, data_batch["targets"])
        as_seen = as_seen[: self.num_samples]
        for sample in as_seen:  # predict in pixels of the network's input, where the labels are
            size_hw = tuple(images.shape[-2:])
            sample.set_metainfo({"ori_size_hw": size_hw, "warp_matrix": geometry.identity()})
        model.eval()
        with torch.no_grad():
            predicted = model.val_step({"inputs": images, "data_samples": as_seen})
        model.train()
        for i, (image, sample) in enumerate(zip(images, predicted, strict=True)):
            picture = image_rgb({"inputs": image})
            runner.visualizer.add_datasample(f"train_{i}", picture, sample, step=step)

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Draws the samples of this batch that are among the evenly spread ones."""
        if not is_main_process():
            return
        # Only the first rank draws, so it chooses among the samples that it evaluates.
        own = np.arange(0, len(runner.val_dataloader.dataset), get_world_size())
        chosen = own[np.linspace(0, len(own) - 1, min(self.num_samples, len(own))).astype(int)]
        for sample in outputs or ():
            if sample.sample_idx in chosen:
                name = f"val_{sample.sample_idx:06d}"
                picture = _read_rgb(sample.img_path)
                runner.visualizer.add_datasample(name, picture, sample, step=runner.iter)

    def before_test(self, runner: Any) -> None:
        """Names the pictures of the samples."""
        if self.show_dir is not None:
            self.names = name_outputs(runner.test_dataloader.dataset, Path(self.show_dir))

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Writes a picture of each sample to ``show_dir``."""
        if self.show_dir is None:
            return
        for sample in outputs or ():
            path = self.names[Path(sample.img_path)]
            if "id" in sample:  # one of several people in the image
                path = path.with_name(f"{path.stem}_{sample.id}{path.suffix}")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_rgb(path, runner.visualizer.draw(_read_rgb(sample.img_path), sample))


def _read_rgb(path: str) -> np.ndarray:
    return np.ascontiguousarray(read_image(path)[..., ::-1])
