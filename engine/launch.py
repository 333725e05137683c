"""Process groups: forming one without a GPU, and saying in one sentence what is wrong with one.

MMEngine 0.10.7 calls ``torch.cuda.set_device`` in its ``init_dist`` whatever the backend, which
fails in a PyTorch without CUDA. A version whose ``_init_dist_pytorch`` skips it makes
:func:`init_cpu_group` unnecessary.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from engine.errors import ConfigError, ProcessError

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_PATIENCE_SECONDS = 5.0


def group_timeout(cfg: Mapping[str, Any]) -> timedelta | None:
    """Returns how long ranks wait for each other: ``env_cfg.dist_cfg.timeout``, in seconds.

    Raises:
        ConfigError: If it is no positive number.
    """
    seconds = ((cfg.get("env_cfg") or {}).get("dist_cfg") or {}).get("timeout")
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
        _translate_slurm()
    dist.init_process_group("gloo", timeout=timeout)


def _translate_slurm() -> None:
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


@contextmanager
def ranks_named(timeout: timedelta | None) -> Iterator[None]:
    """Says in one sentence which rank is missing, where torch says that a socket failed.

    Args:
        timeout: How long ranks wait for each other, for the sentence; None for torch's default.

    Raises:
        ProcessError: If ranks do not meet, or one has left the others or does not answer.
    """
    try:
        yield
    except RuntimeError as error:
        sentence = _what_is_wrong(error, _within(timeout))
        if sentence is None:
            raise
        raise ProcessError(sentence) from error


def _within(timeout: timedelta | None) -> str:
    if timeout is None:
        return "in time (PyTorch's; env_cfg.dist_cfg.timeout=SECONDS sets it)"
    return f"within {timeout.total_seconds():g} s (env_cfg.dist_cfg.timeout)"


def _what_is_wrong(error: RuntimeError, within: str) -> str | None:
    text = str(error)
    if not isinstance(error, dist.DistError) and "/gloo/" not in text:
        return None
    where = f"{os.environ.get('MASTER_ADDR')}, port {os.environ.get('MASTER_PORT')}"
    if "EADDRINUSE" in text:
        return (
            f"Rank 0 cannot wait for the others at {where}: another program, perhaps another "
            "training, uses the port. Set MASTER_PORT to a free one; scripts/node.sh finds one."
        )
    if not dist.is_initialized():
        return (
            f"The {os.environ.get('WORLD_SIZE')} processes did not meet at {where}, {within}: "
            f"{text.splitlines()[0]} Look whether all were started, and can reach that machine."
        )
    if re.search("by peer|pair closure|broken pipe|remote process", text, re.IGNORECASE):
        return (
            f"Rank {dist.get_rank()} cannot go on: another one has ended. The first error in the "
            "output, or on the other machines, says why."
        )
    if re.search("tim(e|ed|ing) ?out", text, re.IGNORECASE):
        silent = " and ".join(_silent_ranks()) or "A rank"
        return (
            f"{silent} did not answer {within}: stopped, or stuck in reading data or in waiting "
            "for a file system. Look at it, or let ranks wait longer."
        )
    return None


def introduce_rank() -> None:
    """Tells the other ranks which process this rank is."""
    who = f"process {os.getpid()} on {socket.gethostname()}"
    _store().set(f"who/{dist.get_rank()}", who)


def _silent_ranks() -> list[str]:
    """Names the ranks that have not found a failure, as all do that still run.

    Asks in a thread: the store is rank 0's, unless it is torchrun's, and may be silent itself.
    """
    me, ranks = dist.get_rank(), range(dist.get_world_size())
    names = [f"Rank {rank}" for rank in ranks]
    silent = [0]  # if the store does not answer
    patience = _PATIENCE_SECONDS + (me == 0)  # the others still ask

    def ask() -> None:
        store, keys = _store(), [f"failed/{rank}" for rank in ranks]
        store.set(keys[me], "")
        with suppress(dist.DistStoreError):
            store.wait(keys, timedelta(seconds=patience))
        silent[:] = [rank for rank in ranks if not store.check([keys[rank]])]
        for rank in silent:
            if store.check([f"who/{rank}"]):
                names[rank] += f" ({store.get(f'who/{rank}').decode()})"

    def ask_if_there() -> None:
        with suppress(dist.DistError):
            ask()

    thread = threading.Thread(target=ask_if_there, daemon=True)
    thread.start()
    thread.join(patience + 1)
    return [names[rank] for rank in silent]


def _store() -> dist.Store:
    return dist.distributed_c10d._get_default_store()
