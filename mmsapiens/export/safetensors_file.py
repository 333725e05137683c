"""Safetensors: the weights alone, to be loaded as a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file

from engine.checkpoint import model_meta
from engine.errors import OutputError
from engine.precision import keep_in
from mmsapiens.export.metadata import NAME
from mmsapiens.export.network import with_own_parameters

ENDING = ".safetensors"


def write(model: Any, dtype: str, path: Path, text: str, dataset_meta: dict[str, Any]) -> None:
    """Writes the weights, those of linear layers and convolutions in ``dtype``, and the metadata.

    Raises:
        OutputError: The file cannot be written.
    """
    shared = with_own_parameters(model)
    keep_in(shared, dtype)
    classes = {key: dataset_meta[key] for key in ("classes", "palette") if dataset_meta.get(key)}
    meta = {**model_meta(model), "dataset_meta": classes}
    tensors = {name: tensor.contiguous().clone() for name, tensor in shared.state_dict().items()}
    try:
        save_file(tensors, path, {NAME: text, **{k: json.dumps(v) for k, v in meta.items()}})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} could not be written ({error}). Make room.") from error
