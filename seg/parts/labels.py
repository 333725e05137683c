"""The best class of each pixel of logits at another size, without most of the resizing."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_PORTION = 2**17
"""Pixels that are interpolated at once; 28 classes of them take 60 MB."""
_ROUNDING = 3e-7
"""Nearer than this, relative to the largest logit, rounding says which of two classes is best."""


def resized_labels(logits: Tensor, size_hw: tuple[int, int]) -> Tensor | None:
    """Takes the best class of logits that are resized bilinearly, as ``F.interpolate`` does it.

    Where the four logits around a pixel have the same best class, that is the pixel's: all weights
    are positive, so it stays best. Only pixels at boundaries, a few per cent, are interpolated.

    Args:
        logits: (C, h, w) float32, C <= 256.
        size_hw: (H, W) of the labels.

    Returns:
        Labels (H, W) uint8, the lower class of a tie; None if there are so many boundaries that
        resizing everything takes less time.
    """
    labels, lead = _best(logits)
    rounding = _ROUNDING * max(abs(float(bound)) for bound in torch.aminmax(logits))
    rows, columns = (
        _taps(n, size, logits.device) for n, size in zip(logits.shape[1:], size_hw, strict=True)
    )
    cells = torch.where(_same_around(labels, lead > rounding), labels.short(), -1)
    # index_select along rows copies whole rows, and along columns is the dearer of the two.
    coded = cells.index_select(1, columns.first).index_select(0, rows.first)
    found = coded.to(torch.uint8)
    unsure = (coded.view(-1) < 0).nonzero().squeeze(1)
    if len(unsure) > coded.numel() // 4:
        return None
    tied, classes = _interpolate(logits, rows, columns, unsure, rounding, found.view(-1))
    if len(tied):  # as it rounds, so do we
        values = F.interpolate(logits[None, classes], size_hw, mode="bilinear")[0]
        found.view(-1)[tied] = classes[values.flatten(1)[:, tied].argmax(dim=0)].to(torch.uint8)
    return found


class _Taps(NamedTuple):
    """Of each pixel of the target: the two between which it lies, and the weight of the second."""

    first: Tensor
    second: Tensor
    weight: Tensor


def _interpolate(
    logits: Tensor, rows: _Taps, columns: _Taps, pixels: Tensor, rounding: float, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Finds the labels of some pixels of the target.

    Args:
        logits: (C, h, w).
        rows: Of the target.
        columns: Of the target.
        pixels: (N,), positions in ``labels``.
        rounding: What the best class leads by at most is left open.
        labels: (H * W,) uint8; changed in place.

    Returns:
        The pixels that are left open; and the classes that compete there.
    """
    width, by_pixel = logits.shape[2], logits.flatten(1).t().contiguous()  # a pixel's lie together
    ties = [pixels[:0]]
    rivals = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    for portion in pixels.split(_PORTION):
        at_y, at_x = portion // len(columns.first), portion % len(columns.first)
        left, right, across = (values[at_x] for values in columns)
        across = across[:, None]
        upper, lower = (
            by_pixel[row + left].mul_(1 - across).add_(by_pixel[row + right].mul_(across))
            for row in (rows.first[at_y] * width, rows.second[at_y] * width)
        )
        down = rows.weight[at_y, None]
        values = upper.mul_(1 - down).add_(lower.mul_(down))
        best, index = values.max(dim=1)
        least = best - rounding
        labels[portion] = index.to(torch.uint8)
        values.scatter_(1, index[:, None], -torch.inf)
        is_tie = values.amax(dim=1) > least
        ties.append(portion[is_tie])
        rivals |= (values[is_tie] > least[is_tie, None]).any(dim=0)
        rivals[index[is_tie]] = True
    return torch.cat(ties), rivals.nonzero().squeeze(1)


def _same_around(labels: Tensor, clear: Tensor) -> Tensor:
    """Of each cell of four neighbours: whether all are clear and have the label of the first."""
    below = _next(labels, 0)
    same = (labels == below) & (labels == _next(labels, 1)) & (labels == _next(below, 1))
    clear = clear & _next(clear, 0)
    return same & clear & _next(clear, 1)


def _best(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Labels (h, w) uint8, and by how much each is better than the next."""
    best, second = logits[0].clone(), torch.full_like(logits[0], -torch.inf)
    labels = torch.zeros_like(best, dtype=torch.uint8)
    for label, values in enumerate(logits[1:], start=1):
        labels.masked_fill_(values > best, label)
        torch.maximum(second, torch.minimum(best, values), out=second)
        torch.maximum(best, values, out=best)
    return labels, best - second


def _next(maps: Tensor, dim: int) -> Tensor:
    """Each pixel's neighbour below (0) or to the right (1); itself at the edge."""
    size = maps.shape[dim]
    return torch.cat([maps.narrow(dim, 1, size - 1), maps.narrow(dim, size - 1, 1)], dim)


def _taps(size: int, target: int, device: torch.device) -> _Taps:
    """Between which pixels those of the target lie.

    In float32 as ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``.
    """
    scale = torch.tensor(size, dtype=torch.float32) / target
    place = (torch.arange(target, dtype=torch.float32) + 0.5) * scale - 0.5
    place = place.clamp(min=0).to(device)
    first = place.long().clamp(max=size - 1)
    return _Taps(first, (first + 1).clamp(max=size - 1), place - first)
