"""Trainings in several processes, and what each has at the end."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch.distributed.tensor import DTensor

from engine.errors import MMSapiensError
from engine.model.wrappers import unwrap
from engine.runner import Runner
from tests.conftest import BARE, make_face_config
from tests.processes import LIBRARIES

FSDP = {"sharding": {"type": "fsdp2"}}
HSDP = {"sharding": {"type": "fsdp2", "replicate": 2, "reshard_after_forward": False}}
AVERAGE = [{"type": "EMAHook", "momentum": 0.3}]
EPOCHS = 2


class Trained:
    """What a rank has at the end of a training.

    Attributes:
        weights: The model's, whole, and those of its average as ``ema.<name>``.
        elements: Numbers of parameters and states of the optimizer that this process holds.
        logged: The figures of the log by name.
        error: What stopped it, None if nothing did.
    """

    def __init__(self, cfg: Any) -> None:
        DefaultScope._instance_dict.clear()
        MMLogger._instance_dict.clear()
        self.weights, self.elements, self.logged, self.error = {}, 0, {}, None
        try:
            runner = Runner.from_cfg(cfg)
            runner.train()
        except MMSapiensError as error:
            self.error = f"{type(error).__name__}: {error}"
            return
        tensors = dict(unwrap(runner.model).named_parameters())
        for hook in runner.hooks:
            if hasattr(hook, "ema_model"):
                average = hook.ema_model.module.named_parameters()
                tensors |= {f"ema.{name}": tensor for name, tensor in average}
        self.weights = {name: whole_copy(tensor) for name, tensor in tensors.items()}
        states = runner.optim_wrapper.optimizer.state.values()
        held = [*unwrap(runner.model).parameters(), *(t for s in states for t in s.values())]
        self.elements = sum(own_part(tensor).numel() for tensor in held)
        logs = runner.message_hub.log_scalars.items()
        self.logged = {name: log.data[0].tolist() for name, log in logs}


def own_part(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_copy(tensor: torch.Tensor) -> torch.Tensor:
    whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return whole.detach().clone()


def make_config(faces_dir: Path, work_dir: Path, world_size: int, **options: Any) -> Any:
    """A config of two batches an epoch, which are one step, of four faces of all ranks."""
    cfg = make_face_config(
        faces_dir,
        work_dir,
        **{
            **BARE,
            "custom_hooks": AVERAGE,
            "default_hooks__checkpoint__max_keep_ckpts": -1,
            "optim_wrapper__dtype": "float32",
            "optim_wrapper__accumulative_counts": 2,
            "optim_wrapper__clip_grad": {"max_norm": 0.5},
            "optim_wrapper__optimizer__lr": 1e-3,
            "optim_wrapper__constructor": "LayerDecayOptimWrapperConstructor",
            "optim_wrapper__paramwise_cfg": {"layer_decay_rate": 0.8},
            "train_cfg__max_epochs": EPOCHS,
            "param_scheduler": None,
            "train_dataloader__batch_size": 4 // world_size,
            "train_dataloader__dataset__indices": 8,
            "val_dataloader__batch_size": 1,
            "val_dataloader__dataset__indices": 3,  # not as many for each rank
            **options,
        },
    )
    cfg.launcher = "none" if world_size == 1 else "pytorch"
    return cfg


def train_rank(
    rank: int, world_size: int, folder: Path, faces_dir: Path, jobs: dict[str, dict]
) -> None:
    """Trains each of the jobs, and notes the ends in ``folder``."""
    torch.set_num_threads(1)
    os.environ["LOCAL_RANK"] = str(rank)
    meet = f"file://{folder}/meet_{'_'.join(jobs)}"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=world_size)
    for name, options in jobs.items():
        trained = Trained(make_config(faces_dir, folder / name, world_size, **options))
        torch.save(trained, folder / f"{name}_{rank}.pt")


def train_ranks(
    world_size: int, folder: Path, faces_dir: Path, jobs: dict[str, dict]
) -> dict[str, list[Trained]]:
    """Trains jobs, of options by name, one after the other on as many processes.

    They are forked from a server that has imported the libraries.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(LIBRARIES)
    torch.multiprocessing.start_processes(
        train_rank,
        (world_size, folder, faces_dir, jobs),
        nprocs=world_size,
        start_method="forkserver",
    )
    return {name: [load(folder / f"{name}_{r}.pt") for r in range(world_size)] for name in jobs}


def load(path: Path) -> Trained:
    return torch.load(path, weights_only=False)
