"""Fixtures that all tests share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

ROOT = Path(__file__).resolve().parents[1]


class Golden:
    """A recorded file: ``meta``, and tensors by key."""

    def __init__(self, name: str) -> None:
        self.arrays = np.load(ROOT / "tests" / "golden" / f"{name}.npz")
        self.meta: dict[str, Any] = json.loads(str(self.arrays["meta"]))

    def __getitem__(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[key])

    @property
    def state_dict(self) -> dict[str, torch.Tensor]:
        keys = [key for key in self.arrays if key.startswith("state/")]
        return {key.removeprefix("state/"): self[key] for key in keys}


@pytest.fixture(autouse=True)
def no_default_scope() -> None:
    """Names in a test resolve from its registry, whatever scope an earlier test has set."""
    DefaultScope._instance_dict.clear()


@pytest.fixture
def golden() -> type[Golden]:
    return Golden


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT
