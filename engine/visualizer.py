"""The base of what draws samples: pictures side by side, such as image | truth | prediction."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import LocalVisBackend, Visualizer
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.prune import keep_last


def put_text(
    picture: NDArray,
    text: str,
    origin_xy: tuple[int, int],
    scale: float,
    colour: tuple[int, int, int],
) -> None:
    """Writes text over a picture (H, W, 3), in place; ``origin_xy`` is its lower left corner."""
    cv2.putText(picture, text, origin_xy, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


class PanelVisualizer(Visualizer):
    """Draws the panels of a sample; subclasses say which.

    Args:
        name: See MMEngine's Visualizer.
        max_height: Pictures are scaled down to this height in pixels.
        keep_pictures: Of each name so many pictures stay on the disk, those of the last steps; 0
            keeps all. Other backends, such as TensorBoard, have rules of their own.
        **kwargs: Further arguments of MMEngine's Visualizer.
    """

    def __init__(
        self,
        name: str = "visualizer",
        max_height: int = 512,
        keep_pictures: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.max_height = max_height
        self.keep_pictures = keep_pictures

    @abstractmethod
    def panels(self, image: NDArray, data_sample: DataSample) -> Sequence[NDArray]:
        """Returns pictures (h, w, 3) RGB uint8 of one height, at most ``max_height``.

        Args:
            image: RGB image (H, W, 3) uint8; maps of labels may be of another size.
            data_sample: With what is true, what is predicted, or both.
        """

    def draw(self, image: NDArray, data_sample: DataSample) -> NDArray:
        """Returns the panels of a sample side by side, RGB uint8; see :meth:`panels`."""
        return np.hstack(self.panels(image, data_sample))

    @master_only
    def add_datasample(
        self, name: str, image: NDArray, data_sample: DataSample, step: int = 0
    ) -> None:
        """Sends the picture of a sample to all backends.

        Args:
            name: Name of the picture.
            image: See :meth:`panels`.
            data_sample: See :meth:`panels`.
            step: Training iteration.
        """
        self.add_image(name, self.draw(image, data_sample), step)

    @master_only
    def add_image(self, name: str, image: NDArray, step: int = 0) -> None:
        """Sends a picture (H, W, 3) RGB uint8 to all backends, and removes the oldest of its name.

        Args:
            name: Name of the picture.
            image: The picture.
            step: Training iteration.
        """
        super().add_image(name, image, step)
        for backend in self._vis_backends.values():
            if isinstance(backend, LocalVisBackend):
                keep_last(backend._img_save_dir, f"{name}_{{}}.png", self.keep_pictures, step)

    def shrink(self, picture: NDArray) -> NDArray:
        """Returns a picture scaled down to ``max_height`` if it is higher."""
        height, width = picture.shape[:2]
        scale = self.scale(picture)
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        return cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)

    def scale(self, picture: NDArray) -> float:
        """Returns the factor in (0, 1] by which :meth:`shrink` scales a picture."""
        return min(1.0, self.max_height / len(picture))
