"""Process groups on machines without a GPU, and what ranks know of each other.

MMEngine 0.10.7 calls ``torch.cuda.set_device`` in its ``init_dist`` whatever the backend, which
fails in a PyTorch without CUDA. A version whose ``_init_dist_pytorch`` skips it makes
:func:`init_cpu_group` unnecessary.
"""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from engine.config.keys import reject_unknown
from engine.errors import ConfigError

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
CHECK_TIMEOUT = "check_timeout"
"""Key of ``env_cfg.dist_cfg`` that is ours, not PyTorch's; see :mod:`engine.roll_call`."""


def group_timeout(cfg: Mapping[str, Any]) -> timedelta | None:
    """Returns how long ranks wait for each other: ``env_cfg.dist_cfg.timeout``, in seconds.

    Raises:
        ConfigError: If it is no positive number, or beside it is a key that nothing reads.
    """
    dist_cfg = (cfg.get("env_cfg") or {}).get("dist_cfg") or {}
    known = {*inspect.signature(dist.init_process_group).parameters, "init_backend", "port"}
    known.add(CHECK_TIMEOUT)
    reject_unknown("env_cfg.dist_cfg", dist_cfg, known)
    seconds = dist_cfg.get("timeout")
    if seconds is None:
        return None
    if not isinstance(seconds, int | float) or seconds <= 0:
        raise ConfigError(
            f"env_cfg.dist_cfg.timeout: expected seconds, more than 0; found {seconds!r}."
        )
    return timedelta(seconds=seconds)


def check_launcher(launcher: str) -> None:
    """Checks that the processes were started by what ``launcher`` says.

    Args:
        launcher: "pytorch" (scripts/node.sh, torchrun) or "slurm" (srun, one task a process).

    Raises:
        ConfigError: If the launcher's variables are missing, or there is no GPU for this process.
    """
    if launcher == "slurm":
        if "SLURM_PROCID" not in os.environ:
            raise ConfigError("--launcher slurm: not inside a Slurm task; start with srun.")
        return
    missing = [name for name in _ENVIRONMENT if name not in os.environ]
    if missing:
        raise ConfigError(
            f"--launcher {launcher}: the environment lacks {', '.join(missing)}. Start with "
            "scripts/node.sh or torchrun, or use --launcher none for one process."
        )
    gpus, number = torch.cuda.device_count(), os.environ["LOCAL_RANK"]
    if gpus and int(number) >= gpus:
        raise ConfigError(
            f"Process {number} of this machine, counted from 0, has no GPU: there are {gpus}. "
            "Start as many processes as GPUs, or none of them with CUDA_VISIBLE_DEVICES= set."
        )


def init_cpu_group(launcher: str, timeout: timedelta | None = None) -> None:
    """Joins the gloo process group that ``launcher`` describes in the environment."""
    if launcher == "slurm":
        translate_slurm()
    dist.init_process_group("gloo", timeout=timeout)


def translate_slurm() -> None:
    """Sets torch's variables from those of a Slurm task, as MMEngine does for GPUs."""
    os.environ["RANK"] = os.environ["SLURM_PROCID"]
    os.environ["LOCAL_RANK"] = os.environ["SLURM_LOCALID"]
    os.environ["WORLD_SIZE"] = os.environ["SLURM_NTASKS"]
    os.environ.setdefault("MASTER_PORT", "29500")
    if "MASTER_ADDR" not in os.environ:
        nodes = os.environ["SLURM_NODELIST"]
        names = subprocess.run(
            ["scontrol", "show", "hostnames", nodes], check=True, capture_output=True, text=True
        )
        os.environ["MASTER_ADDR"] = names.stdout.split()[0]


def introduce_rank() -> None:
    """Tells the other ranks which process this rank is."""
    who = f"process {os.getpid()} on {socket.gethostname()}"
    default_store().set(f"who/{dist.get_rank()}", who)


def default_store() -> dist.Store:
    """Returns what all ranks can read and write, without a collective."""
    return dist.distributed_c10d._get_default_store()
