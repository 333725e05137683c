"""Fixed sin-cos positions, and the check that a checkpoint has the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.errors import WeightsError

# Half precision rounds values near 1 by up to 0.004; another formula is off by about 1.
_TOLERANCE_HALF, _TOLERANCE = 0.01, 1e-4


def sincos_positions(grid_hw: tuple[int, int], embed_dims: int) -> Tensor:
    """The sin-cos table of MoCo v3 (Chen et al., 2021), rows before columns, in float32.

    With q = D / 4 and omega_k = 10000^(-k / q), k = 0 .. q - 1, the patch at row y and column x has
    [sin(y omega), cos(y omega), sin(x omega), cos(x omega)]. facebook/mae has x first. The class
    token, which comes first, has zeros.

    Args:
        grid_hw: Rows and columns of patches.
        embed_dims: D, a multiple of 4.

    Returns:
        (1, 1 + h*w, D), row by row.
    """
    if embed_dims % 4:
        raise ValueError(
            f"sin-cos positions need embed_dims that are a multiple of 4: {embed_dims}"
        )
    quarter = embed_dims // 4
    omega = np.float32(10000) ** -(np.arange(quarter, dtype=np.float32) / np.float32(quarter))
    y, x = np.indices(grid_hw, dtype=np.float32).reshape(2, -1, 1) * omega
    table = np.zeros((1, 1 + y.shape[0], embed_dims), np.float32)
    table[0, 1:] = np.concatenate((np.sin(y), np.cos(y), np.sin(x), np.cos(x)), axis=1)
    return torch.from_numpy(table)


def check_positions(positions: Tensor, grid_hw: tuple[int, int]) -> None:
    """Compares positions (1, 1 + h*w, D) of a checkpoint with the table.

    Raises:
        WeightsError: If they are others.
    """
    table = sincos_positions(grid_hw, positions.shape[-1])
    tolerance = _TOLERANCE if positions.dtype.itemsize >= 4 else _TOLERANCE_HALF
    positions = positions.detach().float().cpu()
    difference = float((positions - table).abs().max())
    if difference <= tolerance:
        return
    rows, columns = table.chunk(2, dim=-1)
    swapped = (positions - torch.cat((columns, rows), dim=-1)).abs().max() <= tolerance
    cause = (
        "It is facebook/mae's, which has columns before rows"
        if swapped
        else "The likely cause is facebook/mae's order of the axes (columns before rows), or that "
        "a finetuned model's positions, which are learnt, were given"
    )
    raise WeightsError(
        f"is not the fixed sin-cos table of {grid_hw[0]}x{grid_hw[1]} patches (largest difference "
        f"{difference:.2g}). {cause}. Give a checkpoint of this project's or the released "
        "pretraining; to start a task from other positions, load them into VisionTransformer."
    )


def check_positions_on_load(
    key: str, module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: Any
) -> None:
    """A hook before ``load_state_dict``, as ``partial(check_positions_on_load, key)``.

    Raises:
        WeightsError: If the positions that are given for ``module.<key>`` are not its table.
    """
    positions = state_dict.get(prefix + key)
    own: Any = getattr(module, key)
    if positions is None or positions.shape != own.shape:
        return  # load_state_dict reports it
    try:
        check_positions(positions, module.grid_hw)  # type: ignore[arg-type]
    except WeightsError as error:
        raise WeightsError(f"{prefix}{key} {error}") from None
