"""Pictures of what a masked autoencoder makes of image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from numpy.typing import NDArray

from engine.data import LoadImage, PackInputs, Resize, Warp, collate_samples
from engine.errors import DataError
from engine.image_files import image_rgb, write_rgb
from engine.infer import InputImage
from pretrain import MAE
from pretrain.pictures import draw_strip


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
        sample = {"img_path": str(path), "sample_key": (self.seed, 0, index)}
        packed = self.pipeline(sample)
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
