"""Relative depth and surface normals: arrays, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sapiens_lite.console import LiteError
from sapiens_lite.images import Item, read_image, write_array, write_picture
from sapiens_lite.parts import prepare_whole
from sapiens_lite.resize import resize_maps
from sapiens_lite.spec import Spec
from sapiens_lite.work import DenseTask, Prepared

BACKGROUND = 100  # grey
SOBEL_SIZE = 7
_MASKS = (".npy", ".png", "_mask.png")


@dataclass(frozen=True)
class Surface(DenseTask):
    """Writes ``<stem>.npy`` of the whole image, and ``<stem>.png`` of it inside the foreground.

    Args:
        spec: Of the model, of depth or of normals.
        out_dir: Folder of the results.
        seg_dir: Folder of ``<stem>.npy``, ``.png`` or ``_mask.png``, not 0 on the foreground.
        save_format: Suffix of the picture.
    """

    spec: Spec
    out_dir: Path
    seg_dir: Path | None = None
    save_format: str = "png"

    def __post_init__(self) -> None:
        if self.seg_dir is not None and not self.seg_dir.is_dir():
            raise LiteError(f"--seg_dir {self.seg_dir} is no folder; vis_seg.py makes it.")
        if self.seg_dir is not None and self.seg_dir.resolve() == self.out_dir.resolve():
            raise LiteError(f"The results would replace the masks in {self.seg_dir}.")

    @property
    def suffixes(self) -> Sequence[str]:
        """See :class:`sapiens_lite.work.Task`."""
        return ".npy", f".{self.save_format}"

    def prepare(self, item: Item) -> Prepared:
        """Stretches an image to the model's input."""
        return prepare_whole(item, self.spec.size_hw)

    def finish(self, item: Item, result: Any, info: Any) -> None:
        """Resizes the map to the image, by way of the input's size; normals become unit vectors."""
        image = read_image(item.path)
        size_hw = image.shape[0], image.shape[1]
        values = resize_maps(resize_maps(result, self.spec.size_hw), size_hw)
        mask = self.mask_of(item, size_hw)
        panels = [image]
        if self.spec.task == "depth":
            values = np.ascontiguousarray(values[0])
            slopes = colour_normals(normals_of_depth(values, mask), mask)
            panels += [colour_depth(values, mask), slopes]
        else:
            values = unit_normals(values)
            panels += [colour_normals(values, mask)]
        stem = self.out_dir / item.stem
        write_array(Path(f"{stem}.npy"), values)
        write_picture(Path(f"{stem}.{self.save_format}"), np.hstack(panels))

    def mask_of(self, item: Item, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """The foreground (H, W) of an image; everything without ``seg_dir``."""
        if self.seg_dir is None:
            return np.ones(size_hw, bool)
        paths = [Path(f"{self.seg_dir / item.stem}{suffix}") for suffix in _MASKS]
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            raise LiteError(f"no mask: neither {paths[0]} nor .png nor _mask.png exists.")
        mask = _read_mask(found).astype(np.uint8)
        resized = cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(resized).astype(bool)


def _read_mask(path: Path) -> NDArray[np.bool_]:
    if path.suffix != ".npy":
        pixels = np.atleast_3d(read_image(path, cv2.IMREAD_UNCHANGED))
        return pixels[..., :3].max(axis=2) > 0
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LiteError(f"{path} cannot be read as an array: {error}") from error
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise LiteError(
            f"{path} is {mask.dtype} {mask.shape}; a mask is (H, W), bool or integers. Is it depth "
            "rather than a mask?"
        )
    return mask.astype(bool)


def unit_normals(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turns vectors (3, H, W) into unit ones (H, W, 3); one of length zero stays as it is."""
    lengths = np.sqrt((values * values).sum(axis=0))
    return np.ascontiguousarray((values / lengths.clip(min=1e-12)).transpose(1, 2, 0))


def colour_depth(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours depth (H, W), BGR: near is bright, far is dark, and outside the mask it is grey."""
    nearness = 255 * (1 - _relative(depth, mask))
    colours = cv2.applyColorMap(nearness.astype(np.uint8), cv2.COLORMAP_INFERNO)
    picture = np.asarray(colours, np.uint8)
    picture[~mask] = BACKGROUND
    return picture


def normals_of_depth(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Normals (H, W, 3) of a surface whose relative depth is its height, by 7x7 Sobel slopes.

    Relative depth has no unit, so neither have the slopes: this shows shapes, and measures nothing.
    """
    relative = np.where(mask, _relative(depth, mask), 1).astype(np.float32)
    slope_x = np.asarray(cv2.Sobel(relative, cv2.CV_32F, 1, 0, ksize=SOBEL_SIZE))
    slope_y = np.asarray(cv2.Sobel(relative, cv2.CV_32F, 0, 1, ksize=SOBEL_SIZE))
    normal = np.dstack([slope_x, -slope_y, np.ones_like(relative)])
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def colour_normals(normal: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours unit normals (H, W, 3), (n + 1) / 2, X in red, black outside the mask; BGR."""
    colours = np.where(mask[..., None], (normal + 1) * 127.5, 0)
    return colours.round().clip(0, 255).astype(np.uint8)[..., ::-1]


def _relative(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """0 at the nearest and 1 at the farthest depth of the mask; all 0 if there is one depth."""
    inside = depth[mask]
    near, far = (float(inside.min()), float(inside.max())) if inside.size else (0.0, 0.0)
    return (np.where(mask, depth - near, 0) / (far - near or 1)).clip(0, 1)
