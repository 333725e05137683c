"""People as JSON, in the layouts that tools for keypoints take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from numpy.typing import NDArray

from engine.data.geometry import SizeHW
from engine.infer.video.job import frame_row
from pose.coco_format import result_row
from pose.metainfo import PoseMetainfo, to_openpose

Format = Literal["mmsapiens", "release", "openpose", "coco"]
FORMATS: tuple[Format, ...] = ("mmsapiens", "release", "openpose", "coco")
_NUM_BODY, _NUM_HAND = 18, 21
_OPENPOSE_FEET = tuple(
    f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel")
)
_OPENPOSE_NUM_FACE = 70  # the 68 of iBUG, and the pupils


class Picture(NamedTuple):
    """What was found in an image, or in a frame of a video.

    Attributes:
        name: Of the file, or of the frame.
        size_hw: Of the picture.
        people: ``keypoints`` (N, K, 2) in pixels, ``keypoint_scores``, ``bboxes`` (N, 4),
            ``bbox_scores``; of a video also ``track_ids``.
        time_s: Of a frame, seconds from the first one.
        failures: What could not be done in a frame, sentences.
    """

    name: str
    size_hw: SizeHW
    people: InstanceData
    time_s: float | None = None
    failures: Sequence[str] = ()


class Layout(NamedTuple):
    """How people are written.

    Attributes:
        format: One of :data:`FORMATS`.
        metainfo: Of the K keypoints.
        kpt_thr: Lowest score of a keypoint that counts as seen, where a format says so.
    """

    format: Format
    metainfo: PoseMetainfo
    kpt_thr: float = 0.3

    def of_image(self, picture: Picture) -> dict[str, Any]:
        """Returns the JSON of an image."""
        if self.format == "coco":
            return {key: list(rows) for key, rows in self._coco([picture]).items()}
        if self.format == "openpose":
            return self._openpose(picture.people)
        if self.format == "release":
            return {"meta_info": release_meta(self.metainfo), **self._release(picture.people)}
        meta = {"image": picture.name, **_size(picture), "keypoint_set": self.metainfo.name}
        return {"meta": meta, "instances": instances(picture.people)}

    @property
    def is_readable(self) -> bool:
        """Whether the JSON of an image holds all that was found: see :meth:`read_people`."""
        return self.format in ("mmsapiens", "release")

    def read_people(self, content: dict[str, Any]) -> InstanceData:
        """Returns the people of the JSON of an image, of a format that is readable."""
        rows = content["instances" if self.format == "mmsapiens" else "instance_info"]

        def stacked(name: str, *shape: int) -> torch.Tensor:
            values = np.array([row[name] for row in rows], np.float32)
            return torch.from_numpy(values.reshape(len(rows), *shape))

        return InstanceData(
            keypoints=stacked("keypoints", self.metainfo.num_keypoints, 2),
            keypoint_scores=stacked("keypoint_scores", self.metainfo.num_keypoints),
            bboxes=stacked("bbox", 4),  # the release nests it once more
            bbox_scores=stacked("bbox_score"),
        )

    def of_video(
        self, frames: Iterable[Picture], size_hw: SizeHW, fps: float, name: str
    ) -> dict[str, Any]:
        """Returns the JSON of a video; what is long is an iterator, for ``write_json``.

        The frames may be gone through twice.
        """
        if self.format == "coco":
            return self._coco(frames)
        if self.format == "openpose":
            people = ({**_frame(i, f), **self._openpose(f.people)} for i, f in enumerate(frames))
            return {"frames": people}
        if self.format == "release":
            info = (
                {**_frame(i, f), "instances": self._release(f.people)["instance_info"]}
                for i, f in enumerate(frames)
            )
            return {"meta_info": release_meta(self.metainfo), "instance_info": info}
        meta = {"video": name, "width": size_hw[1], "height": size_hw[0], "fps": fps}
        rows = ({**_frame(i, f), "instances": instances(f.people)} for i, f in enumerate(frames))
        return {"meta": {**meta, "keypoint_set": self.metainfo.name}, "frames": rows}

    def _release(self, people: InstanceData) -> dict[str, Any]:
        """The box is nested once more there."""
        rows = [{**person, "bbox": [person["bbox"]]} for person in instances(people)]
        return {"instance_info": rows}

    def _openpose(self, people: InstanceData) -> dict[str, Any]:
        """OpenPose's output, version 1.3: BODY_25, with face and hands if the set has them."""
        keypoints, scores = (np.asarray(v) for v in (people.keypoints, people.keypoint_scores))
        points, values, target = to_openpose(keypoints, scores, self.metainfo, self.kpt_thr)
        everybody = np.dstack([points, values])
        body = _body_25(everybody, target)
        num = target.num_keypoints
        hands = everybody[:, num - 2 * _NUM_HAND :] if num > _NUM_BODY else everybody[:, :0]
        has_face = "face-0" in self.metainfo.ids
        face = everybody[:, [target.ids[f"face-{i}"] for i in range(68)]] if has_face else None
        ids = [int(i) for i in people.track_ids] if "track_ids" in people else [-1] * len(body)
        return {
            "version": 1.3,
            "people": [
                {
                    "person_id": [ids[i]],
                    "pose_keypoints_2d": _flat(body[i]),
                    "face_keypoints_2d": [] if face is None else _flat(_with_pupils(face[i])),
                    "hand_left_keypoints_2d": _flat(hands[i, :_NUM_HAND]),
                    "hand_right_keypoints_2d": _flat(hands[i, _NUM_HAND:]),
                    **{
                        f"{part}_keypoints_3d": []
                        for part in ("pose", "face", "hand_left", "hand_right")
                    },
                }
                for i in range(len(body))
            ],
        }

    def _coco(self, pictures: Iterable[Picture]) -> dict[str, Iterator[dict]]:
        """An annotation file; this package's datasets read it as truth."""
        category = {
            "id": 1,
            "name": "person",
            "keypoints": list(self.metainfo.keypoints),
            "skeleton": [[a + 1, b + 1] for a, b, _ in self.metainfo.links],
        }
        images = (
            {
                "id": i,
                "file_name": picture.name,
                **_size(picture),
                **({} if picture.time_s is None else _frame(i - 1, picture)),
            }
            for i, picture in enumerate(pictures, 1)
        )
        return {
            "images": images,
            "annotations": self._coco_people(pictures),
            "categories": iter([category]),
        }

    def _coco_people(self, pictures: Iterable[Picture]) -> Iterator[dict]:
        number = 0
        for image_id, picture in enumerate(pictures, 1):
            for person in instances(picture.people):
                number += 1
                points, scores = np.array(person["keypoints"]), np.array(person["keypoint_scores"])
                visible = 2 * (scores >= self.kpt_thr)
                marked = np.column_stack([np.where(visible[:, None], points, 0), visible])
                x1, y1, x2, y2 = person["bbox"]
                yield {
                    "id": number,
                    **result_row(image_id, person["bbox_score"], marked, self.metainfo),
                    "num_keypoints": int((visible > 0).sum()),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                    **{key: person[key] for key in ("track_id",) if key in person},
                }


