"""Files with the predictions of a test run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from engine.registry import WRITERS


@HOOKS.register_module()
class PredictionsHook(Hook):
    """Writes the labels of each tested sample with the config's ``writer``.

    Files are named after the images and keep their folders below the dataset's root.

    Args:
        out_dir: Folder of the files.
    """

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)
        self.writer: Any = None

    def before_test(self, runner: Any) -> None:
        """Builds the writer."""
        dataset = runner.test_dataloader.dataset
        self.writer = WRITERS.build({**runner.cfg.writer, "dataset_meta": dataset.metainfo})
        self.root = dataset.data_root or "."

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Writes the labels of a batch."""
        for sample in outputs or ():
            stem = self.out_dir / Path(os.path.relpath(sample.img_path, self.root)).with_suffix("")
            stem.parent.mkdir(parents=True, exist_ok=True)
            self.writer.write_labels(sample, stem)
