"""Pictures of masked autoencoding: what was shown, what was hidden, what was made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import Compose
from numpy.typing import NDArray

from engine.data import LoadImage, PackInputs, Resize, Warp, collate_samples
from engine.data.sample import DataSample
from engine.errors import DataError
from engine.image_files import image_rgb, write_rgb
from engine.infer import InputImage
from engine.visualizer import PanelVisualizer
from pretrain.mae import MAE
from pretrain.registry import VISUALIZERS

GREY = 128
"""Of removed patches."""


def draw_strip(image: NDArray, sample: DataSample, paste_visible: bool = False) -> NDArray:
    """Draws input | masked | reconstruction.

    Args:
        image: RGB (H, W, 3) uint8, as the model got it.
        sample: With ``patch_mask`` (1, h, w), 1 = removed, and ``reconstruction`` (3, H, W) uint8.
        paste_visible: Show the image itself, not its reconstruction, where it was not removed.

    Returns:
        (H, 3 W, 3) uint8.
    """
    height, width = image.shape[:2]
    mask = sample.patch_mask.data[0].cpu().numpy()
    removed = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)[..., None] > 0
    reconstruction = sample.reconstruction.data.permute(1, 2, 0).cpu().numpy()
    if paste_visible:
        reconstruction = np.where(removed, reconstruction, image)
    return np.hstack([image, np.where(removed, np.uint8(GREY), image), reconstruction])


@VISUALIZERS.register_module()
class MAEVisualizer(PanelVisualizer):
    """Draws input | masked | reconstruction, and only the input of a sample without a prediction.

    Args:
        name: See MMEngine's Visualizer.
        paste_visible: Show the image itself, not its reconstruction, where it was not removed. The
            model is not trained on those patches.
        **kwargs: See :class:`engine.visualizer.PanelVisualizer`.
    """

    def __init__(
        self, name: str = "visualizer", paste_visible: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(name, **kwargs)
        self.paste_visible = paste_visible

    def panels(self, image: NDArray, data_sample: DataSample) -> list[NDArray]:
        """See base class, and :func:`draw_strip`."""
        if "reconstruction" in data_sample:
            image = draw_strip(image, data_sample, self.paste_visible)
        return [self.shrink(image)]


class Reconstructor:
    """Draws input | masked | reconstruction at several mask ratios.

    A patch that is removed at one ratio is removed at all higher ones.

    Args:
        model: With a decoder.
        mask_ratios: Shares of patches to remove.
        paste_visible: Show the image where it was not removed.
        seed: Of the masks.

    Raises:
        ConfigError: If a ratio keeps nothing.
    """

    def __init__(
        self, model: MAE, mask_ratios: Sequence[float], paste_visible: bool, seed: int
    ) -> None:
        size_hw = model.backbone.img_size_hw
        self.pipeline = Compose(
            [LoadImage(), Resize(size_hw=size_hw), Warp(interpolation="bicubic"), PackInputs()]
        )
        self.model = model
        self.mask_ratios = mask_ratios
        self.paste_visible = paste_visible
        self.seed = seed
        for ratio in mask_ratios:
            model.backbone.set_mask_ratio(ratio)  # a wrong one fails here, before any work

    def draw(self, index: int, path: Path) -> NDArray:
        """Returns a strip for each ratio, one below the other, in RGB."""
        packed = self.pipeline({"img_path": str(path), "sample_key": (self.seed, 0, index)})
        image = image_rgb(packed)
        strips = []
        for ratio in self.mask_ratios:
            self.model.backbone.set_mask_ratio(ratio)
            with torch.inference_mode():
                (predicted,) = self.model.test_step(collate_samples([packed]))
            strips.append(draw_strip(image, predicted, self.paste_visible))
        return np.vstack(strips)

    def write(self, index: int, image: InputImage, out_dir: Path) -> None:
        """Writes the picture of an image.

        Raises:
            DataError: If the image cannot be read or the picture not be written.
        """
        path = out_dir / f"{image.out_stem}.png"
        if path.exists() and path.samefile(image.path):
            raise DataError("the picture would overwrite the image; choose another --output.")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rgb(path, self.draw(index, image.path))
