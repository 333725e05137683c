"""Pictures of masked autoencoding: what was shown, what was hidden, what was made up."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.visualizer import PanelVisualizer
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
