"""Runs an exported file in a process of its own: ``python -m mmsapiens.export.reopen``.

Arguments: the file, an .npz with batches of images as the file takes them, where the raw outputs
go, another .npz, how many threads run, and for a file of weights its pickled config. Without one,
nothing of the model is imported.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.errors import WeightsError
from mmsapiens.export.graphs import Graph
from mmsapiens.export.metadata import read_metadata


def main(
    path: Path, batches: Path, outputs: Path, num_threads: int, config: Path | None = None
) -> None:
    """Runs all batches."""
    torch.set_num_threads(num_threads)
    run = _graph(path) if config is None else _weights(path, config)
    with torch.inference_mode(), np.load(batches) as arrays:
        made = [run(torch.from_numpy(images)).numpy() for images in arrays.values()]
    np.savez(outputs, *made)


def _graph(path: Path) -> Callable[[Tensor], Tensor]:
    metadata = read_metadata(path)
    if metadata is None:
        raise WeightsError(f"{path} has no metadata.")
    given = metadata["input"]
    dtype = torch.uint8 if given["normalise"] == "inside" else getattr(torch, metadata["dtype"])
    graph = Graph(path, metadata, torch.device("cpu"))
    return lambda images: graph(images.to(dtype))


def _weights(path: Path, config: Path) -> Callable[[Tensor], Tensor]:
    from engine.infer import init_model

    model: Any = init_model(pickle.loads(config.read_bytes()), str(path), "cpu")[0]
    return lambda images: model.forward_tensor(images).float()


if __name__ == "__main__":
    file, given, made, num_threads, *of_weights = sys.argv[1:]
    main(Path(file), Path(given), Path(made), int(num_threads), *map(Path, of_weights))
