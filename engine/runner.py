"""MMEngine's runner, with this project's loading, saving, precision and CPU launching."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.dist import broadcast
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import Runner as MMEngineRunner
from torch import nn

from engine.checkpoint import apply_weights, model_meta, read_checkpoint
from engine.launch import init_cpu_group
from engine.model import BaseModel


def evaluation_dtype(cfg: Config) -> str:
    """Returns the precision in which a config trains and therefore evaluates."""
    wrapper = cfg.get("optim_wrapper") or {}
    default = "bfloat16" if wrapper.get("type") == "AutocastOptimWrapper" else "float32"
    return wrapper.get("dtype", default)


def unwrap(model: nn.Module) -> nn.Module:
    """Returns the model inside a data-parallel wrapper, or the model itself."""
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model


class Runner(MMEngineRunner):
    """Runs a config that :func:`engine.config.load_config` made.

    * Weights are read safely and matched by :mod:`engine.checkpoint`; what a checkpoint of the
      whole model may lack is said by the config's top-level ``allow_missing``.
    * Pretrained weights are not needed when a checkpoint of the whole model follows.
    * Checkpoints carry what identifies the model (patch padding, position grid) and appear under
      their name only when complete.
    * Evaluation runs in the precision of the training.
    * Several processes work on CPUs, over gloo.
    """

    def setup_env(self, env_cfg: dict) -> None:
        """Sets up processes; without a GPU the group is made here, as MMEngine's needs one."""
        if self.distributed and not torch.cuda.is_available():
            init_cpu_group(self._launcher)
        super().setup_env(env_cfg)

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model and sets its precision of evaluation."""
        built: BaseModel = super().build_model(model)
        built.autocast_dtype = evaluation_dtype(self.cfg)
        return built

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Moves the model to the device and wraps it; on CPUs without device ids."""
        if self.distributed and not torch.cuda.is_available() and model_wrapper_cfg is None:
            return MMDistributedDataParallel(
                module=model,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get("find_unused_parameters", False),
            )
        return super().wrap_model(model_wrapper_cfg, model)

    def _init_model_weights(self) -> None:
        model = cast(BaseModel, unwrap(self.model))
        replaced = self._load_from is not None or self._resume
        model.init_weights(load_pretrained=not replaced)
        for tensor in model.state_dict().values():
            broadcast(tensor)

    def load_checkpoint(
        self, filename: str, map_location: Any = "cpu", strict: bool = False, **_: Any
    ) -> dict:
        """Loads the weights of a checkpoint into the model.

        Args:
            filename: A .pth or .safetensors file.
            map_location: Not used: files are read to the CPU, then copied into the model.
            strict: Whether the config's ``allow_missing`` is not applied, as in resuming.

        Returns:
            The whole checkpoint.
        """
        checkpoint = read_checkpoint(filename)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        allowed = () if strict else self.cfg.get("allow_missing", ())
        apply_weights(unwrap(self.model), checkpoint, source=filename, allow_missing=allowed)
        self._has_loaded = True
        return checkpoint

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, meta: dict | None = None, **kwargs: Any
    ) -> None:
        """Writes a checkpoint under a temporary name, then renames it."""
        meta = {**(meta or {}), **model_meta(self.model)}
        temporary = f"{filename}.tmp"
        super().save_checkpoint(out_dir, temporary, *args, meta=meta, **kwargs)
        if self.rank == 0:
            path = Path(out_dir, temporary)
            with path.open("rb+") as file:
                os.fsync(file.fileno())
            path.replace(Path(out_dir, filename))
