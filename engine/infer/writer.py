"""What every writer can do: a writer makes the files of a predicted image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mmengine.config import Config
from numpy.typing import NDArray

from engine.config.walk import parameters
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.registry import WRITERS


class Writer(Protocol):
    """Makes the files of predicted images.

    Each task has one, registered in ``WRITERS`` and named by the config's top-level ``writer``. A
    writer with an argument ``dataset_meta`` gets what is predicted: classes, colours. It derives
    from this class and takes the defaults below for what its task lacks. Images are written by
    several threads.

    Attributes:
        suffixes: Of the files of an image, such as ``("_seg.npy", ".npy", ".png")``.
        takes_masks: Whether :meth:`write` uses ``sample.mask`` (1, H, W), the foreground.
        label_suffix: Of the file that :meth:`write_labels` makes; None if there is none.
    """

    suffixes: Sequence[str] = ()
    takes_masks: bool = False
    label_suffix: str | None = None

    def write(self, sample: DataSample, image_bgr: NDArray, out_stem: Path) -> None:
        """Writes the results of an image.

        Args:
            sample: With the prediction, at the image's size or in its pixels.
            image_bgr: The image (H, W, 3) uint8.
            out_stem: Path of the results without suffix.
        """
        ...

    def write_labels(self, sample: DataSample, out_stem: Path) -> None:
        """Writes the prediction alone, in the form of the dataset's labels; for ``test --out``."""
        raise NotImplementedError(f"{type(self).__name__} has no files of labels.")

    def finish(self, out_dir: Path) -> None:
        """Writes what is of all images, once the last of them is written."""


def build_writer(cfg: Config, dataset_meta: dict, options: dict[str, Any] | None = None) -> Writer:
    """Builds the config's writer.

    Args:
        cfg: A config with a ``writer``.
        dataset_meta: Of what is predicted: classes, colours, keypoints.
        options: Arguments that a command line gives; they come before those of the config.

    Raises:
        ConfigError: If the writer does not know one of the options.
    """
    name = cfg.writer.type
    known = parameters(WRITERS.get(name)).names
    for option in options or {}:
        if option not in known:
            raise ConfigError(f"--{option.replace('_', '-')}: {name} has no such option.")
    meta = {"dataset_meta": dataset_meta} if "dataset_meta" in known else {}
    return WRITERS.build({**cfg.writer, **meta, **(options or {})})
