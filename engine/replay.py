"""A batch that made a loss or gradient non-finite: saved, and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from engine.checkpoint import read_checkpoint
from engine.model.base import BaseModel
from engine.tables import format_table


def seed_iteration(seed: int, rank: int, iteration: int) -> None:
    """Seeds PyTorch's global generators (dropout, drop path) for one training iteration.

    The state of the generators is thus a function of where the run is, and needs no saving.
    """
    sequence = np.random.SeedSequence([seed, rank, iteration])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


def save_nan_batch(
    work_dir: str | Path,
    model: BaseModel,
    data_batch: dict,
    losses: dict[str, float],
    seed: int,
    iteration: int,
) -> str:
    """Saves all that is needed to repeat an iteration; returns the path of the file.

    The file is ``work_dir/nan_batch.pth``; ranks other than the first add their number. It holds
    ``data_batch``, ``img_paths``, ``losses`` (name -> value, computed again), ``state_dict``, and
    ``seed``, ``rank`` and ``iter``, from which the random state of the iteration follows.
    """
    rank = get_rank()
    path = Path(work_dir, f"nan_batch{f'_rank{rank}' if rank else ''}.pth")
    content = {
        "data_batch": data_batch,
        "img_paths": [sample.get("img_path") for sample in data_batch["data_samples"]],
        "losses": losses,
        "state_dict": model.state_dict(),
        "seed": seed,
        "rank": rank,
        "iter": iteration,
    }
    torch.save(content, path)
    return str(path)


def losses_of(
    model: BaseModel, wrapper: OptimWrapper, data_batch: dict, seed: int, rank: int, iteration: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Computes the loss and its terms by name again, as in the iteration, on this rank alone."""
    seed_iteration(seed, rank, iteration)
    with wrapper.optim_context(model):
        data = model.data_preprocessor(data_batch, True)
        return model.sum_losses(model(**data, mode="loss"))


def replay(model: BaseModel, wrapper: OptimWrapper, path: str) -> str:
    """Runs a saved batch through loss and backward again and says what is not finite.

    Args:
        model: Of the same config; its weights are replaced.
        wrapper: Of its parameters, possibly of another ``dtype``.
        path: From :func:`save_nan_batch`. The file is unpickled: it must be your own.

    Returns:
        A report: the images, each loss term, and the parameters with non-finite gradients.
    """
    saved = read_checkpoint(path, trust=True)
    model.load_state_dict(saved["state_dict"])
    model.train()
    position = (saved["seed"], saved["rank"], saved["iter"])
    total, terms = losses_of(model, wrapper, saved["data_batch"], *position)
    total.backward()
    return _report(saved, terms, model)


def _report(saved: dict, terms: dict[str, Any], model: nn.Module) -> str:
    rows = [[name, f"{saved['losses'].get(name, float('nan')):.6g}", f"{float(value.detach()):.6g}"]
            for name, value in terms.items()]  # fmt: skip
    bad = [
        name
        for name, p in model.named_parameters()
        if p.grad is not None and not p.grad.isfinite().all()
    ]
    gradients = f"non-finite gradients in {len(bad)} parameters"
    if bad:
        gradients += f", such as {', '.join(bad[:3])}"
    images = "\n".join(f"  {path}" for path in saved["img_paths"])
    table = format_table(["value", "when saved", "replayed"], rows)
    return f"images of iteration {saved['iter'] + 1}:\n{images}\n{table}\n{gradients}"
