"""Trainings in one, two and four processes, of which several tests look at the ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sharded_trainings import AVERAGE, FSDP, HSDP, Trained, make_config, train_ranks


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the trainings are; each has a folder of its name."""
    return tmp_path_factory.mktemp("sharded")


@pytest.fixture(scope="session")
def two(folder: Path, faces_dir: Path) -> dict[str, list[Trained]]:
    """Trainings of two ranks."""
    from_folder = {"resume": True, "load_from": str(folder / "fsdp" / "epoch_1.dcp")}
    from_file = {"resume": True, "load_from": str(folder / "ddp" / "epoch_1.pth")}
    missing = {"type": "Pretrained", "checkpoint": str(folder / "gone.pth")}
    compiled = {
        **FSDP,
        "compile": {"backend": "aot_eager"},
        "activation_checkpointing": {"every": 2},
        "custom_hooks": [
            *AVERAGE,
            {"type": "PicturesHook", "num_samples": 1, "train_interval": 3},
        ],
        "default_hooks__checkpoint__max_keep_ckpts": 1,
    }
    fused_diverged = {
        "optim_wrapper__optimizer__lr": 1e36,
        "optim_wrapper__optimizer__fused": True,
    }
    jobs = {
        "ddp": {},
        "fsdp": FSDP,
        "compiled": compiled,
        "resumed": {**FSDP, **from_folder},
        "sharded": {**FSDP, **from_file},
        "fused": {**FSDP, "optim_wrapper__optimizer__fused": True},
        "fused diverged": {**FSDP, **fused_diverged},
        "diverged": {**FSDP, "optim_wrapper__optimizer__lr": 1e36},
        "no weights": {**FSDP, "model__backbone__init_cfg": missing},
        "not dealt": {"sharding": {"type": "fsdp2", "replicate": 3}},
    }
    return train_ranks(2, folder, faces_dir, jobs)


@pytest.fixture(scope="session")
def four(two: Any, folder: Path, faces_dir: Path) -> dict[str, list[Trained]]:
    """Trainings of four ranks."""
    resume = {"resume": True, "load_from": str(folder / "fsdp" / "epoch_1.dcp")}
    return train_ranks(4, folder, faces_dir, {"four": {**HSDP, **resume}})


@pytest.fixture(scope="session")
def one(two: Any, folder: Path, faces_dir: Path) -> dict[str, Trained]:
    """Trainings of one process."""
    resume = {**FSDP, "resume": True, "load_from": str(folder / "fsdp" / "epoch_1.dcp")}
    jobs = {"alone": {}, "resumed alone": resume}
    return {
        name: Trained(make_config(faces_dir, folder / name, 1, **options))
        for name, options in jobs.items()
    }
