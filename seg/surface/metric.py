"""How far depth and normals are off."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from engine.errors import ConfigError, DataError, NonFiniteError
from seg.metric import SumMetric
from seg.registry import METRICS


class MapMetric(SumMetric):
    """Adds up float64 sums over the samples; see :class:`seg.metric.SumMetric`."""

    name: str
    """Data samples hold the maps as ``gt_<name>`` and ``pred_<name>``."""
    num_sums: int

    def no_sums(self) -> Tensor:
        """See base class."""
        return torch.zeros(self.num_sums, dtype=torch.float64)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Measures a batch.

        Args:
            data_batch: Not used.
            data_samples: Dicts with ``pred_<name>.data`` and ``gt_<name>.data`` (C, H, W), and
                ``gt_mask.data`` (1, H, W): only pixels inside count, and a sample without any not
                at all.

        Raises:
            DataError: If a true value inside the mask is not finite.
            NonFiniteError: If a predicted one is not.
        """
        for sample in data_samples:
            pred = sample[f"pred_{self.name}"]["data"]
            inside = sample["gt_mask"]["data"][0].to(pred.device) > 0
            target = sample[f"gt_{self.name}"]["data"].to(pred.device)[:, inside].double()
            pred = pred[:, inside].double()
            if not target.numel():
                continue
            if not (pred + target).isfinite().all():
                where = f"{sample.get('img_path') or 'a sample'}: NaN or infinity inside the mask"
                if not target.isfinite().all():
                    raise DataError(f"{where}, in the ground truth. Mend the file, or its mask.")
                raise NonFiniteError(f"{where}, in the prediction.")
            self.add(self.measure(pred, target))

    @abstractmethod
    def measure(self, pred: Tensor, target: Tensor) -> Tensor:
        """Returns what a sample adds to the sums (num_sums,); both are (C, N), N at least 1."""


