"""The files that inference leaves of people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from engine.data.decoding import read_json
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.infer.images import InputImage
from engine.infer.json_files import write_json
from engine.infer.writer import PICTURE_FORMATS, Output, Writer, check_format
from engine.registry import WRITERS
from engine.visualizer import put_text
from pose.drawing import Pen, draw_openpose, draw_people
from pose.infer.coco_results import CocoResults, read_image_ids
from pose.infer.formats import FORMATS, Format, Layout, Picture
from pose.metainfo import parse_metainfo, to_openpose

_ID_SCALE, _ID_HEIGHT = 0.6, 14
_ID_COLOR = (255, 255, 0)


@WRITERS.register_module()
class PoseWriter(Writer):
    """Writes ``<stem>.json`` and a picture of all people, and :meth:`finish` what is of all images.

    A JSON holds ``{"meta": {"image", "width", "height", "keypoint_set"}, "instances": [...]}``, an
    instance ``{"keypoints": [[x, y], ...], "keypoint_scores": [...], "bbox": [x1, y1, x2, y2],
    "bbox_score"}``, all in pixels of the image; other formats are in :mod:`pose.infer.formats`.

    Args:
        metainfo: The keypoint set: see :func:`pose.metainfo.parse_metainfo`. ``load_config`` fills
            in the model's.
        radius: Of a keypoint, pixels.
        thickness: Of a link, pixels.
        kpt_thr: Keypoints with a lower score are not drawn; files hold all.
        show_ids: Write the id beside each keypoint.
        style: ``"skeleton"`` over the image as ``<stem>.jpg``, or ``"openpose"`` on black, as
            ControlNet takes it, as ``<stem>.png``.
        format: Of the JSON: ``"mmsapiens"``, as above; ``"release"``, as the release's demos write;
            ``"openpose"``, BODY_25 with face and hands; ``"coco"``, annotations.
        save: The outputs, ``json`` and ``picture``; both by default.
        picture_format: "png", "jpg" or "webp".
        annotations: COCO's annotation file whose ids of images ``coco_results.json`` takes.
    """

    default_save = video_save = ("json", "picture")
    of_frames = ()
    common = ("coco_results.json", "keypoint_set.json")

    def __init__(
        self,
        metainfo: str | Mapping[str, Any],
        radius: int = 4,
        thickness: int = 2,
        kpt_thr: float = 0.3,
        show_ids: bool = False,
        style: Literal["skeleton", "openpose"] = "skeleton",
        format: Format = "mmsapiens",
        save: Sequence[str] | None = None,
        picture_format: str | None = None,
        annotations: str | None = None,
    ) -> None:
        if style not in ("skeleton", "openpose"):
            raise ConfigError(f"PoseWriter: style is skeleton or openpose, found {style!r}.")
        if format not in FORMATS:
            raise ConfigError(f"PoseWriter: format is one of {', '.join(FORMATS)}, not {format!r}.")
        self.metainfo = parse_metainfo(metainfo)
        if "openpose" in (style, format):  # a set without shoulders is refused before all the work
            nobody = np.zeros((0, self.metainfo.num_keypoints, 2))
            to_openpose(nobody, nobody[..., 0], self.metainfo)
        self.layout = Layout(format, self.metainfo, kpt_thr)
        self.pen = Pen(radius, thickness, kpt_thr, show_ids)
        self.style = style
        usual = "jpg" if style == "skeleton" else "png"
        self.picture_suffix = check_format(
            "picture_format", picture_format or usual, PICTURE_FORMATS
        )
        image_ids = None if annotations is None else read_image_ids(annotations)
        self.results = CocoResults(self.metainfo, image_ids)
        super().__init__(save)

    def all_outputs(self) -> dict[str, Output]:
        """JSON and picture."""
        return {
            "json": Output(".json", self._write_json),
            "picture": Output(self.picture_suffix, self.write_picture),
        }

    def check(self, images: Iterable[InputImage]) -> None:
        """Checks that all images are in the annotation file, if there is one."""
        self.results.check(image.name for image in images)

    def collect(self, sample: DataSample) -> None:
        """Keeps the people for ``coco_results.json``."""
        self.results.add(sample.img_path, sample.pred_instances)

    @property
    def sure_suffixes(self) -> tuple[str, ...] | None:
        """None without a JSON that holds all, of which the results of all images are made."""
        return self.suffixes if "json" in self.outputs and self.layout.is_readable else None

    @property
    def video_suffixes(self) -> tuple[str, ...]:
        """Of the files of a whole video: one for each output."""
        return tuple(".json" if name == "json" else ".mp4" for name in self.outputs)

    def recall(self, image: InputImage, out_dir: Path) -> None:
        """Reads the people of an image from its JSON."""
        content = read_json(Path(out_dir, f"{image.out_stem}.json"))
        self.results.add(image.name, self.layout.read_people(content))

    def _write_json(self, sample: DataSample, image_bgr: NDArray, path: Path) -> None:
        name, (height, width) = sample.get("img_path", path.name), image_bgr.shape[:2]
        picture = Picture(name, (height, width), sample.pred_instances)
        write_json(path, self.layout.of_image(picture))

    def picture(self, sample: DataSample, image_bgr: NDArray) -> NDArray:
        """All people, over the image or on black."""
        return self.draw(sample.pred_instances, image_bgr)

    def draw(self, people: InstanceData, image_bgr: NDArray) -> NDArray:
        """Returns the picture of people, (H, W, 3) uint8 RGB; of a video with their ids."""
        keypoints, scores = people.keypoints.numpy(), people.keypoint_scores.numpy()
        if self.style == "openpose":
            return draw_openpose(image_bgr.shape[:2], keypoints, scores, self.metainfo, self.pen)
        picture = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
        draw_people(picture, keypoints, scores, self.metainfo, self.pen)
        for track_id, box in zip(people.get("track_ids", ()), people.bboxes, strict=False):
            origin = int(box[::2].mean()), max(int(box[1]), _ID_HEIGHT)
            put_text(picture, str(int(track_id)), origin, _ID_SCALE, _ID_COLOR)
        return picture

    def finish(self, out_dir: Path) -> None:
        """Writes ``coco_results.json``, everybody in COCO's format, and ``keypoint_set.json``."""
        for name, content in zip(
            self.common, (self.results.rows(), self.metainfo.as_dict()), strict=True
        ):
            write_json(out_dir / name, content)
