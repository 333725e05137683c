"""Names of the files that testing leaves for each sample."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from engine.errors import ConfigError


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
