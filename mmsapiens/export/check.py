"""Compares what an exported file computes with what the model does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from engine.errors import WeightsError

BOUNDS: Mapping[str, float] = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 8e-2}
"""Of the root mean square of the differences in an image, over the spread of the raw output.

About ten roundings of 16-bit numbers (2^-10, 2^-7); models of 8 and 24 layers measure 1 or 2, as
the roundings of layers partly cancel. In float32, sums in another order measure 1e-6, and a wrong
weight, norm or position shows as 1e-2 and more. The largest difference, which is printed, would be
no measure: of millions of numbers, one is always far off.
"""


@dataclass(frozen=True)
class Comparison:
    """How far an export is from the model in float32.

    Attributes:
        largest: The largest difference of raw outputs.
        relative: Of the worst image: see :data:`BOUNDS`.
        effect: What comes of it: share of changed labels, distance of keypoints; or nothing.
    """

    largest: float
    relative: float
    effect: str

    def __str__(self) -> str:
        said = f"largest difference {self.largest:.1e}, relative {self.relative:.1e}"
        return f"{said}, {self.effect}" if self.effect else said


def batch_indices(batch: int | None, num: int) -> list[list[int]]:
    """Returns which of the images are in each batch: two sizes, or the one that is fixed."""
    return [[0], list(range(num))] if batch is None else [[i % num for i in range(batch)]]


def run_apart(path: Path, batches: list[Tensor], cfg: Config | None = None) -> list[Tensor]:
    """Runs a file in a fresh process.

    Args:
        path: The file.
        batches: Images as the file takes them.
        cfg: Of the model that runs, if the file holds weights alone.

    Returns:
        Raw output of each batch.

    Raises:
        WeightsError: It fails there.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.npz"), Path(folder, "made.npz")
        np.savez(given, *(batch.numpy() for batch in batches))
        words: list[Any] = [sys.executable, "-m", "mmsapiens.export.reopen", path, given, made]
        words += [torch.get_num_threads()]
        if cfg is not None:
            words.append(Path(folder, "config"))
            words[-1].write_bytes(pickle.dumps(cfg))
        places = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            list(map(str, words)), env={**os.environ, **places}, capture_output=True, text=True
        )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise WeightsError(f"{path.name} does not run in a process of its own: {said}")
        with np.load(made) as arrays:
            return [torch.from_numpy(arrays[name]) for name in arrays]


def compare(model: Any, task: str, made: Tensor, expected: Tensor) -> Comparison:
    """Compares raw outputs (B, C, h, w) of a file with those of the model.

    Args:
        model: Whose decoder finds keypoints.
        task: What it predicts.
        made: Of the file.
        expected: Of the model.
    """
    if made.shape != expected.shape:
        raise WeightsError(
            f"The file gives {tuple(made.shape)}, and the model {tuple(expected.shape)}."
        )
    difference = (made - expected).double()
    spread = expected.double().std().clamp(min=1e-12)
    relative = difference.square().mean((1, 2, 3)).sqrt().max() / spread
    effect = ""
    if not relative.isfinite():
        effect = "numbers that are not finite"
    elif task == "parts":
        changed = (made.argmax(1) != expected.argmax(1)).double().mean()
        effect = f"labels changed {100 * changed:.3f} %"
    elif task == "pose":
        decoder = model.head.decoder
        (a, _), (b, _) = decoder.decode(made), decoder.decode(expected)
        moved = (a - b).norm(dim=-1)
        effect = f"keypoints moved {moved.mean():.3f} pixels on average, {moved.max():.3f} at most"
    return Comparison(float(difference.abs().max()), float(relative), effect)


def require_close(path: Path, dtype: str, found: Comparison) -> None:
    """Deletes a file that is not what the model computes.

    Raises:
        WeightsError: It is not.
    """
    if found.relative <= BOUNDS[dtype]:  # not so if it is NaN
        return
    delete(path)
    cure = "" if dtype == "float32" else " Export float32, whose range and precision suffice."
    raise WeightsError(
        f"{path.name} computes something else than the model, and was deleted: {found}; the bound "
        f"of {dtype} is {BOUNDS[dtype]:g}.{cure}"
    )


def delete(path: Path) -> None:
    """Deletes a file, and the weights beside it."""
    for file in (path, path.with_name(f"{path.name}.data")):
        file.unlink(missing_ok=True)
