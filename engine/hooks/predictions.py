"""Files with the predictions of a test run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from engine.errors import ConfigError
from engine.hooks.naming import OutputNames
from engine.infer.writer import build_writer


@HOOKS.register_module()
class PredictionsHook(Hook):
    """Writes the labels of each tested sample with the config's ``writer``.

    Files are named after the images and keep the folders below the one that all images share.

    Args:
        out_dir: Folder of the files.
    """

    def __init__(self, out_dir: str) -> None:
        self.out_dir = Path(out_dir)

    def before_test(self, runner: Any) -> None:
        """Builds the writer."""
        dataset = runner.test_dataloader.dataset
        self.writer = build_writer(runner.cfg, dataset.metainfo)
        if self.writer.label_suffix is None:
            raise ConfigError(
                f"{runner.cfg.writer.type} writes no file for a sample. Of keypoints the metric "
                "writes all results: test_evaluator.outfile_prefix=PATH."
            )
        self.names = OutputNames(dataset, self.out_dir, self.writer.label_suffix)

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Writes the labels of a batch."""
        for sample in outputs or ():
            path = self.names[sample.img_path]
            path.parent.mkdir(parents=True, exist_ok=True)
            self.writer.write_labels(sample, path.with_suffix(""))
