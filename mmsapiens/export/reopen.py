"""Runs an exported file in a process of its own: ``python -m mmsapiens.export.reopen``.

Arguments: the file, an .npz with batches of images as the file takes them, and where the raw
outputs go, another .npz. Nothing of the model is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from engine.errors import WeightsError
from mmsapiens.export.graphs import Graph
from mmsapiens.export.metadata import read_metadata


def main(path: Path, batches: Path, outputs: Path, num_threads: int) -> None:
    """Runs all batches."""
    torch.set_num_threads(num_threads)
    metadata = read_metadata(path)
    if metadata is None:
        raise WeightsError(f"{path} has no metadata.")
    given = metadata["input"]
    dtype = torch.uint8 if given["normalise"] == "inside" else getattr(torch, metadata["dtype"])
    graph = Graph(path, metadata, torch.device("cpu"))
    made = []
    with torch.inference_mode(), np.load(batches) as arrays:
        for images in arrays.values():
            made.append(graph(torch.from_numpy(images).to(dtype)).numpy())
    np.savez(outputs, *made)


if __name__ == "__main__":
    file, given, made = map(Path, sys.argv[1:4])
    main(file, given, made, int(sys.argv[4]))
