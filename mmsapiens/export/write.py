"""From a config and a checkpoint to a file that was compared with the model."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from engine.errors import ConfigError, OutputError
from engine.infer import init_model
from engine.model.base import BaseModel
from mmsapiens.export import safetensors_file
from mmsapiens.export.check import Comparison, batch_indices, compare, require_close, run_apart
from mmsapiens.export.describe import describe
from mmsapiens.export.graphs import FORMATS
from mmsapiens.export.metadata import DTYPES
from mmsapiens.export.network import ExportedNetwork
from mmsapiens.export.pictures import check_images
from mmsapiens.export.writing import temporary_folder

NAMES = ("torchscript", "pt2", "onnx", "safetensors")
"""The formats, as --format takes them."""


@dataclass(frozen=True)
class Options:
    """How a model is exported; see :func:`export`."""

    format: str
    dtype: str = "float32"
    batch: int | None = None
    normalise: str = "outside"
    aot: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (
            ("format", self.format, NAMES),
            ("dtype", self.dtype, DTYPES),
            ("normalise", self.normalise, ("inside", "outside")),
        ):
            if value not in known:
                raise ConfigError(f"{name}: expected {' or '.join(known)}; found {value!r}.")
        if self.batch is not None and self.batch < 1:
            raise ConfigError(f"batch: expected 'dynamic' or a number from 1; found {self.batch}.")
        if self.aot and self.format != "pt2":
            raise ConfigError(f"aot compiles a program: format pt2; found {self.format}.")
        if self.format == "onnx" and self.dtype == "bfloat16":
            raise ConfigError(
                "ONNX Runtime has no convolutions of bfloat16. Export float16 or float32."
            )
        if not self.has_graph and (self.batch or self.normalise == "inside"):
            raise ConfigError("safetensors hold weights and no graph: leave out batch, normalise.")

    @property
    def has_graph(self) -> bool:
        """Whether the file holds operations, not weights alone."""
        return self.format != "safetensors"

    @property
    def kind(self) -> str:
        """What the metadata calls the format."""
        return "aot" if self.aot else self.format

    def path(self, folder: Path, checkpoint: Path) -> Path:
        """Returns what the file is called."""
        ending = FORMATS[self.kind].ending if self.has_graph else safetensors_file.ENDING
        return folder / f"{checkpoint.stem}_{self.dtype}{ending}"


@dataclass(frozen=True)
class Exported:
    """A file that was made, and how far it is from the model."""

    path: Path
    comparison: Comparison
    metadata: dict[str, Any]

    @property
    def num_bytes(self) -> int:
        """Size, with that of the weights beside it."""
        files = self.path, self.path.with_name(f"{self.path.name}.data")
        return sum(file.stat().st_size for file in files if file.exists())


def export(
    cfg: Config,
    checkpoint: str | Path,
    output: str | Path,
    options: Options,
    *,
    images: str | Path | None = None,
    overwrite: bool = False,
) -> Exported:
    """Exports a model, and checks the file in a fresh process.

    The file appears under its name, ``<checkpoint>_<dtype><ending>``, when it has passed.

    Args:
        cfg: Of the model; its input has the size that the file will take.
        checkpoint: The weights.
        output: Folder of the file.
        options: The format, and how it is.
        images: To check with: see :func:`mmsapiens.export.pictures.check_images`.
        overwrite: Whether the file may exist.

    Raises:
        ConfigError: The options contradict each other, or something that the format needs is
            missing.
        OutputError: The file exists, or cannot be written.
        WeightsError: The checkpoint does not fit, or the file computes something else.
    """
    checkpoint, folder = Path(checkpoint), Path(output)
    path = options.path(folder, checkpoint)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists. Name another folder, or pass --overwrite.")
    cfg = copy.deepcopy(cfg)
    cfg.model.eval_dtype = "float32"
    model, dataset_meta = init_model(cfg, str(checkpoint), "cpu")
    pixels = check_images(images, _size_hw(model))
    metadata = describe(cfg, model, dataset_meta, checkpoint, options.normalise)
    metadata |= {"file": options.kind, "dtype": options.dtype}
    metadata["input"]["batch"] = options.batch or "dynamic"
    expected = _raw_output(model, pixels)
    metadata["output"] = {"size_hw": list(expected.shape[2:]), "channels": expected.shape[1]}
    with temporary_folder(folder) as place:
        made = place / path.name
        if options.has_graph:
            comparison = _write_graph(model, made, metadata, options, pixels, expected)
        else:
            text = json.dumps(metadata)
            safetensors_file.write(model, options.dtype, made, text, dataset_meta)
            comparison = _compare_weights(model, made, metadata, cfg, pixels, expected)
        require_close(made, options.dtype, comparison)
        mask = os.umask(0)
        os.umask(mask)
        # Weights that lie beside the file come before it.
        for file in sorted(place.iterdir(), key=lambda file: file.name == path.name):
            file.chmod(0o666 & ~mask)  # safetensors makes files that only their owner may read
            file.replace(folder / file.name)
    return Exported(path, comparison, metadata)


def _write_graph(
    model: BaseModel,
    path: Path,
    metadata: dict[str, Any],
    options: Options,
    pixels: Tensor,
    expected: Tensor,
) -> Comparison:
    """Writes the graph; returns how far it is from the model."""
    network = ExportedNetwork(model, options.dtype, options.normalise == "inside")
    images = _as_input(model, network, pixels)
    num = options.batch or 2

    def text(**of_the_format: object) -> str:
        metadata.update(of_the_format)
        return json.dumps(metadata)

    example = images[[i % len(images) for i in range(num)]]
    FORMATS[options.kind].write(network, example, path, text, options.batch is None)
    batches = batch_indices(options.batch, len(images))
    sent = [images[rows] if network.normalise else images[rows].float() for rows in batches]
    made = torch.cat(run_apart(path, sent))
    return compare(model, metadata["task"], made, torch.cat([expected[rows] for rows in batches]))


def _compare_weights(
    model: BaseModel,
    path: Path,
    metadata: dict[str, Any],
    cfg: Config,
    pixels: Tensor,
    expected: Tensor,
) -> Comparison:
    """Returns how far what the weights give is from the model."""
    images, batches = _normalised(model, pixels), batch_indices(None, len(pixels))
    made = torch.cat(run_apart(path, [images[rows] for rows in batches], cfg))
    return compare(model, metadata["task"], made, torch.cat([expected[rows] for rows in batches]))


def _as_input(model: Any, network: ExportedNetwork, pixels: Tensor) -> Tensor:
    """Turns pixels (B, 3, H, W), BGR, into what the network takes."""
    if network.normalise:
        return pixels.flip(1) if model.data_preprocessor.bgr_to_rgb else pixels
    return _normalised(model, pixels).to(network.input_dtype)


def _normalised(model: Any, pixels: Tensor) -> Tensor:
    images: Tensor = model.data_preprocessor({"inputs": pixels, "data_samples": []})["inputs"]
    return images


def _raw_output(model: Any, pixels: Tensor) -> Tensor:
    """Raw output of the model in float32, image by image."""
    with torch.inference_mode():
        images = _normalised(model, pixels).split(1)
        return torch.cat([model.forward_tensor(image).float() for image in images])


def _size_hw(model: Any) -> tuple[int, int]:
    height, width = model.backbone.img_size_hw
    return height, width
