"""From what a file says of the surface to what a model learns of it. Both come after ``Warp``."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from engine.data.registry import register_transform
from engine.data.sample import Sample

DEPTH_BACKGROUND = -1.0
NORMAL_BACKGROUND = -1000.0

_ROUNDING = 1e-6  # relative differences of float32 depths that only rounding explains


@register_transform
class GenerateDepthTarget(BaseTransform):
    """Turns ``depth`` into relative depth: 0 at the nearest pixel of the mask, 1 at the farthest.

    Outside the mask it is -1, which the loss ignores. The mask is that of the warped sample, so a
    crop is relative to itself. Where depth is the same everywhere, or the crop shows nothing of the
    mask, all of it is -1: one distance says nothing of a shape.
    """

    def transform(self, sample: Sample) -> Sample:
        """Replaces depth (H, W)."""
        inside = sample["mask"] > 0
        depth = sample["depth"]
        target = np.full_like(depth, DEPTH_BACKGROUND)
        values = depth[inside]
        if values.size:
            near, far = values.min(), values.max()
            if far - near > _ROUNDING * max(abs(near), abs(far)):
                target[inside] = (values - near) / (far - near)
        sample["depth"] = target
        return sample


@register_transform
class GenerateNormalTarget(BaseTransform):
    """Sets ``normal`` to -1000 in all three channels outside the mask; losses ignore it."""

    def transform(self, sample: Sample) -> Sample:
        """Replaces normal (H, W, 3)."""
        inside = sample["mask"][..., None] > 0
        sample["normal"] = np.where(inside, sample["normal"], np.float32(NORMAL_BACKGROUND))
        return sample
