"""Label maps as files: labels, foreground, probabilities, a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.image_files import write_png
from engine.infer.writer import MASK_FORMATS, PICTURE_FORMATS, Output, Writer, check_format
from engine.registry import WRITERS
from seg.parts.pictures import draw_legend, overlay


@WRITERS.register_module()
class SegWriter(Writer):
    """Writes labels, foreground and a picture, or what else of these outputs is asked for.

    * ``labels``: ``<stem>_seg.npy``, (H, W) uint8; or ``<stem>_seg.png``, 8-bit grey.
    * ``foreground``: ``<stem>.npy``, (H, W) bool, what is not background; or ``<stem>_mask.png``,
      0 and 255.
    * ``probabilities``: ``<stem>_prob.npy``, (C, h, w) float16, if the model keeps them.
    * ``picture``: ``<stem>.png``, the labels over the image, with a legend.

    Args:
        dataset_meta: With ``classes`` and ``palette``.
        opacity: Weight of the colours in the picture, in [0, 1].
        save: The outputs; labels, foreground and picture by default.
        mask_format: Of labels and foreground: "npy" or "png".
        picture_format: "png", "jpg" or "webp".
    """

    default_save = ("labels", "foreground", "picture")
    label_suffix = ".png"

    def __init__(
        self,
        dataset_meta: dict,
        opacity: float = 0.5,
        save: Sequence[str] | None = None,
        mask_format: str = "npy",
        picture_format: str = "png",
    ) -> None:
        self.classes = dataset_meta["classes"]
        self.palette = dataset_meta["palette"]
        self.opacity = opacity
        self.mask_suffix = check_format("mask_format", mask_format, MASK_FORMATS)
        self.picture_suffix = check_format("picture_format", picture_format, PICTURE_FORMATS)
        super().__init__(save)

    def all_outputs(self) -> dict[str, Output]:
        """Labels, foreground, probabilities, picture."""
        foreground = "_mask.png" if self.mask_suffix == ".png" else ".npy"
        return {
            "labels": Output(f"_seg{self.mask_suffix}", _write_seg_map, needs_image=False),
            "foreground": Output(foreground, _write_foreground, needs_image=False),
            "probabilities": Output("_prob.npy", _write_probabilities, needs_image=False),
            "picture": Output(self.picture_suffix, self.write_picture),
        }

    def picture(
        self, sample: DataSample, image_bgr: np.ndarray, labels: Sequence[int] | None = None
    ) -> np.ndarray:
        """The labels over the image, and a legend of some, or of those that occur, beside it."""
        seg_map = seg_map_of(sample)
        picture = overlay(image_bgr[..., ::-1], seg_map, self.palette, self.opacity)
        shown = np.unique(seg_map).tolist() if labels is None else labels
        legend = draw_legend(len(picture), shown, self.classes, self.palette)
        return np.hstack([picture, legend])

    def frame_drawer(self) -> Callable[[DataSample, NDArray], NDArray]:
        """The legend is of all classes."""
        return partial(self.picture, labels=range(len(self.classes)))

    def write_labels(self, sample: DataSample, out_stem: Path) -> None:
        """Writes the labels (H, W) as an 8-bit grey PNG, as benchmarks want them."""
        write_png(Path(f"{out_stem}.png"), seg_map_of(sample))


def seg_map_of(sample: DataSample) -> NDArray[np.uint8]:
    """Returns the predicted labels (H, W)."""
    return sample.pred_sem_seg.data[0].cpu().numpy()


def _write_map(path: Path, values: NDArray, pixels: NDArray) -> None:
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        write_png(path, pixels)


def _write_seg_map(sample: DataSample, _: NDArray, path: Path) -> None:
    _write_map(path, seg_map_of(sample), seg_map_of(sample))


def _write_foreground(sample: DataSample, _: NDArray, path: Path) -> None:
    foreground = seg_map_of(sample) > 0
    _write_map(path, foreground, np.where(foreground, np.uint8(255), np.uint8(0)))


def _write_probabilities(sample: DataSample, _: NDArray, path: Path) -> None:
    if "seg_probabilities" not in sample:
        raise ConfigError(
            "the model keeps no probabilities: set model.keep_probabilities=True, as "
            "--save probabilities does."
        )
    np.save(path, sample.seg_probabilities.data.cpu().numpy())
