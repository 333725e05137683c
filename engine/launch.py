"""Process groups on machines without a GPU.

MMEngine 0.10.7 calls ``torch.cuda.set_device`` in its ``init_dist`` whatever the backend, which
fails in a PyTorch without CUDA. A version whose ``_init_dist_pytorch`` skips it makes this file
unnecessary.
"""

from __future__ import annotations

import os
import subprocess

import torch.distributed as dist

from engine.errors import ConfigError


def init_cpu_group(launcher: str) -> None:
    """Joins the gloo process group that ``launcher`` describes in the environment.

    Args:
        launcher: "pytorch" (torchrun) or "slurm" (srun, one task a process).

    Raises:
        ConfigError: If the launcher's variables are missing.
    """
    if dist.is_initialized():
        return
    if launcher == "slurm":
        _translate_slurm()
    missing = [name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if name not in os.environ]
    if missing:
        raise ConfigError(
            f"--launcher {launcher}: the environment lacks {', '.join(missing)}. Start with "
            "torchrun (see scripts/node.sh), or use --launcher none for one process."
        )
    dist.init_process_group("gloo")


def _translate_slurm() -> None:
    """Sets torch's variables from those of a Slurm task, as MMEngine does for GPUs."""
    if "SLURM_PROCID" not in os.environ:
        raise ConfigError("--launcher slurm: not inside a Slurm task; start with srun.")
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
