"""Label maps as files: the labels, the foreground, a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.data.sample import DataSample
from engine.image_files import write_png, write_rgb
from engine.infer.writer import Writer
from engine.registry import WRITERS
from seg.parts.pictures import draw_legend, overlay


@WRITERS.register_module()
class SegWriter(Writer):
    """Writes ``<stem>_seg.npy``, ``<stem>.npy`` and ``<stem>.png``.

    Args:
        dataset_meta: With ``classes`` and ``palette``.
        opacity: Weight of the colours in the picture, in [0, 1].
    """

    suffixes = ("_seg.npy", ".npy", ".png")
    label_suffix = ".png"

    def __init__(self, dataset_meta: dict, opacity: float = 0.5) -> None:
        self.classes = dataset_meta["classes"]
        self.palette = dataset_meta["palette"]
        self.opacity = opacity

    def write(self, sample: DataSample, image_bgr: np.ndarray, out_stem: Path) -> None:
        """Writes the results of an image.

        Args:
            sample: With ``pred_sem_seg`` (1, H, W) at the image's size.
            image_bgr: The image (H, W, 3) uint8.
            out_stem: Path of the results without suffix: labels (H, W) uint8 go to ``_seg.npy``,
                the foreground (label > 0) as bool to ``.npy``, the picture with its legend to
                ``.png``.
        """
        seg_map = sample.pred_sem_seg.data[0].cpu().numpy()
        np.save(f"{out_stem}_seg.npy", seg_map)
        np.save(f"{out_stem}.npy", seg_map > 0)
        write_rgb(Path(f"{out_stem}.png"), self.picture(sample, image_bgr))

    def picture(self, sample: DataSample, image_bgr: np.ndarray) -> np.ndarray:
        """The labels over the image, and a legend of those that occur beside it."""
        seg_map = sample.pred_sem_seg.data[0].cpu().numpy()
        picture = overlay(image_bgr[..., ::-1], seg_map, self.palette, self.opacity)
        legend = draw_legend(len(picture), np.unique(seg_map).tolist(), self.classes, self.palette)
        return np.hstack([picture, legend])

    def write_labels(self, sample: DataSample, out_stem: Path) -> None:
        """Writes the labels (H, W) as an 8-bit grey PNG, as benchmarks want them."""
        seg_map = sample.pred_sem_seg.data[0].cpu().numpy()
        write_png(Path(f"{out_stem}.png"), seg_map)
