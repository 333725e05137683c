"""Body parts: labels, foreground, what there is, and a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sapiens_lite.images import Item, read_image, write, write_array, write_picture
from sapiens_lite.regions import polygons_of, run_lengths_of
from sapiens_lite.resize import labels_at
from sapiens_lite.spec import Spec
from sapiens_lite.work import DenseTask, Prepared


@dataclass(frozen=True)
class Parts(DenseTask):
    """Writes ``<stem>_<title>.png``, ``<stem>.npy``, ``<stem>_seg.npy`` and ``<stem>.json``.

    Args:
        spec: Of the model.
        out_dir: Folder of the results.
        opacity: Weight of the colours over the image, 0 to 1.
        title: Of the picture.
        save_format: Its suffix.
        regions: How the JSON tells where the classes are.
    """

    spec: Spec
    out_dir: Path
    opacity: float = 0.5
    title: str = "result"
    save_format: str = "png"
    regions: Literal["polygon", "rle"] = "polygon"

    @property
    def suffixes(self) -> Sequence[str]:
        """See :class:`sapiens_lite.work.Task`."""
        return f"_{self.title}.{self.save_format}", ".npy", "_seg.npy", ".json"

    def prepare(self, item: Item) -> Prepared:
        """Stretches an image to the model's input."""
        return prepare_whole(item, self.spec.size_hw)

    def finish(self, item: Item, result: Any, info: Any) -> None:
        """Takes the best class of each pixel of the image."""
        image = read_image(item.path)
        size_hw = image.shape[0], image.shape[1]
        labels = labels_at(result, [self.spec.size_hw, size_hw])
        stem = self.out_dir / item.stem
        picture, foreground, seg, described = (Path(f"{stem}{suffix}") for suffix in self.suffixes)
        write_array(foreground, labels != self.spec.background)
        write_array(seg, labels)
        content = {"image": item.name, "width": size_hw[1], "height": size_hw[0]}
        text = json.dumps({**content, **self.describe(labels)}, ensure_ascii=False)
        write(described, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
        write_picture(picture, overlay(image, labels, self.spec.palette, self.opacity))

    def describe(self, labels: NDArray[np.uint8]) -> dict[str, Any]:
        """Says which classes there are, and where those but the background are.

        Returns:
            ``labels``: id, name, color (RGB), area in pixels and share of each class that occurs;
            ``regions``: id, name, area, bbox (x, y, width, height), and ``polygons`` (see
            :func:`sapiens_lite.regions.polygons_of`) or ``rle``.
        """
        areas = np.bincount(labels.ravel(), minlength=1)
        is_polygon = self.regions == "polygon"
        shapes = polygons_of(labels) if is_polygon else run_lengths_of(labels)
        present, regions = [], []
        for label in np.flatnonzero(areas).tolist():
            area = int(areas[label])
            known = {"id": label, "name": self._name(label)}
            color = list(self.spec.palette[label]) if label < len(self.spec.palette) else None
            share = area / labels.size
            present.append({**known, "color": color, "area": area, "share": round(share, 6)})
            if label == self.spec.background:
                continue
            box = {"area": area, "bbox": box_of(labels == label)}
            regions.append({**known, **box, "polygons" if is_polygon else "rle": shapes[label]})
        return {"labels": present, "regions": regions}

    def _name(self, label: int) -> str:
        return self.spec.classes[label] if label < len(self.spec.classes) else str(label)


def box_of(mask: NDArray[np.bool_]) -> list[int]:
    """The box of a mask that is not empty: x, y, width, height."""
    return list(cv2.boundingRect(mask.view(np.uint8)))


def prepare_whole(item: Item, size_hw: tuple[int, int]) -> Prepared:
    """Reads an image and stretches it bilinearly; see :class:`sapiens_lite.work.Prepared`."""
    image = read_image(item.path)
    if image.shape[:2] != tuple(size_hw):
        image = np.asarray(cv2.resize(image, (size_hw[1], size_hw[0])), np.uint8)
    return Prepared(planes_of(image)[None])


def planes_of(image_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turns (H, W, 3) BGR into (3, H, W) RGB."""
    return np.ascontiguousarray(image_bgr[..., ::-1].transpose(2, 0, 1))


def overlay(
    image_bgr: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    palette: Sequence[Sequence[int]],
    opacity: float,
) -> NDArray[np.uint8]:
    """Blends the colours (RGB) of labels (H, W) over an image (H, W, 3); unknown ones are white."""
    colours = np.full((256, 3), 255, np.uint8)
    if len(palette):
        colours[: len(palette)] = np.asarray(palette, np.uint8)[:, ::-1]
    blended = cv2.addWeighted(image_bgr, 1 - opacity, colours[labels], opacity, 0)
    return np.asarray(blended, np.uint8)
