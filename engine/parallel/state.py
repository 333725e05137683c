"""The state of a sharded training: what a checkpoint of it holds, and how each process reads it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.dist import is_main_process
from torch import Tensor
from torch.distributed.tensor import DTensor

from engine.checkpoint.meta import model_meta
from engine.checkpoint.read import read_checkpoint, read_sharded
from engine.checkpoint.sharded import Like, is_sharded_checkpoint, join, split
from engine.errors import not_written
from engine.parallel.shards import part, whole


def state_of(
    runner: Any, meta: dict, save_optimizer: bool = True, save_param_scheduler: bool = True
) -> dict[str, Any]:
    """Returns what MMEngine saves of a training, of this process; see its ``save_checkpoint``."""
    about = {
        "cfg": runner.cfg.pretty_text,
        "seed": runner.seed,
        "experiment_name": runner.experiment_name,
        "time": time.strftime("%Y%m%d_%H%M%S"),
        "mmengine_version": mmengine.__version__,
        "dataset_meta": getattr(runner.train_dataloader.dataset, "metainfo", None),
    }
    checkpoint = {
        "meta": {**meta, **about},
        "state_dict": runner.model.state_dict(),
        "message_hub": runner.message_hub.state_dict(),
    }
    if save_optimizer:
        checkpoint["optimizer"] = runner.optim_wrapper.state_dict()
    if save_param_scheduler and runner.param_schedulers is not None:
        checkpoint["param_schedulers"] = [s.state_dict() for s in runner.param_schedulers]
    runner.call_hook("before_save_checkpoint", checkpoint=checkpoint)
    return checkpoint


def read_part(path: str | Path, runner: Any) -> dict[str, Any]:
    """Reads a checkpoint to resume from; of a tensor that is sharded here, this process's part.

    Args:
        path: A folder of a sharded training, of any number of processes, or the file of another.
        runner: With its optimizer built.

    Raises:
        WeightsError: It cannot be read.
    """
    if is_sharded_checkpoint(path):
        return read_sharded(path, like=lambda rest: _like(runner, rest))
    tensors, rest = split(read_checkpoint(path))
    like = _like(runner, rest)
    parts = {key: _part_like(like(key), tensor) for key, tensor in tensors.items()}
    return join(parts, rest, str(path))


def save_weights(runner: Any) -> None:
    """Writes ``epoch_N_weights.pth``: whole weights, as those of other trainings are.

    Raises:
        OutputError: It cannot be written.
    """
    meta = {"epoch": runner.epoch, "iter": runner.iter, **model_meta(runner.model)}
    checkpoint = state_of(runner, meta, save_optimizer=False, save_param_scheduler=False)
    weights = {}
    for name, tensor in checkpoint["state_dict"].items():
        gathered = whole(tensor.detach())
        if is_main_process():
            weights[name] = gathered.cpu()
    if not is_main_process():
        return
    path = Path(runner.work_dir, f"epoch_{runner.epoch}_weights.pth")
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        torch.save({"meta": checkpoint["meta"], "state_dict": weights}, temporary)
    except (OSError, RuntimeError) as error:  # PyTorch reports a full disk as a RuntimeError
        temporary.unlink(missing_ok=True)
        raise not_written(path, error) from error
    temporary.replace(path)
    runner.logger.info(f"The weights are in {path}.")


def _like(runner: Any, rest: Mapping[str, Any]) -> Like:
    """Says of what form the tensors of a checkpoint are here.

    States of the optimizer are of the form of their parameter, which they name as the checkpoint
    does: by its place in the groups, whose names say which it is here.
    """
    like = {f"state_dict/{name}": tensor for name, tensor in runner.model.state_dict().items()}
    for hook in runner.hooks:
        if hasattr(hook, "ema_model"):
            average = hook.ema_model.state_dict()
            like |= {f"ema_state_dict/{name}": tensor for name, tensor in average.items()}
    own = runner.optim_wrapper.optimizer.param_groups
    params = [param for group in own for param in group["params"]]
    names = [name for group in own for name in group.get("param_names", ())]
    by_name = dict(zip(names, params, strict=False))
    saved = (rest.get("optimizer") or {}).get("param_groups") or ()
    for group in saved:
        for place, i in enumerate(group["params"]):
            theirs = group.get("param_names")
            param = by_name.get(theirs[place]) if theirs else dict(enumerate(params)).get(i)
            if param is not None:
                like[f"optimizer/{i}"] = param
    return lambda path: like.get(path, like.get(path.rpartition("/")[0]))


def _part_like(ours: Tensor | None, tensor: Tensor) -> Tensor:
    if isinstance(ours, DTensor) and ours.shape == tensor.shape:
        return part(tensor, ours)
    return tensor
