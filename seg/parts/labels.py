"""The best class of each pixel of logits at another size, without most of the resizing."""

from __future__ import annotations

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
    (y0, y1, wy), (x0, x1, wx) = (
        _taps(n, size, logits.device) for n, size in zip(logits.shape[1:], size_hw, strict=True)
    )
    labels, lead = _best(logits)
    rounding = _ROUNDING * max(abs(float(bound)) for bound in torch.aminmax(logits))
    clear = lead > rounding
    # Of each cell of four neighbours: whether all are clear and have the label of the first.
    below = _next(labels, 0)
    same = (labels == below) & (labels == _next(labels, 1)) & (labels == _next(below, 1))
    clear = clear & _next(clear, 0)
    same &= clear & _next(clear, 1)
    coded = torch.where(same, labels.short(), -1)
    # index_select along rows copies whole rows, and along columns is the dearer of the two.
    coded = coded.index_select(1, x0).index_select(0, y0)
    found = coded.to(torch.uint8)
    unsure = (coded.view(-1) < 0).nonzero().squeeze(1)
    if len(unsure) > coded.numel() // 4:
        return None
    width, by_pixel = logits.shape[2], logits.flatten(1).t().contiguous()  # a pixel's lie together
    ties = [unsure[:0]]
    rivals = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    for pixels in unsure.split(_PORTION):
        rows, columns = pixels // size_hw[1], pixels % size_hw[1]
        left, right, across = x0[columns], x1[columns], wx[columns, None]
        upper, lower = (
            by_pixel[row + left].mul_(1 - across).add_(by_pixel[row + right].mul_(across))
            for row in (y0[rows] * width, y1[rows] * width)
        )
        down = wy[rows, None]
        values = upper.mul_(1 - down).add_(lower.mul_(down))
        best, index = values.max(dim=1)
        least = best - rounding
        found.view(-1)[pixels] = index.to(torch.uint8)
        values.scatter_(1, index[:, None], -torch.inf)
        is_tie = values.amax(dim=1) > least
        ties.append(pixels[is_tie])
        rivals |= (values[is_tie] > least[is_tie, None]).any(dim=0)
        rivals[index[is_tie]] = True
    tied, classes = torch.cat(ties), rivals.nonzero().squeeze(1)
    if len(tied):  # as it rounds, so do we
        values = F.interpolate(logits[None, classes], size_hw, mode="bilinear")[0]
        found.view(-1)[tied] = classes[values.flatten(1)[:, tied].argmax(dim=0)].to(torch.uint8)
    return found


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


def _taps(size: int, target: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The two pixels between which each pixel of the target lies, and the weight of the second.

    In float32 as ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``.
    """
    scale = torch.tensor(size, dtype=torch.float32) / target
    place = (torch.arange(target, dtype=torch.float32) + 0.5) * scale - 0.5
    place = place.clamp(min=0).to(device)
    first = place.long().clamp(max=size - 1)
    return first, (first + 1).clamp(max=size - 1), place - first