def instances(people: InstanceData) -> list[dict[str, Any]]:
    """Returns each person as a dict of plain values."""
    rows = [
        {
            "keypoints": people.keypoints[i].tolist(),
            "keypoint_scores": people.keypoint_scores[i].tolist(),
            "bbox": people.bboxes[i].tolist(),
            "bbox_score": float(people.bbox_scores[i]),
        }
        for i in range(len(people.bbox_scores))
    ]
    if "track_ids" in people:
        rows = [{"track_id": int(i), **row} for i, row in zip(people.track_ids, rows, strict=True)]
    return rows


def release_meta(metainfo: PoseMetainfo) -> dict[str, Any]:
    """The release's ``meta_info``, without ``dataset_keypoint_weights``, which no set has here.

    Arrays are objects with ``__ndarray__``, as the package json_tricks writes and reads them.
    """
    names = metainfo.keypoints
    swap = metainfo.keypoint_swap_indices
    links = metainfo.links
    return {
        "dataset_name": metainfo.name,
        "num_keypoints": metainfo.num_keypoints,
        "keypoint_id2name": {str(i): name for i, name in enumerate(names)},
        "keypoint_name2id": dict(metainfo.ids),
        "upper_body_ids": [metainfo.ids[name] for name in metainfo.upper_body],
        "lower_body_ids": [metainfo.ids[name] for name in metainfo.lower_body],
        "flip_indices": list(swap),
        "flip_pairs": [[i, other] for i, other in enumerate(swap) if i < other],
        "keypoint_colors": _array(np.array(metainfo.colors, np.uint8).reshape(-1, 3)),
        "num_skeleton_links": len(links),
        "skeleton_links": [[a, b] for a, b, _ in links],
        "skeleton_link_colors": _array(np.array([c for *_, c in links], np.uint8).reshape(-1, 3)),
        "sigmas": _array(np.array(metainfo.sigmas, np.float32)),
    }


def _array(values: NDArray) -> dict[str, Any]:
    order = {"Corder": True} if values.ndim > 1 else {}
    shape = list(values.shape)
    return {"__ndarray__": values.tolist(), "dtype": str(values.dtype), "shape": shape, **order}


def _body_25(people: NDArray, target: PoseMetainfo) -> NDArray:
    """BODY_25 (N, 25, 3) of OpenPose's 18 or 134 (N, K, 3): the hips' middle, and the feet."""
    hips = people[:, [target.ids[f"{side}_hip"] for side in ("left", "right")]]
    middle = np.column_stack([hips[..., :2].mean(axis=1), hips[..., 2].min(axis=1)])
    feet = [
        people[:, target.ids[name]] if name in target.ids else np.zeros_like(middle)
        for name in _OPENPOSE_FEET
    ]
    trunk, legs = people[:, :8], people[:, 8:_NUM_BODY]
    return np.concatenate([trunk, middle[:, None], legs, np.stack(feet, axis=1)], axis=1)


def _with_pupils(face: NDArray) -> NDArray:
    """The 70 of OpenPose; no set has the pupils, whose score is 0."""
    return np.concatenate([face, np.zeros((_OPENPOSE_NUM_FACE - len(face), 3))])


def _flat(points: NDArray) -> list[float]:
    return [float(value) for value in points.ravel()]


def _size(picture: Picture) -> dict[str, int]:
    return {"width": picture.size_hw[1], "height": picture.size_hw[0]}


def _frame(index: int, picture: Picture) -> dict[str, Any]:
    """What each frame of a video has in every format."""
    return frame_row(index, picture.time_s or 0.0, picture.failures)
