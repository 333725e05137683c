"""From a name, a checkpoint or a config to a predictor."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config

from engine.config import load_config
from engine.device import find_device
from engine.errors import ConfigError
from engine.infer import find_writer
from mmsapiens.export.model import init_any, size_option, take_graph
from mmsapiens.predictors.predictor import Predictor
from mmsapiens.predictors.tasks import BY_WRITER
from mmsapiens.sources import PathName, find_model


def load(
    source: PathName | tuple[PathName, PathName],
    *,
    device: str | torch.device = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    num_workers: int = 0,
    flip: bool | None = None,
    options: dict[str, Any] | None = None,
    graph: bool = False,
) -> Predictor:
    """Loads a model for predictions.

    Args:
        source: The name of a released model, which is downloaded if it is not here; a checkpoint
            of a training, whose config lies beside it in the work directory, or of a released
            model; or (config, checkpoint), the config a file or the name of a shipped one. A file
            that :meth:`Predictor.export` made takes the place of a checkpoint.
        device: "auto" is the GPU, if there is one, else the CPU.
        dtype: "bfloat16", "float16" or "float32"; "auto" is that of the training.
        batch_size: Images, or people who are cut out, a forward pass; 1 by default, for pose 8.
        num_workers: Processes that read image files.
        flip: Whether to predict mirrored images too, and average; by default what the config says.
        options: Overrides of the config by dotted key.
        graph: Whether the graph of an exported file is to run, in its own precision, in place of
            the model with its weights. ONNX needs no word; of a .pt2 from elsewhere it may run
            code: see docs/export.md.

    Returns:
        The predictor of its task, such as :class:`mmsapiens.PartSegmenter`.

    Raises:
        ConfigError: If there is no such config, or something is wrong with it or an argument.
        WeightsError: If the checkpoint cannot be read or does not fit.
    """
    config, checkpoint = find_model(source)
    overrides = {**size_option(checkpoint), **(options or {})}
    if dtype != "auto":
        overrides["model.eval_dtype"] = dtype
    if flip is not None:
        overrides["model.test_views.flip"] = flip
    cfg = load_config(config, overrides)
    predictor = predictor_class(cfg)
    take_graph(cfg, checkpoint, graph)
    model, dataset_meta = init_any(cfg, str(checkpoint), find_device(device))
    if dtype not in ("auto", model.eval_dtype):
        raise ConfigError(f"dtype={dtype!r}: {checkpoint} computes in {model.eval_dtype}.")
    return predictor(
        cfg,
        model,
        dataset_meta,
        checkpoint=checkpoint,
        batch_size=batch_size,
        num_workers=num_workers,
    )


def predictor_class(cfg: Config) -> type[Predictor]:
    """Returns the class that predicts with the model of a config.

    Raises:
        ConfigError: If the config is not of a model for predictions.
    """
    if cfg.get("writer"):
        writer = find_writer(cfg)
        for kind, predictor in BY_WRITER.items():
            if issubclass(writer, kind):
                return predictor
    raise ConfigError(
        f"{cfg.filename}: it has no writer of parts, depth, normals, features or people, so there "
        "is nothing that it predicts. For the features of a backbone take a config of "
        "pretrain/features."
    )
