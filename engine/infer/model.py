"""A model ready to predict, from a config and a checkpoint."""

from __future__ import annotations

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from engine.checkpoint import apply_weights, read_checkpoint
from engine.model.base import BaseModel, build_model


def init_model(cfg: Config, checkpoint: str, device: str | torch.device) -> tuple[BaseModel, dict]:
    """Builds the model of a config and loads its weights; all of them must be in the file.

    Args:
        cfg: A config from :func:`engine.config.load_config`.
        checkpoint: Path of a .pth or .safetensors file.
        device: Where the model goes.

    Returns:
        The model in evaluation mode, in the precision of its training; and the metainfo of its
        dataset (classes, palette): that of the checkpoint, else that of the config's test dataset.

    Raises:
        WeightsError: If the file does not fit.
    """
    init_default_scope(cfg.default_scope)
    model = build_model(cfg.model)
    loaded = read_checkpoint(checkpoint)
    apply_weights(model, loaded, source=checkpoint)
    meta = _dataset_meta(loaded.get("meta", {}).get("dataset_meta") or {}, dataset_meta_of(cfg))
    return model.to(device).eval(), meta


def _dataset_meta(saved: dict, of_config: dict) -> dict:
    """What a checkpoint says of its dataset, and of the config's what a released one lacks."""
    same = tuple(saved.get("classes", ())) in ((), tuple(of_config.get("classes", ())))
    return {**of_config, **saved} if same else saved


def dataset_meta_of(cfg: Config) -> dict:
    """Returns the metainfo of the config's test dataset without touching its files.

    Empty for a config without one.
    """
    if cfg.get("test_dataloader") is None:
        return {}
    return DATASETS.build({**cfg.test_dataloader.dataset, "lazy_init": True}).metainfo
