"""Pictures of masked autoencoding: what was shown, what was hidden, what was made up."""

from __future__ import annotations

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from numpy.typing import NDArray

from engine.data.sample import DataSample
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
class MAEVisualizer(Visualizer):
    """Draws input | masked | reconstruction.

    Args:
        paste_visible: Show the image itself, not its reconstruction, where it was not removed. The
            model is not trained on those patches.
        max_height: Pictures are scaled down to this height in pixels.
        name, vis_backends, save_dir: See MMEngine's Visualizer.
    """

    def __init__(
        self,
        name: str = "visualizer",
        paste_visible: bool = False,
        max_height: int = 512,
        vis_backends: list | None = None,
        save_dir: str | None = None,
    ) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)
        self.paste_visible = paste_visible
        self.max_height = max_height

    @master_only
    def add_datasample(
        self, name: str, image: NDArray, data_sample: DataSample, step: int = 0
    ) -> None:
        """Sends the picture of one sample to all backends.

        Args:
            name: Name of the picture.
            image: RGB image (H, W, 3) uint8, as the model got it.
            data_sample: See :func:`draw_strip`.
            step: Training iteration.
        """
        self.add_image(name, self.draw(image, data_sample), step)

    def draw(self, image: NDArray, data_sample: DataSample) -> NDArray:
        """Returns the picture as RGB uint8: of a sample without a prediction, only the image."""
        if "reconstruction" in data_sample:
            image = draw_strip(image, data_sample, self.paste_visible)
        height, width = image.shape[:2]
        scale = min(1.0, self.max_height / height)
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
