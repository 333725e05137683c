"""Pictures of a person: the truth beside the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from engine.data import geometry
from engine.data.sample import DataSample
from engine.visualizer import PanelVisualizer
from pose.drawing import Pen, draw_people
from pose.metainfo import parse_metainfo
from pose.registry import VISUALIZERS


@VISUALIZERS.register_module()
class PoseVisualizer(PanelVisualizer):
    """Draws truth | prediction over the image of a person.

    They are ``gt_instances`` and ``pred_instances``. The image is the original one or the crop: if
    it is not of the crop's size, the truth is moved back to the original.

    Args:
        metainfo: The keypoint set: see :func:`pose.metainfo.parse_metainfo`. ``load_config`` fills
            in the model's.
        name: See MMEngine's Visualizer.
        radius: Of a keypoint, pixels of the picture.
        thickness: Of a link, likewise.
        kpt_thr: Predicted keypoints with a lower score are left out.
        **kwargs: See :class:`engine.visualizer.PanelVisualizer`.
    """

    def __init__(
        self,
        metainfo: str | Mapping[str, Any],
        name: str = "visualizer",
        radius: int = 3,
        thickness: int = 2,
        kpt_thr: float = 0.3,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self.metainfo = parse_metainfo(metainfo)
        self.pen = Pen(radius, thickness, kpt_thr)

    def panels(self, image: NDArray, data_sample: DataSample) -> list[NDArray]:
        """See base class."""
        people = []
        truth, found = data_sample.get("gt_instances"), data_sample.get("pred_instances")
        if truth is not None and "keypoints" in truth:
            points = truth.keypoints.cpu().numpy()
            if image.shape[:2] != tuple(data_sample.get("size_hw", image.shape[:2])):
                back = geometry.invert(data_sample.warp_matrix)
                points = geometry.transform_points(points, back)
            people.append((points, truth.keypoints_visible.cpu().numpy()))
        if found is not None:
            people.append((found.keypoints.numpy(), found.keypoint_scores.numpy()))
        small = self.shrink(image)
        panels = [small.copy() for _ in people]
        for panel, (points, scores) in zip(panels, people, strict=True):
            draw_people(panel, points * self.scale(image), scores, self.metainfo, self.pen)
        return panels or [small]
