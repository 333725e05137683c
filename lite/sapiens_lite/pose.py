"""Keypoints of everybody: JSON files and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sapiens_lite.crops import Boxes, boxes_within, crop_matrix, cut_out, invert
from sapiens_lite.heatmaps import locate
from sapiens_lite.images import Item, read_image, write, write_picture
from sapiens_lite.parts import planes_of
from sapiens_lite.spec import Spec
from sapiens_lite.work import Prepared

FindBoxes = Callable[[NDArray, str], Boxes]
"""Finds the people of an image (H, W, 3) BGR of a name."""
_COLOR = (255, 128, 0)


@dataclass(frozen=True)
class Pose:
    """Writes ``<stem>.json`` and a picture of all people.

    Args:
        spec: Of the model.
        out_dir: Folder of the results.
        find_boxes: Where the people are; picklable.
        radius: Of a keypoint, pixels.
        thickness: Of a link, pixels.
        kpt_thr: Keypoints with a lower score are not drawn; the JSON has all.
        save_format: Suffix of the picture.
    """

    spec: Spec
    out_dir: Path
    find_boxes: FindBoxes
    radius: int = 4
    thickness: int = 2
    kpt_thr: float = 0.3
    save_format: str = "png"

    @property
    def suffixes(self) -> Sequence[str]:
        """See :class:`sapiens_lite.work.Task`."""
        return ".json", f".{self.save_format}"

    def prepare(self, item: Item) -> Prepared:
        """Cuts people out."""
        image = read_image(item.path)
        found = self.find_boxes(image, item.name)
        boxes, problems = boxes_within(found, (image.shape[0], image.shape[1]))
        size_hw = self.spec.size_hw
        maps = [crop_matrix(box[:4], size_hw, self.spec.box_padding) for box in boxes]
        crops = [planes_of(cut_out(image, matrix, size_hw)) for matrix in maps]
        inputs = np.array(crops, np.uint8).reshape(-1, 3, *size_hw)
        return Prepared(inputs, (maps, boxes), problems)

    def reduce(self, raw: NDArray[np.float32]) -> Any:
        """Finds keypoints (N, K, 2), in pixels of the crops, and their scores (N, K)."""
        (height, width), (h, w) = self.spec.size_hw, raw.shape[2:]
        if not len(raw):
            num = len(self.spec.keypoints.get("names", ()))
            return np.zeros((0, num, 2)), np.zeros((0, num), np.float32)
        points, scores = locate(raw)
        return points * np.array([(width - 1) / (w - 1), (height - 1) / (h - 1)]), scores

    def finish(self, item: Item, result: Any, info: Any) -> None:
        """Takes keypoints back to the image."""
        (points, scores), (maps, boxes) = result, info
        backs = [invert(matrix) for matrix in maps]
        found = [one @ back[:, :2].T + back[:, 2] for one, back in zip(points, backs, strict=True)]
        image = read_image(item.path)
        people = [
            {
                "keypoints": one.astype(np.float32).tolist(),
                "keypoint_scores": score.tolist(),
                "bbox": box[:4].tolist(),
                "bbox_score": float(box[4]),
            }
            for one, score, box in zip(found, scores, boxes, strict=True)
        ]
        meta = {"image": item.name, "width": image.shape[1], "height": image.shape[0]}
        meta["keypoint_set"] = self.spec.keypoints.get("name")
        text = json.dumps({"meta": meta, "instance_info": people})
        stem = self.out_dir / item.stem
        path, picture = Path(f"{stem}.json"), Path(f"{stem}.{self.save_format}")
        write(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
        for one, score in zip(found, scores, strict=True):
            self._draw(image, one, score)
        write_picture(picture, image)

    def _draw(self, image: NDArray[np.uint8], points: NDArray, scores: NDArray) -> None:
        """Draws a person over an image (H, W, 3) BGR, in place; what lies outside is left out."""
        pixels = np.rint(points).astype(int)
        inside = ((pixels >= 0) & (pixels < image.shape[1::-1])).all(axis=1)
        shown = inside & (scores >= self.kpt_thr)
        at, known = pixels.tolist(), self.spec.keypoints
        for a, b, color in known.get("links", ()):
            if shown[a] and shown[b]:
                cv2.line(image, at[a], at[b], color[::-1], self.thickness, cv2.LINE_AA)
        colors = known.get("colors") or [_COLOR] * len(at)
        for i in np.flatnonzero(shown):
            cv2.circle(image, at[i], self.radius, colors[i][::-1], -1, cv2.LINE_AA)


def flipped_too(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]], keypoints: Mapping[str, Any]
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Returns what predicts the mean of the heatmaps of people and of their mirror images."""
    swap = list(keypoints["swap"])

    def both(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        mirrored = predict(np.ascontiguousarray(images[..., ::-1]))[..., ::-1][:, swap]
        return np.asarray((predict(images) + mirrored) / 2, np.float32)

    return both
