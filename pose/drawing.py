"""People drawn over an image, the truth beside the prediction, or on black as OpenPose does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.geometry import SizeHW
from engine.data.sample import DataSample
from engine.visualizer import PanelVisualizer, put_text
from pose.metainfo import PoseMetainfo, parse_metainfo, to_openpose
from pose.registry import VISUALIZERS

_LIMB_OPACITY, _JOINT_OPACITY = 0.6, 0.8


@dataclass(frozen=True)
class Pen:
    """How people are drawn.

    Args:
        radius: Of a keypoint, pixels.
        thickness: Of a link, pixels.
        kpt_thr: Keypoints with a lower score, and their links, are left out.
        show_ids: Write the id beside each keypoint.
    """

    radius: int = 4
    thickness: int = 2
    kpt_thr: float = 0.3
    show_ids: bool = False


def draw_people(
    image: NDArray, keypoints: NDArray, scores: NDArray, metainfo: PoseMetainfo, pen: Pen
) -> None:
    """Draws links and keypoints over an RGB image (H, W, 3) uint8, in place.

    What lies outside the image is left out.

    Args:
        image: Is changed.
        keypoints: (N, K, 2), pixels.
        scores: (N, K).
        metainfo: Of the K keypoints.
        pen: How.
    """
    for points, shown in _visible(keypoints, scores, image.shape[:2], pen):
        for a, b, color in metainfo.links:
            if shown[a] and shown[b]:
                cv2.line(image, points[a], points[b], color, pen.thickness, cv2.LINE_AA)
        for i in np.flatnonzero(shown):
            cv2.circle(image, points[i], pen.radius, metainfo.colors[i], -1, cv2.LINE_AA)
        _write_ids(image, points, shown, pen)


def draw_openpose(
    size_hw: SizeHW, keypoints: NDArray, scores: NDArray, metainfo: PoseMetainfo, pen: Pen
) -> NDArray[np.uint8]:
    """Draws people on black in OpenPose's style, ControlNet's input; see ``to_openpose``.

    Args:
        size_hw: Of the picture.
        keypoints: (N, K, 2), pixels.
        scores: (N, K).
        metainfo: Of the K keypoints.
        pen: How; links are ellipses, ``thickness`` their smaller semi-axis.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    canvas = np.zeros((*size_hw, 3), np.uint8)
    keypoints, scores, target = to_openpose(keypoints, scores, metainfo, pen.kpt_thr)
    for points, shown in _visible(keypoints, scores, size_hw, pen):
        for a, b, color in target.links:
            if shown[a] and shown[b]:
                limb = _limb(points[a], points[b], pen.thickness)
                _blend(canvas, limb, color, _LIMB_OPACITY)
        for i in np.flatnonzero(shown):
            joint = _ellipse(points[i], (pen.radius, pen.radius), 0)
            _blend(canvas, joint, target.colors[i], _JOINT_OPACITY)
        _write_ids(canvas, points, shown, pen)
    return canvas


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


def _visible(
    keypoints: NDArray, scores: NDArray, size_hw: SizeHW, pen: Pen
) -> Iterator[tuple[list[list[int]], NDArray]]:
    """Whole pixels of each person, and which of them to draw."""
    size_wh = np.array(size_hw[::-1])
    pixels = np.rint(keypoints).astype(int)
    inside = ((pixels >= 0) & (pixels < size_wh)).all(axis=-1)
    shown = inside & (scores >= pen.kpt_thr)
    return zip(pixels.tolist(), shown, strict=True)


def _limb(start: Sequence[int], end: Sequence[int], half_width: int) -> NDArray[np.int32]:
    (x1, y1), (x2, y2) = start, end
    length = np.hypot(x2 - x1, y2 - y1)
    angle = np.degrees(np.arctan2(y2 - y1, x2 - x1))
    middle = (x1 + x2) // 2, (y1 + y2) // 2
    return _ellipse(middle, (int(length / 2), half_width), int(angle))


def _ellipse(center: Sequence[int], axes: Sequence[int], angle: int) -> NDArray[np.int32]:
    return np.array(cv2.ellipse2Poly(center, axes, angle, 0, 360, 5), np.int32)


def _blend(canvas: NDArray, polygon: NDArray, color: tuple[int, int, int], opacity: float) -> None:
    """Blends a filled polygon; only its surroundings are touched, which a large picture needs."""
    x, y, w, h = cv2.boundingRect(polygon)
    left, top = max(x, 0), max(y, 0)
    part = canvas[top : y + h, left : x + w]
    if part.size:
        filled = cv2.fillConvexPoly(part.copy(), polygon - (left, top), color)
        part[:] = cv2.addWeighted(part, 1 - opacity, filled, opacity, 0)


def _write_ids(image: NDArray, points: list[list[int]], shown: NDArray, pen: Pen) -> None:
    if not pen.show_ids:
        return
    scale = max(0.1 * pen.radius, 0.3)
    for i in np.flatnonzero(shown):
        origin = points[i][0] + pen.radius, points[i][1] - pen.radius
        put_text(image, str(i), origin, scale, (255, 255, 255))
