"""Fits a checkpoint's position embedding to the model's grid."""

from __future__ import annotations

from math import gcd, isqrt
from typing import Any

from torch import Tensor, nn

from engine.checkpoint.match import Resize
from engine.errors import WeightsError

Grid = tuple[int, int]

_RELEASED_HW = (4, 3)  # the proportions of the released task models, 64 x 48 patches


def fit_pos_embed(
    model: nn.Module, tensors: dict[str, Tensor], grid_hw: Grid | None, source: str
) -> tuple[dict[str, Tensor], tuple[Resize, ...]]:
    """Resizes the position embedding of each vision transformer in the model.

    Args:
        model: Modules with ``resize_pos_embed``, ``grid_hw`` and ``num_extra_tokens`` are served.
        tensors: The checkpoint under the model's names.
        grid_hw: The grid that the checkpoint says it has; None to tell it from the token count.
        source: The checkpoint's name, for errors.

    Returns:
        The tensors with positions that fit, and what was resized.

    Raises:
        WeightsError: The grid cannot be told, or the model needs a class token and there is none.
    """
    fitted, resized = dict(tensors), []
    for name, module in model.named_modules():
        if not hasattr(module, "resize_pos_embed"):
            continue
        prefix = f"{name}." if name else ""
        key = f"{prefix}pos_embed"
        shape = tensors[key].shape if key in tensors else ()
        if len(shape) != 3 or (shape[0], shape[2]) != (1, module.pos_embed.shape[2]):
            continue  # reported as missing or mismatched
        try:
            fitted[key], source_hw = _fit(
                tensors[key], module, grid_hw, f"{prefix}cls_token" in tensors
            )
        except WeightsError as error:
            raise WeightsError(f"{source}: {key} {error}") from None
        if source_hw != module.grid_hw:
            resized.append(Resize(key, source_hw, module.grid_hw))
    return fitted, tuple(resized)


def _fit(
    pos_embed: Tensor, module: Any, grid_hw: Grid | None, has_cls_token: bool
) -> tuple[Tensor, Grid]:
    count = pos_embed.shape[1]
    if grid_hw is None:
        source_hw, extra = tell_grid(count, module.grid_hw, has_cls_token)
    else:
        source_hw, extra = grid_hw, count - grid_hw[0] * grid_hw[1]
        if extra not in (0, 1):
            raise WeightsError(f"has {count} positions, but its meta says grid_hw={grid_hw}.")
    if extra < module.num_extra_tokens:
        raise WeightsError(
            f"has {count} positions and none for a class token, which the model has. "
            "Set with_cls_token=False."
        )
    pos_embed = pos_embed[:, extra - module.num_extra_tokens :]
    if source_hw != module.grid_hw:
        pos_embed = module.resize_pos_embed(pos_embed, source_hw, module.grid_hw)
    return pos_embed, source_hw


def tell_grid(count: int, target_hw: Grid, has_cls_token: bool) -> tuple[Grid, int]:
    """Tells the grid from the number of positions alone.

    A checkpoint with a class token is from the pretraining, whose images are square. Others are
    most likely of the model's own grid, then square, then of its or the released proportions.

    Args:
        count: Positions in the checkpoint.
        target_hw: The model's grid.
        has_cls_token: Whether the checkpoint has a class token. Without one the first position
            may still be for it, if only that gives a grid.

    Returns:
        The grid (h, w), and how many positions precede it (0 or 1).

    Raises:
        WeightsError: No grid fits, or several of different proportions do.
    """
    options = [(count - extra, extra) for extra in ((1,) if has_cls_token else (0, 1))]
    same = [(target_hw, extra) for n, extra in options if n == target_hw[0] * target_hw[1]]
    square = [((isqrt(n), isqrt(n)), extra) for n, extra in options if isqrt(n) ** 2 == n > 0]
    for found in (square, same) if has_cls_token else (same, square):
        if found:
            return found[0]

    rectangles = {
        (grid, extra)
        for n, extra in options
        for proportions in (target_hw, _RELEASED_HW)
        if (grid := _rectangle(n, proportions))
    }
    if len(rectangles) == 1:
        return rectangles.pop()
    guesses = " or ".join(f"{h}x{w}" for (h, w), _ in sorted(rectangles))
    raise WeightsError(
        f"has {count} positions, "
        + (f"which may be {guesses}" if guesses else "which fit no square and no known rectangle")
        + f"; the model has {target_hw[0]}x{target_hw[1]}. Add the grid to the checkpoint: "
        "checkpoint['meta']['grid_hw'] = (rows, columns)."
    )


def _rectangle(count: int, proportions_hw: Grid) -> Grid | None:
    divisor = gcd(*proportions_hw)
    height, width = proportions_hw[0] // divisor, proportions_hw[1] // divisor
    scale = isqrt(count // (height * width))
    if scale == 0 or scale * scale * height * width != count:
        return None
    return scale * height, scale * width
