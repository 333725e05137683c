"""Files with the predictions of a test run, and how they are named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from engine.errors import ConfigError
from engine.infer.writer import build_writer


class OutputNames:
    """Maps a dataset's images to files below an output folder.

    Files are named after the images and keep the folders below the one that all images share.

    Args:
        dataset: The dataset; its records give ``img_path`` and perhaps other paths.
        out_dir: Folder of the results.
        suffix: Suffix of a result.

    Raises:
        ConfigError: If a result would overwrite a file of the dataset.
    """

    def __init__(self, dataset: Any, out_dir: str | Path, suffix: str = ".png") -> None:
        self.out_dir = Path(out_dir)
        self.suffix = suffix
        records = [dataset.get_data_info(i) for i in range(len(dataset))]
        images = [Path(record["img_path"]).absolute() for record in records]
        self.root = os.path.commonpath([path.parent for path in images])
        sources = {
            os.path.abspath(value)
            for record in records
            for key, value in record.items()
            if key.endswith("_path") and isinstance(value, str)
        }
        for image in images:
            target = self[image]
            if os.path.abspath(target) in sources:
                raise ConfigError(
                    f"{target} is a file of the dataset and would be overwritten; write the "
                    "results to another folder."
                )

    def __getitem__(self, img_path: str | Path) -> Path:
        """Returns the path of an image's result, whose folder may not exist yet."""
        relative = Path(img_path).absolute().relative_to(self.root)
        return (self.out_dir / relative).with_suffix(self.suffix)


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