@METRICS.register_module()
class DepthMetric(MapMetric):
    """Errors of depth inside the mask: averages over the pixels of an image, then over the images.

    * ``RMSE``: root of the mean squared difference, in the unit of the truth.
    * ``AbsRel``: mean of |pred - target| / target.
    * ``log10``: mean of |log10 pred - log10 target|.
    * ``d1``, ``d2``, ``d3``: share in percent of pixels with max(pred / target, target / pred)
      below 1.25, 1.25^2, 1.25^3.
    * ``RMSE_of_mean``: what RMSE would be if the mean depth of each image's mask were predicted.

    Ratios and logarithms are of pixels with a positive truth, with predictions raised to
    ``min_depth``; they are 0 if there are none. (Eigen et al., 2014, section 4.)

    Args:
        align: ``"scale_shift"``: relative predictions are first scaled and shifted, each image's by
            least squares inside its mask (Ranftl et al., 2020, eq. 4, for depth). ``"none"``: not.
        min_depth: Smallest prediction in ratios and logarithms, in the unit of the truth.
        prefix: Prefix of the reported names.
    """

    name = "depth_map"
    needs = ("gt_depth_map", "gt_mask")
    figures = ("RMSE", "AbsRel", "log10", "d1", "d2", "d3", "RMSE_of_mean")
    num_sums = 9  # of the figures, of the images, and of those with a positive depth

    def __init__(
        self,
        align: Literal["scale_shift", "none"] = "scale_shift",
        min_depth: float = 1e-3,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if align not in ("scale_shift", "none"):
            raise ConfigError(f"DepthMetric: align is 'scale_shift' or 'none', found {align!r}.")
        self.align = align
        self.min_depth = min_depth

    def measure(self, pred: Tensor, target: Tensor) -> Tensor:
        """Returns an image's figures and ones for the counts, (9,)."""
        pred, target = pred[0], target[0]
        if self.align == "scale_shift":
            pred = align_scale_shift(pred, target)
        rmse = (pred - target).square().mean().sqrt()
        rmse_of_mean = (target - target.mean()).square().mean().sqrt()
        positive = target > 0
        pred, target = pred[positive].clamp(min=self.min_depth), target[positive]
        ratio = pred / target
        log_ratio = ratio.log10().abs()
        larger = torch.maximum(ratio, 1 / ratio)
        within = [100.0 * (larger < 1.25**k).double() for k in (1, 2, 3)]
        # A sum over a count of at least 1 is a mean, or 0 without pixels.
        means = [x.sum() / max(len(target), 1) for x in [(ratio - 1).abs(), log_ratio, *within]]
        has_ratio = torch.as_tensor(len(target) > 0).to(rmse)
        return torch.stack([rmse, *means, rmse_of_mean, torch.ones_like(rmse), has_ratio])

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Divides the sums by the number of images, and logs what the model adds to the mean."""
        *sums, images, with_ratio = results.tolist()
        counts = [images, *[with_ratio] * 5, images]
        metrics = {
            name: round(value / max(count, 1), 4)
            for name, value, count in zip(self.figures, sums, counts, strict=True)
        }
        if metrics["RMSE_of_mean"]:
            share = metrics["RMSE"] / metrics["RMSE_of_mean"]
            MMLogger.get_current_instance().info(
                f"RMSE is {share:.1%} of what predicting each image's mean depth would give"
            )
        return metrics


def align_scale_shift(pred: Tensor, target: Tensor) -> Tensor:
    """Returns ``s * pred + t`` (N,) with the s and t that make its squared error to target least.

    A constant prediction becomes the mean of the target.
    """
    pred_offset, target_offset = pred - pred.mean(), target - target.mean()
    variance = pred_offset.square().sum()
    scale = (pred_offset * target_offset).sum() / variance.clamp(min=torch.finfo(pred.dtype).tiny)
    return scale * pred_offset + target.mean()


@METRICS.register_module()
class NormalMetric(MapMetric):
    """Angles in degrees between true and predicted normals, over all masked pixels of the dataset.

    ``mean_angle``, ``median_angle`` (from a histogram, to 0.05 degrees), ``RMSE_angle``, and
    ``within_5``, ``_7.5``, ``_11.25``, ``_22.5``, ``_30``: share in percent of angles below.
    (Fouhey et al., 2013.)

    Args:
        prefix: Prefix of the reported names.
    """

    name = "normal_map"
    needs = ("gt_normal_map", "gt_mask")
    thresholds = (5, 7.5, 11.25, 22.5, 30)
    figures = (
        *("mean_angle", "median_angle", "RMSE_angle"),
        *("within_5", "within_7.5", "within_11.25", "within_22.5", "within_30"),
    )
    bin_width = 0.05
    num_bins = 3600
    num_sums = 8 + num_bins  # pixels, angles, squares, below each threshold; the histogram

    def measure(self, pred: Tensor, target: Tensor) -> Tensor:
        """Returns counts, sums and the histogram of an image's angles, (3608,)."""
        angle = angles(pred, target)
        below = [(angle < threshold).sum() for threshold in self.thresholds]
        count = torch.as_tensor(len(angle)).to(angle)
        sums = torch.stack([count, angle.sum(), angle.square().sum(), *below])
        bins = (angle / self.bin_width).long().clamp(max=self.num_bins - 1)
        return torch.cat([sums, torch.bincount(bins, minlength=self.num_bins).double()])

    def compute_metrics(self, results: Tensor) -> dict[str, float]:
        """Divides the sums by the number of pixels, and finds the middle of the histogram."""
        pixels, total, squares, *below = results[:8].tolist()
        pixels = max(pixels, 1)
        median_bin = int((results[8:].cumsum(0) < pixels / 2).sum())
        metrics = {
            "mean_angle": total / pixels,
            "median_angle": (median_bin + 0.5) * self.bin_width,
            "RMSE_angle": math.sqrt(squares / pixels),
        }
        for threshold, count in zip(self.thresholds, below, strict=True):
            metrics[f"within_{threshold:g}"] = 100 * count / pixels
        return {name: round(value, 3) for name, value in metrics.items()}


def angles(pred: Tensor, target: Tensor) -> Tensor:
    """Angles (N,) in degrees between vectors (3, N) of any length; 90 to one of length zero.

    By the arc tangent: the arc cosine would lose half of the digits of small angles.
    """
    cross = torch.linalg.cross(pred, target, dim=0).norm(dim=0)
    dot = (pred * target).sum(0)
    angle = torch.rad2deg(torch.atan2(cross, dot))
    return torch.where((cross == 0) & (dot == 0), 90.0, angle)
