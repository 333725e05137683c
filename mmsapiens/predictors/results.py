"""What was predicted of an image, in pixels of that image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from mmengine.structures import PixelData
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.infer import InputImage, Writer


@dataclass(frozen=True, eq=False)
class Source:
    """Of what a result is, and what draws and writes it."""

    image: InputImage
    sample: DataSample
    writer: Writer


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """The base of all results.

    Attributes:
        source: The image, and how its result is drawn and written.
        what: In a word, what was predicted.
    """

    source: Source = field(repr=False)
    what: ClassVar[str]

    @property
    def path(self) -> Path | None:
        """The image file; None if the image was not given as one."""
        return self.source.image.path if self.source.image.pixels is None else None

    @property
    def number(self) -> int | None:
        """Of a frame of a video, from 0; None of an image."""
        return self.source.image.number

    @property
    def time_s(self) -> float | None:
        """When a frame of a video is shown, seconds from the first one; None of an image."""
        return self.source.image.time_s

    @property
    def image(self) -> NDArray:
        """The image (H, W, 3) uint8 BGR; a file is read anew."""
        return self.source.image.read()

    def plot(self) -> NDArray:
        """Returns a picture of the result, (H', W', 3) uint8 RGB, as ``mmsapiens infer`` draws."""
        return self.source.writer.picture(self.source.sample, self.image)

    def tile(self, mask: NDArray | None = None) -> NDArray:
        """Returns of :meth:`plot` what is drawn over the image, (H, W, 3) uint8 RGB.

        Args:
            mask: (H, W) bool, where depth and normals are shown; others are everywhere.
        """
        return self.plot()[:, : self.image.shape[1]]

    def save(self, out_dir: str | Path) -> list[Path]:
        """Writes the files that ``mmsapiens infer`` writes, named after the image.

        Args:
            out_dir: Folder; it is made if it is not there.

        Returns:
            Paths of the files.
        """
        writer, stem = self.source.writer, Path(out_dir, self.source.image.out_stem)
        stem.parent.mkdir(parents=True, exist_ok=True)
        writer.write(self.source.sample, self.image, stem)
        paths = [Path(f"{stem}{suffix}") for suffix in writer.suffixes]
        return [path for path in paths if path.is_file()]


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts(Result):
    """Body parts, or the classes of another segmentation.

    Attributes:
        labels: (H, W) uint8, indices into ``classes``; 0 is the background.
        classes: Names.
        probabilities: (C, h, w) float16 of the head's size, if the model keeps them:
            ``load(..., options={"model.keep_probabilities": True})``.
    """

    what = "parts"
    labels: NDArray = field(repr=False)
    classes: Sequence[str] = field(repr=False)
    probabilities: NDArray | None = field(default=None, repr=False)

    @property
    def foreground(self) -> NDArray:
        """(H, W) bool: all but the background."""
        return self.labels > 0

    def __str__(self) -> str:
        shares = np.bincount(self.labels.ravel(), minlength=len(self.classes)) / self.labels.size
        found = [f"{self.classes[i]} {shares[i]:.1%}" for i in np.argsort(-shares) if shares[i]]
        return f"{self.path or 'image'}: {', '.join(found)}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Surface(Result):
    """The base of :class:`Depth` and :class:`Normals`."""

    def plot(self, mask: NDArray | None = None) -> NDArray:
        """Returns the image, and the map or maps beside it, (H, W', 3) uint8 RGB.

        Args:
            mask: (H, W) bool, where they are shown; everywhere by default. Of people who were cut
                out, only what is inside their boxes is shown in any case.
        """
        if mask is None:
            return super().plot()
        shown = torch.from_numpy(np.ascontiguousarray(mask))[None]
        sample = self.source.sample.new()
        inside = sample.mask.data if "mask" in sample else 1
        sample.mask = PixelData(data=shown * inside)
        return self.source.writer.picture(sample, self.image)

    def tile(self, mask: NDArray | None = None) -> NDArray:
        """Returns of :meth:`plot` the map beside the image."""
        width = self.image.shape[1]
        return self.plot(mask)[:, width : 2 * width]


@dataclass(frozen=True, eq=False, kw_only=True)
class Depth(Surface):
    """Relative depth.

    Attributes:
        depth: (H, W) float32, 0 near.
    """

    what = "depth"
    depth: NDArray = field(repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class Normals(Surface):
    """Surface normals.

    Attributes:
        normals: (H, W, 3) float32 unit vectors: x right, y up, z towards the camera.
    """

    what = "normals"
    normals: NDArray = field(repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class People(Result):
    """Keypoints of N people.

    Attributes:
        keypoints: (N, K, 2) float32, pixels: x, y.
        scores: (N, K) float32.
        boxes: (N, 4) float32, pixels: x1, y1, x2, y2; what each person was cut out by.
        box_scores: (N,) float32.
        names: Of the K keypoints.
    """

    what = "keypoints"
    keypoints: NDArray = field(repr=False)
    scores: NDArray = field(repr=False)
    boxes: NDArray
    box_scores: NDArray
    names: Sequence[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True, eq=False, kw_only=True)
class Features(Result):
    """What a backbone makes of an image.

    Attributes:
        features: (D, h, w) float32, a vector for each patch of the network's input.
        attention: (heads, h, w) float32, if the model was asked for it.
    """

    what = "features"
    features: NDArray = field(repr=False)
    attention: NDArray | None = field(default=None, repr=False)
