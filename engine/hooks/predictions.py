"""Files with the predictions of a test run, and how they are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from engine.errors import ConfigError
from engine.infer.collisions import check_results
from engine.infer.images import ImageList
from engine.infer.writer import build_writer


def name_outputs(dataset: Any, out_dir: Path, suffix: str = ".png") -> dict[Path, Path]:
    """Maps the images of a dataset to files below an output folder.

    Files are named after the images and keep the folders below the one that all images share; those
    folders may not exist yet.

    Args:
        dataset: The dataset; its records give ``img_path`` and perhaps other paths.
        out_dir: Folder of the results.
        suffix: Suffix of a result.

    Raises:
        ConfigError: If a result would overwrite a file of the dataset.
    """
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    images = ImageList(str(Path(record["img_path"])) for record in records)
    files = {
        value
        for record in records
        for key, value in record.items()
        if key.endswith("_path") and isinstance(value, str)
    }
    check_results(images, out_dir, [suffix], files)
    return {image.path: out_dir / f"{image.out_stem}{suffix}" for image in images}


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
        self.names = name_outputs(dataset, self.out_dir, self.writer.label_suffix)

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Writes the labels of a batch."""
        for sample in outputs or ():
            path = self.names[Path(sample.img_path)]
            path.parent.mkdir(parents=True, exist_ok=True)
            self.writer.write_labels(sample, path.with_suffix(""))
