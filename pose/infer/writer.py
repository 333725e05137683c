"""The files that inference leaves of people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from engine.data.decoding import read_json
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.infer.images import InputImage
from engine.infer.writer import PICTURE_FORMATS, Output, Writer, check_format
from engine.registry import WRITERS
from pose.coco_format import result_row
from pose.drawing import Pen, draw_openpose, draw_people
from pose.metainfo import parse_metainfo
from pose.metrics.nms import rescore


@WRITERS.register_module()
class PoseWriter(Writer):
    """Writes ``<stem>.json`` and a picture of all people, and :meth:`finish` what is of all images.

    A JSON holds ``{"meta": {"image", "width", "height", "keypoint_set"}, "instances": [...]}``, an
    instance ``{"keypoints": [[x, y], ...], "keypoint_scores": [...], "bbox": [x1, y1, x2, y2],
    "bbox_score"}``, all in pixels of the image.

    Args:
        metainfo: The keypoint set: see :func:`pose.metainfo.parse_metainfo`. ``load_config`` fills
            in the model's.
        radius: Of a keypoint, pixels.
        thickness: Of a link, pixels.
        kpt_thr: Keypoints with a lower score are not drawn; files hold all.
        show_ids: Write the id beside each keypoint.
        style: ``"skeleton"`` over the image as ``<stem>.jpg``, or ``"openpose"`` on black, as
            ControlNet takes it, as ``<stem>.png``.
        save: The outputs, ``json`` and ``picture``; both by default.
        picture_format: "png", "jpg" or "webp".
    """

    default_save = ("json", "picture")
    common = ("coco_results.json", "keypoint_set.json")

    def __init__(
        self,
        metainfo: str | Mapping[str, Any],
        radius: int = 4,
        thickness: int = 2,
        kpt_thr: float = 0.3,
        show_ids: bool = False,
        style: Literal["skeleton", "openpose"] = "skeleton",
        save: Sequence[str] | None = None,
        picture_format: str | None = None,
    ) -> None:
        if style not in ("skeleton", "openpose"):
            raise ConfigError(f"PoseWriter: style is skeleton or openpose, found {style!r}.")
        self.metainfo = parse_metainfo(metainfo)
        self.pen = Pen(radius, thickness, kpt_thr, show_ids)
        self.style = style
        usual = "jpg" if style == "skeleton" else "png"
        self.picture_suffix = check_format(
            "picture_format", picture_format or usual, PICTURE_FORMATS
        )
        self._people: dict[str, InstanceData] = {}
        super().__init__(save)

    def all_outputs(self) -> dict[str, Output]:
        """JSON and picture."""
        return {
            "json": Output(".json", self._write_json),
            "picture": Output(self.picture_suffix, self.write_picture),
        }

    def write(self, sample: DataSample, image_bgr: NDArray, out_stem: Path) -> None:
        """Writes the results of an image.

        Args:
            sample: With ``pred_instances`` of N people: see :class:`pose.infer.PeopleOfImage`.
            image_bgr: The image (H, W, 3) uint8.
            out_stem: Path of the results without suffix.
        """
        super().write(sample, image_bgr, out_stem)
        self._people[sample.get("img_path", out_stem.name)] = sample.pred_instances

    @property
    def sure_suffixes(self) -> tuple[str, ...] | None:
        """None without JSON, of which the results of all images are made."""
        return self.suffixes if "json" in self.outputs else None

    def recall(self, image: InputImage, out_dir: Path) -> None:
        """Reads the people of an image from its JSON."""
        content = read_json(Path(out_dir, f"{image.out_stem}.json"))
        self._people[content["meta"]["image"]] = of_lists(
            content["instances"], self.metainfo.num_keypoints
        )

    def _write_json(self, sample: DataSample, image_bgr: NDArray, path: Path) -> None:
        height, width = image_bgr.shape[:2]
        meta = {"image": sample.get("img_path"), "width": width, "height": height}
        meta["keypoint_set"] = self.metainfo.name
        write_json(path, {"meta": meta, "instances": as_lists(sample.pred_instances)})

    def picture(self, sample: DataSample, image_bgr: NDArray) -> NDArray:
        """All people, over the image or on black."""
        return self.draw(sample.pred_instances, image_bgr)

    def draw(self, people: InstanceData, image_bgr: NDArray) -> NDArray:
        """Returns the picture of people, (H, W, 3) uint8 RGB."""
        keypoints, scores = people.keypoints.numpy(), people.keypoint_scores.numpy()
        if self.style == "openpose":
            return draw_openpose(image_bgr.shape[:2], keypoints, scores, self.metainfo, self.pen)
        picture = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
        draw_people(picture, keypoints, scores, self.metainfo, self.pen)
        return picture

    def finish(self, out_dir: Path) -> None:
        """Writes ``coco_results.json``, all people in COCO's format, and ``keypoint_set.json``.

        COCO's images are numbered; ``image_id`` is the number that a file's name consists of, else
        its place among the written images, or the next number that is free; ``file_name`` is added.
        """
        rows: list[dict] = []
        image_ids: set[int] = set()
        for name in sorted(self._people, key=Path):  # threads write them in any order
            image_ids.add(image_id := _image_id(name, image_ids))
            people = self._people[name]
            scores = rescore(people.bbox_scores, people.keypoint_scores)
            everybody = np.dstack([people.keypoints, people.keypoint_scores])
            rows += [
                {"file_name": name, **result_row(image_id, score, points, self.metainfo)}
                for points, score in zip(everybody, scores, strict=True)
            ]
        for name, content in zip(self.common, (rows, self.metainfo.as_dict()), strict=True):
            write_json(out_dir / name, content)


def _image_id(name: str, taken: set[int]) -> int:
    stem = Path(name).stem
    image_id = int(stem) if stem.isdecimal() else len(taken) + 1
    while image_id in taken:
        image_id += 1
    return image_id


def as_lists(people: InstanceData) -> list[dict]:
    """Returns each person as a dict for JSON."""
    return [
        {
            "keypoints": people.keypoints[i].tolist(),
            "keypoint_scores": people.keypoint_scores[i].tolist(),
            "bbox": people.bboxes[i].tolist(),
            "bbox_score": float(people.bbox_scores[i]),
        }
        for i in range(len(people.bbox_scores))
    ]


def of_lists(people: list[dict], num_keypoints: int) -> InstanceData:
    """Undoes :func:`as_lists`."""

    def stacked(name: str, *shape: int) -> torch.Tensor:
        values = np.array([person[name] for person in people], np.float32)
        return torch.from_numpy(values.reshape(len(people), *shape))

    return InstanceData(
        keypoints=stacked("keypoints", num_keypoints, 2),
        keypoint_scores=stacked("keypoint_scores", num_keypoints),
        bboxes=stacked("bbox", 4),
        bbox_scores=stacked("bbox_score"),
    )


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file in UTF-8."""
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
