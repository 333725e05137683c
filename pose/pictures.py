"""Pictures of a person: the truth beside the prediction."""

from __future__ import annotations

import cv2
import numpy as np
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.sample import DataSample
from pose.drawing import Pen, draw_people
from pose.metainfo import PoseMetainfo, parse_metainfo
from pose.registry import VISUALIZERS


@VISUALIZERS.register_module()
class PoseVisualizer(Visualizer):
    """Draws truth | prediction over the image of a person.

    Args:
        radius: Of a keypoint, pixels of the picture.
        thickness: Of a link, likewise.
        kpt_thr: Predicted keypoints with a lower score are left out.
        max_height: Pictures are scaled down to this height in pixels.
    """

    def __init__(
        self,
        name: str = "visualizer",
        radius: int = 3,
        thickness: int = 2,
        kpt_thr: float = 0.3,
        max_height: int = 512,
        vis_backends: list | None = None,
        save_dir: str | None = None,
    ) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)
        self.pen = Pen(radius, thickness, kpt_thr)
        self.max_height = max_height

    @master_only
    def add_datasample(
        self, name: str, image: NDArray, data_sample: DataSample, step: int = 0
    ) -> None:
        """Sends the picture of one sample to all backends; see :meth:`draw`."""
        self.add_image(name, self.draw(image, data_sample), step)

    def draw(self, image: NDArray, data_sample: DataSample) -> NDArray:
        """Draws a sample.

        Args:
            image: RGB image (H, W, 3) uint8, the original one or the crop.
            data_sample: With ``gt_instances``, ``pred_instances`` or both. If the image is not
                of the crop's size, the truth is moved back to the original.

        Returns:
            RGB uint8.
        """
        metainfo = parse_metainfo(self.dataset_meta)
        scale = min(1.0, self.max_height / image.shape[0])
        size_wh = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
        panels = []
        truth = data_sample.get("gt_instances")
        if truth is not None and "keypoints" in truth:
            points, visible = truth.keypoints.numpy(), truth.keypoints_visible.numpy()
            if image.shape[:2] != tuple(data_sample.get("size_hw", image.shape[:2])):
                back = geometry.invert(data_sample.warp_matrix)
                points = geometry.transform_points(points, back)
            panels.append(self._panel(small, points * scale, visible, metainfo))
        found = data_sample.get("pred_instances")
        if found is not None:
            points, scores = found.keypoints.numpy(), found.keypoint_scores.numpy()
            panels.append(self._panel(small, points * scale, scores, metainfo))
        return np.concatenate(panels or [small], axis=1)

    def _panel(
        self, image: NDArray, points: NDArray, scores: NDArray, metainfo: PoseMetainfo
    ) -> NDArray:
        panel = image.copy()
        draw_people(panel, points, scores, metainfo, self.pen)
        return panel
