"""Reading images and label maps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data import geometry
from engine.data.colours import RGB, labels_of_colours
from engine.data.decoding import EncodedJpeg, decode_image, read_bytes
from engine.data.integrity import is_jpeg, open_image, require_whole
from engine.data.sample import Sample
from engine.errors import ConfigError, DataError

IGNORE_INDEX = 255


def read_image(path: str | Path) -> NDArray:
    """Reads any image as (H, W, 3) uint8 BGR, turned as its EXIF orientation says.

    Grey and palette images become three channels, 16-bit ones keep their upper byte, an alpha
    channel is dropped: what ``cv2.imread(path)`` does, but missing, unreadable, cut and oversized
    files are errors; see :mod:`engine.data.integrity`.

    Raises:
        DataError: If the file is missing, damaged or too large, or no image that OpenCV can read.
    """
    return decode_image(read_bytes(path), path)


def read_labels(path: str | Path, color_map: Mapping[RGB, int] | None = None) -> NDArray:
    """Reads a label map (H, W) uint8; a palette PNG gives its indices, not its colours.

    Args:
        path: The file.
        color_map: Label of each RGB colour, if the file tells them by colours; alpha is not read.

    Raises:
        DataError: If the file is missing, unreadable, in colour, or holds values above 255; or if
            it has a colour that is not in ``color_map``.
    """
    data = read_bytes(path)
    require_whole(data, path)
    with open_image(data, path) as image:
        if color_map:
            return labels_of_colours(np.array(image.convert("RGB")), color_map, str(path))
        labels, mode = np.array(image), image.mode
    if labels.ndim != 2:
        raise DataError(
            f"{path} has {labels.shape[2]} channels (mode {mode}); a label map has one, holding "
            "class indices (greyscale or palette PNG). Give the dataset the class of each colour, "
            "color_map={(r, g, b): class}, or convert the files."
        )
    if labels.max(initial=0) > 255 or labels.min(initial=0) < 0:
        raise DataError(
            f"{path} holds values {labels.min()}..{labels.max()} (mode {mode}); labels are 0..255. "
            "Save the class indices as an 8-bit PNG."
        )
    return labels.astype(np.uint8, copy=False)


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Reads ``img_path`` into ``img`` (H, W, 3) uint8 BGR, and starts the geometry.

    An ``img`` that is there already is kept. With ``img_span`` = (offset, length) the image is that
    part of the file ``archive``. Sets ``ori_size_hw`` and ``size_hw`` to the image's size,
    ``matrix`` to the identity and ``flip`` to False. See ``read_image`` for what files may hold.

    Args:
        reduce: Leave the decoding of a JPEG to ``Warp``, which does it at 1/2, 1/4 or 1/8 of the
            resolution where the canvas needs no more. A photograph of 12 megapixels is then decoded
            1.7 times as fast at 1/2 and 3 times at 1/4, and shrunk a little differently than by
            ``Warp`` alone. Until then ``img`` is an ``EncodedJpeg``, which knows its shape only.
        strict: Refuse an image that the decoder warns of, as ``mmsapiens check`` does: damage to a
            JPEG before its end, which otherwise shows as wrong colours or shifted blocks.

    Raises:
        DataError: If the file cannot be read, or a given ``img`` is not (H, W, 3) uint8.
    """

    def __init__(self, *, reduce: bool = False, strict: bool = False) -> None:
        self.reduce = reduce
        self.strict = strict

    def transform(self, sample: Sample) -> Sample:
        """Adds img, ori_size_hw, size_hw, matrix and flip."""
        image = sample.get("img")
        if image is None:
            path = sample["img_path"]
            data = read_bytes(sample.get("archive") or path, sample.get("img_span"))
            is_lazy = self.reduce and is_jpeg(data)
            read = EncodedJpeg.open if is_lazy else decode_image
            image = read(data, path, strict=self.strict)
        elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError(
                f"an image given as an array is (H, W, 3) uint8 in BGR order; found "
                f"{tuple(image.shape)} {image.dtype}. Convert it, or give a path."
            )
        size_hw = image.shape[:2]
        sample.update(
            img=image,
            ori_size_hw=size_hw,
            size_hw=size_hw,
            matrix=geometry.identity(),
            flip=False,
        )
        return sample


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Reads ``seg_map_path`` into ``seg_map`` (H, W) uint8, at the size of the image file.

    Before ``Warp`` the map is warped with the image; after it (as in test pipelines) it stays at
    original size. The record's ``label_map``, ``{label in the file: class index}``, is applied if
    there is one; labels that it does not list are kept. With a ``color_map``, the labels in the
    file are those of its colours.

    Raises:
        DataError: If the file cannot be read, its size is not the image's, or it holds a label
            that is neither a class of the dataset nor its ``ignore_index``.
    """

    def transform(self, sample: Sample) -> Sample:
        """Adds seg_map."""
        path = sample.get("seg_map_path")
        if path is None:
            raise DataError(f"{sample.get('img_path')} has no label map (no seg_map_path).")
        if "ori_size_hw" not in sample:
            raise ConfigError("LoadLabels needs the image's size: put LoadImage before it.")
        raw = read_labels(path, sample.get("color_map"))
        if raw.shape != tuple(sample["ori_size_hw"]):
            raise DataError(
                f"{path} is {_by(raw.shape)}, but its image {sample.get('img_path')} is "
                f"{_by(sample['ori_size_hw'])} (height x width, after EXIF rotation). "
                "Make them the same size."
            )
        labels = map_labels(raw, sample.get("label_map"))
        num_classes = len(sample["metainfo"]["classes"])
        ignore_index = sample["metainfo"].get("ignore_index", IGNORE_INDEX)
        strange = (labels >= num_classes) & (labels != ignore_index)
        if strange.any():
            label = int(raw[strange].min())
            raise DataError(
                f"label {label} in {path}, but the dataset has {num_classes} classes "
                f"(0..{num_classes - 1}, {ignore_index} = ignored). Mend the file, list the "
                "missing class in the dataset's classes, or map it: "
                f"label_map={{{label}: {ignore_index}}}."
            )
        sample["seg_map"] = labels
        return sample


def map_labels(labels: NDArray, mapping: Mapping[int, int] | None) -> NDArray:
    """Maps the listed labels of a map (H, W) uint8 and keeps the others.

    Raises:
        ConfigError: If the mapping leaves 0..255.
    """
    if not mapping:
        return labels
    table = np.arange(256, dtype=np.uint8)
    for old, new in mapping.items():
        if not (0 <= old <= 255 and 0 <= new <= 255):
            raise ConfigError(f"label_map maps {old} to {new}; both must be in 0..255.")
        table[old] = new
    return cv2.LUT(labels, table)


def _by(size_hw: tuple[int, ...]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"
