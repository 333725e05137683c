"""What a predictor takes for an image, or for many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import IOBase
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from engine.data.decoding import decode_image
from engine.data.files import composed
from engine.errors import DataError
from engine.infer import Failure, InputImage, find_images
from engine.infer.images import ImageList
from engine.infer.video import VideoReader, is_video

ColorOrder = Literal["bgr", "rgb"]
ImageLike = str | Path | bytes | NDArray | torch.Tensor | Image.Image


def is_one(source: Any) -> bool:
    """Whether a source is a single image, and not many."""
    if isinstance(source, str | Path):
        many = is_video(source) or Path(source).suffix.lower() == ".txt"
        return os.path.isfile(source) and not many
    if isinstance(source, np.ndarray | torch.Tensor):
        return source.ndim <= 3
    return isinstance(source, bytes | bytearray | memoryview | Image.Image)


def list_images(
    source: Any, color: ColorOrder, num: int = 1
) -> Iterator[Sequence[InputImage] | Failure]:
    """Lists what a source holds, in its order; in portions if it is not known beforehand.

    Videos come after the images of their folder. A frame of a video that cannot be decoded is a
    failure, and so is a video that ends early, and what is no image among others.

    Args:
        source: See :meth:`mmsapiens.predictors.Predictor.__call__`.
        color: Order of the channels of NumPy arrays.
        num: Of frames of a video, or of images in memory, in a portion.

    Raises:
        DataError: If it is nothing of what is expected, or nothing is there.
    """
    if isinstance(source, str | Path):
        if str(source).startswith(("http://", "https://")):
            raise DataError(f"{source}: images are not downloaded; give the bytes, or a file.")
        inputs = find_images(str(source), videos=True, what="source")
        if images := [item for item in inputs if not is_video(item.path)]:
            yield images
        for item in inputs:
            if is_video(item.path):
                yield from _frames(item, num)
    elif is_one(source):
        yield [as_input(source, 0, color)]
    elif isinstance(source, Sequence) and all(isinstance(item, str | Path) for item in source):
        yield _named(source)
    elif isinstance(source, Iterable) and not isinstance(source, Mapping | IOBase):
        # One by one if they may be a camera's, so that an image does not wait for the next.
        are_there = isinstance(source, Sequence | np.ndarray | torch.Tensor)
        yield from _portions(source, color, num if are_there else 1)
    else:
        raise DataError(
            f"expected an image (path, bytes, NumPy array, PIL image, tensor), a folder, pattern, "
            f"video, or a list of images; found a {type(source).__name__}."
            f"{' Give its bytes: .read().' if isinstance(source, IOBase) else ''}"
        )


def _frames(source: InputImage, num: int) -> Iterator[Sequence[InputImage] | Failure]:
    try:
        with VideoReader(source.path) as video:
            frames = iter(video)
            while portion := list(islice(frames, num)):
                images = [source.frame(frame) for frame in portion]
                for is_whole, some in groupby(images, lambda image: image.pixels is not None):
                    if is_whole:
                        yield list(some)
                    else:
                        yield from (Failure(image, "it cannot be decoded") for image in some)
            reason = video.early_end()
            if reason:
                yield Failure(source, reason)
    except DataError as error:
        yield Failure(source, str(error))


def _portions(
    images: Iterable[Any], color: ColorOrder, num: int
) -> Iterator[Sequence[InputImage] | Failure]:
    """Takes images as they are wanted, as their pixels may fill the memory.

    Paths come without the folder that all share, so a name that was there gets the number.
    """
    numbered, stems = enumerate(images), set()
    while items := list(islice(numbered, num)):
        portion: list[InputImage] = []
        for index, item in items:
            try:
                image = as_input(item, index, color)
                if image.out_stem in stems:
                    image = image._replace(out_stem=f"{image.out_stem}_{index}")
                if image.pixels is None:
                    stems.add(image.out_stem)
                portion.append(image)
            except DataError as error:
                if portion:
                    yield portion
                portion, name = [], f"image_{index}"
                yield Failure(InputImage(Path(name), name), str(error).removeprefix(f"{name}: "))
        if portion:
            yield portion


def _named(paths: Sequence[str | Path]) -> list[InputImage]:
    """Inputs of given files, in the order in which they are given."""
    if not paths:
        return []
    named = {
        composed(str(image.path)): image for image in ImageList(str(Path(path)) for path in paths)
    }
    return [named[composed(str(Path(path)))] for path in paths]


def as_input(image: ImageLike, index: int, color: ColorOrder) -> InputImage:
    """Returns one image as an input.

    Raises:
        DataError: If it is no image.
    """
    name = f"image_{index}"
    if isinstance(image, str | Path):
        return InputImage(Path(image), Path(image).stem)
    return InputImage(Path(name), name, _pixels(image, name, color))


def _pixels(image: Any, name: str, color: ColorOrder) -> NDArray:
    """Returns (H, W, 3) uint8 BGR."""
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image), name)
    if isinstance(image, Image.Image):
        return _of_pil(ImageOps.exif_transpose(image), name)
    if isinstance(image, torch.Tensor):
        return _of_tensor(image, name)
    if not isinstance(image, np.ndarray):
        raise DataError(
            f"{name}: expected a path, bytes, a NumPy array, a PIL image or a tensor; found a "
            f"{type(image).__name__}."
        )
    if image.ndim == 2 and image.dtype == np.uint8:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(
            f"{name}: expected an array (H, W, 3) or (H, W) of uint8; found {image.shape} "
            f"{image.dtype}."
        )
    return np.ascontiguousarray(image[..., ::-1] if color == "rgb" else image)


def _of_pil(image: Image.Image, name: str) -> NDArray:
    """Returns the pixels of an upright PIL image; of 16 bits the upper byte, as of a file's."""
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise DataError(
            f"{name}: PIL images of mode {image.mode} do not say which value is white. Convert it "
            "to one of 8 or 16 bits, such as L, RGB or I;16."
        )
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def _of_tensor(image: torch.Tensor, name: str) -> NDArray:
    """Returns the pixels of a tensor (3, H, W), RGB as everywhere in torch."""
    if image.ndim != 3 or image.shape[0] != 3 or not image.numel():
        raise DataError(
            f"{name}: expected a tensor (3, H, W), RGB, uint8 or float in [0, 1]; found "
            f"{tuple(image.shape)}."
        )
    image = image.detach().cpu()
    if image.is_floating_point():
        if not (image.min() >= 0 and image.max() <= 1):
            raise DataError(
                f"{name}: expected a float tensor in [0, 1]; found {image.min():g} to "
                f"{image.max():g}. Give it before it is normalised."
            )
        image = (image * 255).round()
    elif image.dtype != torch.uint8:
        raise DataError(f"{name}: expected uint8 or float; found {image.dtype}.")
    return np.ascontiguousarray(image.to(torch.uint8).numpy()[::-1].transpose(1, 2, 0))
