"""A batch that made a loss or gradient non-finite: saved, and run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import get_rank

from engine.checkpoint import read_checkpoint
from engine.model.wrappers import unwrap
from engine.seeding import seed_iteration
from engine.tables import format_table

if TYPE_CHECKING:
    from engine.runner import Runner


def save_nan_batch(runner: Runner, data_batch: dict) -> str:
    """Saves all that is needed to repeat an iteration; returns the path of the file.

    The file is ``work_dir/nan_batch.pth``; ranks other than the first add their number. It holds
    ``data_batch``, ``img_paths``, ``losses`` (name -> value), ``state_dict``, and ``seed``,
    ``rank`` and ``iter``, from which the random state of the iteration follows.
    """

    rank = get_rank()
    model = unwrap(runner.model)
    path = Path(runner.work_dir, f"nan_batch{f'_rank{rank}' if rank else ''}.pth")
    content = {
        "data_batch": data_batch,
        "img_paths": [sample.get("img_path") for sample in data_batch["data_samples"]],
        "losses": {name: float(value) for name, value in model.last_losses.items()},
        "state_dict": model.state_dict(),
        "seed": runner.seed,
        "rank": rank,
        "iter": runner.iter,
    }
    torch.save(content, path)
    return str(path)


def replay(runner: Runner, path: str) -> str:
    """Runs a saved batch through loss and backward again and says what is not finite.

    Args:
        runner: Of the same config, possibly with another ``optim_wrapper.dtype``.
        path: From :func:`save_nan_batch`. The file is unpickled: it must be your own.

    Returns:
        A report: the images, each loss term, and the parameters with non-finite gradients.
    """
    saved = read_checkpoint(path, trust=True)
    model = unwrap(runner.model)
    model.load_state_dict(saved["state_dict"])
    model.train()
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    seed_iteration(saved["seed"], saved["rank"], saved["iter"])
    with wrapper.optim_context(model):
        data = model.data_preprocessor(saved["data_batch"], True)
        losses = model(**data, mode="loss")
    total, terms = model.parse_losses(losses)
    total.backward()
    return _report(saved, terms, model)


def _report(saved: dict, terms: dict[str, Any], model: torch.nn.Module) -> str:
    rows = [[name, f"{saved['losses'].get(name, float('nan')):.6g}", f"{float(value):.6g}"]
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
    table = format_table(["value", "in the run", "replayed"], rows)
    return f"images of iteration {saved['iter'] + 1}:\n{images}\n{table}\n{gradients}"
