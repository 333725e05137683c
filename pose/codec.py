"""Keypoints to heatmaps and back, unbiased (UDP: Huang et al., 2020; DARK: Zhang et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import ConfigError
from pose.registry import MODELS

# Blurred heatmaps are clipped to this range before the logarithm.
_LOWEST, _HIGHEST = 1e-3, 50.0
_MAPS_BLURRED_AT_ONCE = 256


@MODELS.register_module()
class UDPHeatmap:
    """Draws one Gaussian a keypoint, and finds the peak of a heatmap to a fraction of a pixel.

    Everything is batched and stays on the device of its input. Sizes are (width, height), as in
    the release.

    Args:
        input_size: (W, H) of the model's input, pixels.
        heatmap_size: (w, h) of the heatmaps.
        sigma: Of the Gaussian, in heatmap pixels. It is cut off at 3 sigma.
        blur_kernel_size: Side of the kernel that smooths a heatmap before its peak is refined, odd.
            The release keeps 11 for its sigma of 6.
        max_offset: Limits how far, along x and y, the refinement moves a peak from its pixel, in
            heatmap pixels. None, as in the release, sets no limit.
    """

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        sigma: float = 6.0,
        blur_kernel_size: int = 11,
        max_offset: float | None = None,
    ) -> None:
        if len(input_size) != 2 or len(heatmap_size) != 2 or min(heatmap_size) < 2:
            raise ConfigError(
                "UDPHeatmap: input_size and heatmap_size are (width, height), of 2 pixels or more; "
                f"found {input_size!r} and {heatmap_size!r}."
            )
        if blur_kernel_size < 1 or blur_kernel_size % 2 == 0 or sigma <= 0:
            raise ConfigError(
                "UDPHeatmap: blur_kernel_size is odd and sigma positive; found "
                f"{blur_kernel_size!r} and {sigma!r}."
            )
        self.input_size_wh = (int(input_size[0]), int(input_size[1]))
        self.heatmap_size_wh = (int(heatmap_size[0]), int(heatmap_size[1]))
        self.sigma = sigma
        self.max_offset = max_offset
        self.blur_kernel_size = blur_kernel_size

    @property
    def stride_xy(self) -> tuple[float, float]:
        """Input pixels a heatmap pixel: first and last pixel centers of both lie on each other."""
        (width, height), (w, h) = self.input_size_wh, self.heatmap_size_wh
        return (width - 1) / (w - 1), (height - 1) / (h - 1)

    def encode(self, keypoints: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Draws heatmaps.

        Args:
            keypoints: (B, K, 2), x and y in input pixels; not read where invisible.
            visible: (B, K); a keypoint below 0.5 is not drawn.

        Returns:
            Heatmaps (B, K, h, w) float32 in [0, 1], and weights (B, K): ``visible``, but 0 where
            nothing is drawn. A keypoint whose blob reaches into the heatmap from outside counts.
        """
        w, h = self.heatmap_size_wh
        mu = keypoints.float() / vector(self.stride_xy, keypoints.device)
        radius = int(3 * self.sigma)
        last = vector((w - 1, h - 1), mu.device, torch.long)
        # Below zero this rounds towards zero, as the release does. A NaN fails both comparisons.
        center = (mu + 0.5).trunc()
        inside = ((center + radius + 1 >= 0) & (center - radius <= last)).all(dim=-1)
        drawn = inside & (visible >= 0.5)
        mu, center = mu[..., None], torch.where(inside[..., None], center, 0).long()[..., None]

        # The box of each blob as clipped pixel indices: what lies outside repeats the border
        # pixel, with that pixel's own value, so that all writes to it agree.
        offsets = torch.arange(-radius, radius + 1, device=mu.device)
        pixels = (center + offsets).clamp(min=0).minimum(last[:, None])  # (B, K, 2, 2 radius + 1)
        gauss = torch.exp((pixels - mu).square() / (-2 * self.sigma**2))
        gauss = torch.where(drawn[..., None, None] & ((pixels - center).abs() <= radius), gauss, 0)
        (x, y), (gauss_x, gauss_y) = pixels.unbind(-2), gauss.unbind(-2)
        indices = (y[..., :, None] * w + x[..., None, :]).flatten(2)
        values = (gauss_y[..., :, None] * gauss_x[..., None, :]).flatten(2)
        heatmaps = _zeros((*drawn.shape, h, w), mu.device)
        heatmaps.flatten(2).scatter_(2, indices, values)
        return heatmaps, visible.float() * drawn

    def decode(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """Finds keypoints in input pixels as the release counts them.

        Its decoder puts the last heatmap pixel at (W, H) instead of (W - 1, H - 1): off by 0.1 %
        from what ``encode`` takes. For exact input pixels use ``locate`` and ``stride_xy``.

        Args:
            heatmaps: (B, K, h, w), any real.

        Returns:
            Keypoints (B, K, 2), x and y; and scores (B, K), the highest values of the heatmaps.
        """
        points, scores = self.locate(heatmaps)
        (width, height), (w, h) = self.input_size_wh, self.heatmap_size_wh
        return points * points.new_tensor([width / (w - 1), height / (h - 1)]), scores

    def locate(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """Finds keypoints in heatmap pixels.

        From the pixel of the maximum, one Newton step on the logarithm of the blurred heatmap,
        which is a paraboloid if the heatmap is a Gaussian. A heatmap without a positive value is
        flat after clipping and gets no step. (The release puts its point near (-1, -1).)

        Args:
            heatmaps: (B, K, h, w), any real.

        Returns:
            Points (B, K, 2), x and y, float32; and scores (B, K), the highest values.

        Raises:
            ConfigError: If the heatmaps are not of the codec's size.
        """
        size_wh = (heatmaps.shape[-1], heatmaps.shape[-2])
        if size_wh != self.heatmap_size_wh:
            raise ConfigError(
                f"UDPHeatmap: the heatmaps are {size_wh}, but heatmap_size is "
                f"{self.heatmap_size_wh} (width, height)."
            )
        maps = heatmaps.detach().float().flatten(0, 1)  # (N, h, w)
        peak_xy, scores = find_peaks(maps)
        # Second differences of rounded values say nothing: a point would be off by pixels.
        with torch.autocast(maps.device.type, enabled=False):
            offset_xy = _newton_step(self._log_around(maps, peak_xy, scores))
        if self.max_offset is not None:
            offset_xy = offset_xy.clamp(-self.max_offset, self.max_offset)
        shape = heatmaps.shape[:2]
        return (peak_xy + offset_xy).view(*shape, 2), scores.view(shape)

    def _log_around(self, maps: Tensor, peak_xy: Tensor, scores: Tensor) -> Tensor:
        """The logarithm of the blurred maps at the 3x3 pixels around their peaks.

        The release blurs a whole map b, scales it by c = max(map) / max(b), and takes
        log(clip(c b, 1e-3, 50)). Where nothing is clipped this is log(c) + log(b), and no
        derivative sees log(c); so c = 1 will do, and b is needed near the peak only. Nothing there
        is clipped if b >= 1e-3 and max(map) <= 50: a kernel of positive weights with sum 1 gives
        max(b) <= max(map), hence c >= 1 and c b >= 1e-3; and c b <= c max(b) = max(map) <= 50.
        Only the other maps, those with hardly a peak, are blurred in whole, for their c.

        Args:
            maps: (N, h, w).
            peak_xy: (N, 2) integers.
            scores: (N,), the maxima.

        Returns:
            (N, 3, 3), by y and x. Beyond the map the border pixel is repeated.
        """
        # The sigma that OpenCV gives to a kernel of this size.
        kernel = torch.from_numpy(cv2.getGaussianKernel(self.blur_kernel_size, 0, cv2.CV_32F))
        kernel = kernel.flatten().to(maps.device)
        blurred = _blur_around(maps, peak_xy, kernel)
        unclipped = (blurred.amin(dim=(1, 2)) >= _LOWEST) & (scores <= _HIGHEST)
        rest = (~unclipped & (scores > 0)).nonzero()[:, 0]
        for chunk in rest.split(_MAPS_BLURRED_AT_ONCE):
            highest = _blurred_max(maps[chunk], kernel)
            blurred[chunk] *= (scores[chunk] / highest)[:, None, None]
        return blurred.clamp(_LOWEST, _HIGHEST).log()


def find_peaks(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the highest pixel of maps (N, h, w), the first in reading order.

    Returns:
        Its x and y (N, 2), int64, and its value (N,).
    """
    # By rows, then within the best row: reading all of the maps is the fast kind of reduction.
    scores, y = maps.amax(dim=2).max(dim=1)
    rows = maps[torch.arange(len(maps), device=maps.device), y]
    return torch.stack([rows.argmax(dim=1), y], dim=1), scores


def vector(
    values: Sequence[float], device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Puts numbers (N,) on a device without waiting for it, as a copy from the CPU does."""
    return torch.stack([torch.full((), value, dtype=dtype, device=device) for value in values])


def _zeros(shape: Sequence[int], device: torch.device) -> Tensor:
    # On a CPU, NumPy leaves pages that nobody writes to unallocated: for 308 heatmaps of a batch
    # of 16, drawing takes a third of the time.
    if device.type == "cpu":
        return torch.from_numpy(np.zeros(shape, np.float32))
    return torch.zeros(tuple(shape), device=device)


def _blurred_max(maps: Tensor, kernel: Tensor) -> Tensor:
    """The maxima (N,) of maps (N, h, w) that are blurred with zeros around them."""
    if maps.device.type == "cpu":  # where PyTorch takes 40 times as long for single channels
        taps = kernel.numpy()
        blurred = (
            cv2.sepFilter2D(one, -1, taps, taps, borderType=cv2.BORDER_CONSTANT)
            for one in maps.numpy()
        )
        return torch.tensor([one.max() for one in blurred])
    radius = len(kernel) // 2
    maps = F.conv2d(maps[:, None], kernel.view(1, 1, 1, -1), padding=(0, radius))
    return F.conv2d(maps, kernel.view(1, 1, -1, 1), padding=(radius, 0)).amax(dim=(1, 2, 3))


def _blur_around(maps: Tensor, center_xy: Tensor, kernel: Tensor) -> Tensor:
    """Blurs the 3x3 pixels around (N, 2) centers in maps (N, h, w) with zeros around them.

    Returns:
        (N, 3, 3). Where a pixel lies beyond the map, the blurred border pixel is repeated.
    """
    num, h, w = maps.shape
    last = torch.tensor([w - 1, h - 1], device=maps.device)
    radius = len(kernel) // 2 + 1
    pixels = center_xy[..., None] + torch.arange(-radius, radius + 1, device=maps.device)
    known = ((pixels >= 0) & (pixels <= last[:, None])).float()
    x, y = pixels.clamp(min=0).minimum(last[:, None]).unbind(1)
    patches = maps.flatten(1).gather(1, (y[:, :, None] * w + x[:, None, :]).flatten(1))
    patches = patches.view(num, len(kernel) + 2, len(kernel) + 2)

    # Row i of a band is the kernel centerd on neighbour i; that neighbour is the center itself
    # where it would lie beyond the map, and zero weight falls on pixels beyond the map.
    steps = torch.arange(-1, 2, device=maps.device)
    neighbours = (center_xy[..., None] + steps).clamp(min=0).minimum(last[:, None])
    first = neighbours - center_xy[..., None] + 1  # (N, 2, 3), in 0..2
    bands = torch.stack([F.pad(kernel, (i, 2 - i)) for i in range(3)])[first] * known[:, :, None]
    return bands[:, 1] @ patches @ bands[:, 0].transpose(1, 2)


def _newton_step(log_maps: Tensor) -> Tensor:
    """The step (N, 2), x and y, from the middle of (N, 3, 3) to its paraboloid's stationary point.

    Differences as in the release; epsilon keeps the Hessian of a plateau regular.
    """
    (a, b, _), (d, e, f), (_, h, i) = (row.unbind(1) for row in log_maps.unbind(1))
    dx, dy = (f - d) / 2, (h - b) / 2
    eps = torch.finfo(torch.float32).eps
    dxx, dyy = f - 2 * e + d + eps, h - 2 * e + b + eps
    dxy = (i - f - h + 2 * e - d - b + a) / 2
    determinant = dxx * dyy - dxy * dxy
    step = torch.stack([dyy * dx - dxy * dy, dxx * dy - dxy * dx], dim=1)
    return torch.where(determinant[:, None] != 0, -step / determinant[:, None], 0)
