"""Images as bad cameras and obstacles make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import cv2
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from engine.data.arguments import require_range
from engine.data.sample import Sample
from engine.errors import ConfigError

_BLURS: dict[str, Callable[[NDArray, int], NDArray]] = {
    "box": lambda image, side: cv2.blur(image, (side, side)),
    "gaussian": lambda image, side: cv2.GaussianBlur(image, (side, side), 0),
    "median": cv2.medianBlur,
}


@TRANSFORMS.register_module()
class RandomBlur(BaseTransform):
    """Blurs ``img`` with a kernel of random size.

    Args:
        kind: "box", "gaussian" or "median".
        prob: Probability.
        side_range: Smallest and largest side of the kernel; odd ones are drawn uniformly.
    """

    def __init__(
        self,
        *,
        kind: Literal["box", "gaussian", "median"] = "box",
        prob: float = 0.1,
        side_range: tuple[int, int] = (3, 7),
    ) -> None:
        if kind not in _BLURS:
            raise ConfigError(f"RandomBlur: kind is one of {', '.join(_BLURS)}, found {kind!r}.")
        self.blur = _BLURS[kind]
        self.prob = prob
        self.sides = [side for side in range(side_range[0], side_range[1] + 1) if side % 2]
        if not self.sides or self.sides[0] < 1:
            raise ConfigError(f"RandomBlur: no odd side in side_range={side_range!r}.")

    def transform(self, sample: Sample) -> Sample:
        """Draws whether, and the side."""
        rng = sample["rng"]
        if rng.random() < self.prob:
            sample["img"] = self.blur(sample["img"], int(rng.choice(self.sides)))
        return sample


@TRANSFORMS.register_module()
class CoarseDropout(BaseTransform):
    """Blackens one rectangle of ``img`` (DeVries and Taylor, Cutout, 2017).

    Keypoints under it stay visible: they are to be guessed from the rest of the body.

    Args:
        prob: Probability.
        size_range: Smallest and largest side, as a share of the image's, in (0, 1]; height and
            width are drawn apart.
    """

    def __init__(self, *, prob: float = 1.0, size_range: Sequence[float] = (0.2, 0.4)) -> None:
        self.prob = prob
        self.size_range = require_range(self, "size_range", size_range, most=1)

    def transform(self, sample: Sample) -> Sample:
        """Draws whether, and where."""
        rng = sample["rng"]
        if rng.random() >= self.prob:
            return sample
        image = sample["img"].copy()
        spans = []
        for length in image.shape[:2]:
            side = round(length * rng.uniform(*self.size_range))
            start = int(rng.integers(length - side + 1))
            spans.append(slice(start, start + side))
        image[spans[0], spans[1]] = 0
        sample["img"] = image
        return sample
