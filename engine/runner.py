"""MMEngine's runner, with this project's loading, saving, precision and CPU launching."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import broadcast, master_only
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner as MMEngineRunner
from torch import nn
from torch.utils.data import DataLoader

from engine.allocator import keep_freed_memory
from engine.checkpoint import (
    apply_weights,
    latest_checkpoint,
    model_meta,
    read_checkpoint,
    training_state,
)
from engine.compile import compile_blocks
from engine.errors import MMSapiensError, OutputError, WeightsError
from engine.launch import check_launcher, group_timeout, init_cpu_group, introduce_rank
from engine.lock import hold_work_dir
from engine.model.base import build_model
from engine.model.wrappers import unwrap
from engine.stop import end_workers_at_exit, ignore_stop_signals
from engine.train_loop import ResumableTrainLoop  # noqa: F401  registered for train_cfg

_PROGRESS = {"last_step", "_global_step", "_last_value"}  # of a schedule
_PROGRESS |= {"best", "num_bad_epochs", "cooldown_counter"}


class Runner(MMEngineRunner):
    """Runs a config that :func:`engine.config.load_config` made.

    * Weights are read safely and matched by :mod:`engine.checkpoint`; what a checkpoint of the
      whole model may lack is said by the config's top-level ``allow_missing``.
    * Pretrained weights are not needed when a checkpoint of the whole model follows.
    * Checkpoints carry what identifies the model (patch padding, position grid) and appear under
      their name only when complete.
    * ``compile`` of a config works block by block.
    * Several processes work on CPUs, over gloo.
    """

    optim_wrapper: Any  # configs until they are built
    param_schedulers: Any

    def setup_env(self, env_cfg: dict) -> None:
        """Sets up processes; without a GPU the group is made here, as MMEngine's needs one."""
        keep_freed_memory()
        timeout = group_timeout({"env_cfg": env_cfg})
        if self.distributed and not dist.is_initialized():
            check_launcher(self._launcher)
            if not torch.cuda.is_available():
                init_cpu_group(self._launcher, timeout)
        super().setup_env(env_cfg)
        if self.distributed:
            introduce_rank()

    def dump_config(self) -> None:
        """Leaves the work directory as it is: another training's, until :meth:`train` holds it."""

    def train(self) -> nn.Module:
        """Trains, as the only one in the work directory.

        Raises:
            ProcessError: If another training is there.
        """
        with hold_work_dir(self.work_dir):
            super().dump_config()
            return super().train()

    def test(self) -> dict:
        """Evaluates; returns the figures."""
        super().dump_config()
        return super().test()

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model; what a part refuses is a ConfigError."""
        return build_model(model)

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
        model = unwrap(self.model)
        model.init_weights(load_pretrained=self._checkpoint_to_load() is None)
        for tensor in model.state_dict().values():
            broadcast(tensor)

    def _maybe_compile(self, target: str) -> None:
        blocks = compile_blocks(unwrap(self.model), self.cfg.get("compile", False))
        if blocks:
            self.logger.info(f"torch.compile: {blocks} blocks, compiled when they first run.")

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Multiplies the learning rates by images a step / ``base_batch_size``, if enabled.

        MMEngine's counts the images of an iteration, of which gradient accumulation makes several
        a step.
        """
        counts = optim_wrapper._accumulative_counts
        if auto_scale_lr and auto_scale_lr.get("enable") and counts > 1:
            self.logger.info(f"A step accumulates {counts} iterations; lr is scaled by as many.")
            base = auto_scale_lr["base_batch_size"] / counts
            auto_scale_lr = {**auto_scale_lr, "base_batch_size": base}
        super().scale_lr(optim_wrapper, auto_scale_lr)

    def load_checkpoint(
        self, filename: str, map_location: Any = "cpu", strict: bool = False, **_: Any
    ) -> dict:
        """Loads the weights of a checkpoint into the model.

        Args:
            filename: A .pth or .safetensors file.
            map_location: Not used: files are read to the CPU, then copied into the model.
            strict: Whether nothing may be missing, whatever the config's ``allow_missing`` says;
                always so when resuming.

        Returns:
            The whole checkpoint; when resuming, what :func:`training_state` leaves of it.
        """
        checkpoint, model = read_checkpoint(filename), unwrap(self.model)
        if self._resume:
            checkpoint = training_state(checkpoint, filename, self)
            self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        allowed = () if strict or self._resume else self.cfg.get("allow_missing", ())
        apply_weights(model, checkpoint, source=filename, allow_missing=allowed)
        if not self._resume:  # hooks look for the model's own names, which a file need not have
            checkpoint = {**checkpoint, "state_dict": model.state_dict()}
            self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self._has_loaded = True
        return checkpoint

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Restores the whole state; see MMEngine. What a schedule is, the config says.

        Raises:
            WeightsError: A part of it is missing or does not fit the run.
        """
        self._resume = True  # load_checkpoint takes, and checks, more than the weights then
        self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
        if self.param_schedulers is not None:
            self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
        own = [dict(vars(schedule)) for schedule in self.param_schedulers or ()]
        try:
            super().resume(filename, *args, **kwargs)
        except MMSapiensError:
            raise
        except ValueError as error:  # of PyTorch, for other groups of parameters
            raise WeightsError(
                f"{filename} cannot be resumed: {error}. Resume with the config of the training, "
                "or start anew from the weights with --load-from."
            ) from error
        for schedule, settings in zip(self.param_schedulers or (), own, strict=True):
            progress = {key: vars(schedule)[key] for key in _PROGRESS & settings.keys()}
            vars(schedule).clear()
            vars(schedule).update({**settings, **progress})

    def _checkpoint_to_load(self) -> str | None:
        """Returns what to load or resume from; ``--resume`` alone takes the work dir's last one."""
        if self._resume and self._load_from is None:
            return latest_checkpoint(self.work_dir)
        return self._load_from

    def load_or_resume(self) -> None:
        """Loads weights, or restores the whole state, as the config asks; at most once."""
        path = None if self._has_loaded else self._checkpoint_to_load()
        if path is not None and self._resume:
            self.resume(path)
        elif path is not None:
            self.load_checkpoint(path)
        elif self._resume and not self._has_loaded:
            self.logger.warning(
                f"Nothing to resume in {self.work_dir}: starting from the beginning."
            )

    @master_only
    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, meta: dict | None = None, **kwargs: Any
    ) -> None:
        """Writes a checkpoint under a temporary name, then renames it.

        Raises:
            OutputError: If it cannot be written; checkpoints written before are untouched.
        """
        path, temporary = Path(out_dir, filename), Path(out_dir, f"{filename}.tmp")
        meta = {**(meta or {}), **model_meta(self.model)}
        try:
            super().save_checkpoint(out_dir, temporary.name, *args, meta=meta, **kwargs)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # PyTorch reports a full disk as a RuntimeError
            temporary.unlink(missing_ok=True)
            free = shutil.disk_usage(out_dir).free / 2**30
            raise OutputError(
                f"{path} could not be written ({error}); {free:.2f} GiB are free there. Earlier "
                "checkpoints are whole: make room and go on with --resume."
            ) from error
        temporary.replace(path)

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Builds a data loader; collating and the start of workers default to this project's."""
        if isinstance(dataloader, dict):
            end_workers_at_exit()
            dataloader = {
                "collate_fn": {"type": "collate_samples"},
                "worker_init_fn": {"type": ignore_stop_signals},
                "pin_memory": torch.cuda.is_available(),
                **dataloader,
            }
            if not dataloader.get("num_workers"):
                dataloader["persistent_workers"] = False
        return MMEngineRunner.build_dataloader(dataloader, seed, diff_rank_seed)
