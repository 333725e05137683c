"""Makes the metadata of an exported file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import mmsapiens
from engine.errors import ConfigError
from engine.infer import find_writer
from mmsapiens.export.metadata import VERSION
from mmsapiens.shipped import CONFIGS
from mmsapiens.zoo import LICENCE, RELEASED
from pose.infer import PoseWriter
from pretrain.features import FeatureWriter
from seg.parts.writer import SegWriter
from seg.surface.writer import DepthWriter, NormalWriter

TASKS: dict[type, str] = {
    SegWriter: "parts",
    DepthWriter: "depth",
    NormalWriter: "normals",
    PoseWriter: "pose",
    FeatureWriter: "features",
}


def task_of(cfg: Config) -> str:
    """Returns what a config's model predicts: parts, depth, normals, pose or features.

    Raises:
        ConfigError: It predicts nothing.
    """
    writer = find_writer(cfg) if cfg.get("writer") else None
    for kind, task in TASKS.items():
        if writer is not None and issubclass(writer, kind):
            return task
    raise ConfigError(
        f"{cfg.filename}: it has no writer of parts, depth, normals, features or people, so there "
        "is nothing to export. For a backbone take a config of pretrain/features."
    )


def describe(
    cfg: Config, model: Any, dataset_meta: dict[str, Any], checkpoint: Path, normalise: str
) -> dict[str, Any]:
    """Returns the metadata, but for what the format adds: ``file``, ``dtype``, batch, output.

    Args:
        cfg: Of the model.
        model: The model.
        dataset_meta: Names of classes, colours.
        checkpoint: Where its weights are from.
        normalise: Whether images are normalised "inside" or "outside".
    """
    task, preprocessor = task_of(cfg), model.data_preprocessor
    found: dict[str, Any] = {
        "format": VERSION,
        "task": task,
        "input": {
            "size_hw": list(model.backbone.img_size_hw),
            "normalise": normalise,
            "mean": _numbers(preprocessor.mean),
            "std": _numbers(preprocessor.std),
            "color": "rgb" if preprocessor.bgr_to_rgb else "bgr",
        },
        "config": config_name(cfg),
        "source": {"name": checkpoint.name, "sha256": sha256(checkpoint)},
        "torch": str(torch.__version__),
        "mmsapiens": mmsapiens.__version__,
        "licence": licence_of(checkpoint),
    }
    if task == "parts":
        found["classes"] = list(dataset_meta.get("classes", ()))
        found["palette"] = [list(map(int, colour)) for colour in dataset_meta.get("palette") or ()]
        found["background"] = 0
        found["flip_pairs"] = [list(pair) for pair in model.swap_seg_labels]
    if task == "pose":
        found |= _of_keypoints(cfg, model)
    return found


def _of_keypoints(cfg: Config, model: Any) -> dict[str, Any]:
    info, decoder = model.metainfo, model.head.decoder
    steps = cfg.test_dataloader.dataset.pipeline
    padding = [step["padding"] for step in steps if "padding" in step]
    return {
        "keypoints": {
            "name": info.name,
            "names": list(info.keypoints),
            "swap": list(info.keypoint_swap_indices),
            "links": [[a, b, list(colour)] for a, b, colour in info.links],
            "colors": [list(colour) for colour in info.colors],
            "sigmas": list(info.sigmas),
        },
        "codec": {
            "type": type(decoder).__name__,
            "sigma": decoder.sigma,
            "blur_kernel_size": decoder.blur_kernel_size,
            "max_offset": decoder.max_offset,
        },
        "box_padding": padding[0] if padding else 1.25,
        "flip_pairs": [[info.ids[a], info.ids[b]] for a, b in info.flip_pairs],
    }


def config_name(cfg: Config) -> str:
    """Returns the name of a shipped config, else that of the file."""
    path = Path(cfg.filename).resolve()
    if path.is_relative_to(CONFIGS.resolve()):
        return path.relative_to(CONFIGS.resolve()).with_suffix("").as_posix()
    return path.name


def licence_of(checkpoint: Path) -> str:
    """Returns the licence of a released file; of others says that it is not known."""
    for released in RELEASED.values():
        if any(checkpoint.name.startswith(stem) for stem in released.stems):
            return released.licence
    return f"not known; that of weights trained from the released ones is {LICENCE}"


def sha256(path: Path) -> str:
    """Returns the hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def _numbers(tensor: torch.Tensor) -> list[float]:
    """The numbers as they were written, before they became float32."""
    return [float(f"{value:.6g}") for value in tensor.flatten().tolist()]
