"""What must be there when a run starts; apart from load_config, since predicting needs less."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mmengine.config import Config
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader

from engine.checkpoint.sharded import is_sharded_checkpoint
from engine.config.walk import typed_nodes
from engine.errors import ConfigError

#: What a run needs all of; what it has none of, it leaves out.
RUN_SECTIONS = {
    "train": ("train_dataloader", "train_cfg", "optim_wrapper"),
    "val": ("val_dataloader", "val_cfg", "val_evaluator"),
    "test": ("test_dataloader", "test_cfg", "test_evaluator"),
}


def check_runs(cfg: Config, verb: Literal["train", "test"]) -> None:
    """Checks that a config has all sections that a training or an evaluation needs.

    Raises:
        ConfigError: If something is missing.
    """
    found = [] if cfg.get("model") else ["there is no model."]
    for split, sections in RUN_SECTIONS.items():
        missing = [name for name in sections if not cfg.get(name)]
        given = [name for name in sections if name not in missing]
        if missing and (given or split == verb):
            why = f"beside {', '.join(given)}" if given else f"which mmsapiens {verb} needs"
            found.append(f"there is no {' and no '.join(missing)}, {why}.")
    for node in typed_nodes(cfg):
        if node.target is DataLoader and "dataset" not in node.cfg:
            found.append(f"{node.path}: there is no dataset.")
        if node.target is DataLoader and not {"sampler", "batch_sampler"} & node.cfg.keys():
            found.append(
                f'{node.path}: there is no sampler. Give sampler=dict(type="SeededSampler", '
                "shuffle=...), True to train and False to evaluate."
            )
    if found:
        raise ConfigError(*found).within(str(cfg.filename))


def check_data_roots(cfg: Config, splits: Iterable[str] = ("train", "val", "test")) -> None:
    """Checks that the folders of the datasets exist.

    Args:
        cfg: A loaded config.
        splits: Of which data loaders.

    Raises:
        ConfigError: For the first ``data_root`` that is not a folder.
    """
    sections = tuple(f"{split}_dataloader" for split in splits)
    for node in typed_nodes(cfg):
        data_root = node.cfg.get("data_root")
        if node.registry is not DATASETS or not data_root or not node.path.startswith(sections):
            continue
        if not Path(data_root).is_dir():
            default = re.search(r"data_root\s*=.*?\{\{\s*\$\s*(\w+)", cfg.text)
            variable = default[1] if default else "DATA_ROOT"
            raise ConfigError(
                f'{cfg.filename}: {node.path}.data_root: there is no folder "{data_root}" '
                f"(seen from {Path.cwd()}). Set the environment variable {variable} to the folder "
                f"that holds your datasets, or {node.path}.data_root to this one."
            )


def check_weights_exist(cfg: Config) -> None:
    """Checks that the checkpoints to start from are there, before anything long begins.

    The backbone's pretrained weights are not needed if a checkpoint of the whole model follows.

    Raises:
        ConfigError: For the first file that is missing.
    """
    init_cfg = cfg.model.get("backbone", {}).get("init_cfg") or {}
    places = {"load_from": cfg.get("load_from")}
    if not cfg.get("load_from") and not cfg.get("resume"):
        places["model.backbone.init_cfg.checkpoint"] = init_cfg.get("checkpoint")
    for place, path in places.items():
        if path is not None and not (Path(path).is_file() or is_sharded_checkpoint(path)):
            raise ConfigError(
                f'{cfg.filename}: {place}: there is no file "{path}" (seen from {Path.cwd()}). Set '
                "the environment variable SAPIENS_CHECKPOINT_ROOT to the folder of the downloaded "
                f"weights, or {place} to the file."
            )
