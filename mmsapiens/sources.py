"""From what a user calls a model to its config and its weights."""

from __future__ import annotations

from os import PathLike
from os.path import isdir, isfile  # unlike Path's, no error of an impossible name
from pathlib import Path

from engine.errors import ConfigError
from mmsapiens.export.metadata import ONNX, read_metadata
from mmsapiens.hub import fetch, locate
from mmsapiens.shipped import find_config, shipped_configs
from mmsapiens.zoo import RELEASED, Released, find, like

PathName = str | PathLike[str]
WEIGHTS = (".pth", ".pt", ".pt2", ".safetensors", ".onnx", ".dcp")
"""Suffixes of checkpoints, ``.dcp`` of folders, and of exported files, which take their place."""


def find_model(source: PathName | tuple[PathName, PathName]) -> tuple[Path, Path]:
    """Returns the config and the checkpoint of a model.

    Args:
        source: (config, checkpoint); the name of a released model; or a checkpoint alone: of a
            training, whose config lies beside it, or one that has the tensors of a released model.

    Raises:
        ConfigError: There is no such name or config, or a checkpoint does not tell its config.
        WeightsError: A released model is not here and cannot be downloaded, or the checkpoint
            cannot be read.
    """
    if isinstance(source, tuple | list):
        if len(source) != 2:
            raise ConfigError(f"expected (config, checkpoint); found {len(source)} of them.")
        return find_config(str(source[0])), Path(source[1])
    if not isinstance(source, str | PathLike):
        raise ConfigError(
            f"expected a name, the path of a checkpoint, or (config, checkpoint); found {source!r}."
        )
    path = Path(source)
    if path.suffix == ONNX and not isfile(path):
        raise ConfigError(f"{source} is not a file. Correct the path.")
    if path.suffix in WEIGHTS:
        return _config_of(path), path
    if path.suffix == ".py":
        raise ConfigError(f"{source} is a config; give its checkpoint, too: (config, checkpoint).")
    if isdir(path) and str(source) not in RELEASED:
        raise ConfigError(f"{source} is a folder; give the checkpoint in it that is meant.")
    released = find(str(source))
    return find_config(released.config), weights_of(released)


def weights_of(released: Released) -> Path:
    """Returns a file of a released model: one that is here, of either kind, or the hub's."""
    return locate(released) or locate(released, torchscript=True) or fetch(released)


def _config_of(checkpoint: Path) -> Path:
    """Returns the config that belongs to a checkpoint.

    What a checkpoint says itself of its config is text of whoever made it, and is not read; of an
    exported file, the name of a shipped config is taken.
    """
    exported = read_metadata(checkpoint)
    if exported and exported["config"] in shipped_configs():
        return shipped_configs()[exported["config"]]
    found = sorted(checkpoint.parent.glob("*.py"))
    if len(found) == 1:
        return found[0]
    if exported or checkpoint.suffix == ONNX:
        raise ConfigError(
            f"{checkpoint}: {len(found) or 'no'} configs lie beside it, and it names no shipped "
            "one. Give both: (config, file)."
        )
    from engine.checkpoint import probe, read_checkpoint
    from engine.checkpoint.match import tensors_of

    told = probe(tensors_of(read_checkpoint(checkpoint, checksums=False), str(checkpoint)))
    released = like(told) if told else None
    if released is not None and not found:
        return find_config(released.config)
    what = f"it is of {told}, " if told else ""
    raise ConfigError(
        f"{checkpoint}: {len(found) or 'no'} configs lie beside it, and {what}of no released "
        "model, so it cannot be told which config it is of. Give both: (config, checkpoint)."
    )
