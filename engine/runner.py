"""MMEngine's runner, with this project's loading, saving, precision and CPU launching."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.device import get_device
from mmengine.dist import broadcast, broadcast_object_list, is_main_process
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop
from mmengine.runner import Runner as MMEngineRunner
from torch import nn
from torch.utils.data import DataLoader

from engine.adapters import Adapter, apply_adapter, held_dtype
from engine.allocator import keep_freed_memory
from engine.checkpoint import (
    apply_weights,
    latest_checkpoint,
    model_meta,
    read_sharded,
    training_state,
)
from engine.checkpoint.adapted import base_of, check_adapter, read_whole, without_base
from engine.checkpoint.sharded import SUFFIX, is_sharded_checkpoint
from engine.compile import compile_blocks
from engine.errors import ConfigError, MMSapiensError, not_written
from engine.evaluation import check_evaluation, check_files
from engine.history import LateMessageHub
from engine.hooks.checkpoint import CheckpointHook
from engine.launch import (
    CHECK_TIMEOUT,
    check_launcher,
    group_timeout,
    init_cpu_group,
    introduce_rank,
    translate_slurm,
)
from engine.lock import hold_work_dir
from engine.model.base import BaseModel, build_model
from engine.model.deferred import DeferredDraws
from engine.model.wrappers import unwrap
from engine.optim.autocast import AutocastOptimWrapper
from engine.parallel import (
    Sharding,
    gathered,
    is_sharded,
    parallelize,
    sharded_dtype,
    with_host_backend,
)
from engine.parallel.saving import Saver
from engine.parallel.state import read_part, save_weights, state_of
from engine.resume import position_of, restore
from engine.roll_call import Report, call_roll
from engine.stop import end_workers_at_exit, ignore_stop_signals
from engine.train_loop import ResumableTrainLoop


class Runner(MMEngineRunner):
    """Runs a config that :func:`engine.config.load_config` made.

    * Weights are read safely and matched by :mod:`engine.checkpoint`; what a checkpoint of the
      whole model may lack is said by the config's top-level ``allow_missing``.
    * Pretrained weights are not needed when a checkpoint of the whole model follows.
    * Checkpoints carry what identifies the model (patch padding, position grid) and the place in
      the training, and appear under their name only when complete.
    * A resumed training has the settings of the config; what differs from before is logged.
    * What an evaluation needs besides predictions is checked before the training.
    * ``compile`` of a config works block by block.
    * Several processes work on CPUs, over gloo.
    * ``sharding`` spreads the model over them, and its checkpoints are folders.
    * With ``adapter`` the backbone is frozen, and checkpoints refer to the file of its weights.
    """

    optim_wrapper: Any  # configs until they are built
    param_schedulers: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._draws = DeferredDraws()
        self._present: list[Report] = []
        self._evaluation = ExitStack()
        super().__init__(*args, **kwargs)
        for rank, report in enumerate(self._present):
            self.logger.info(f"Rank {rank}: {report}")
        self._started = self.timestamp

    def setup_env(self, env_cfg: dict) -> None:
        """Sets up processes; without a GPU the group is made here, as MMEngine's needs one."""
        keep_freed_memory()
        env_cfg = with_host_backend(env_cfg, self.cfg.get("sharding"))
        timeout = group_timeout({"env_cfg": env_cfg})
        dist_cfg = dict(env_cfg.get("dist_cfg") or {})
        if self.distributed and not dist.is_initialized():
            check_launcher(self._launcher)
            if self._launcher == "slurm":
                translate_slurm()
            self._present = call_roll(self.cfg.to_dict(), dist_cfg)
            if not torch.cuda.is_available():
                init_cpu_group(self._launcher, timeout)
        dist_cfg.pop(CHECK_TIMEOUT, None)
        super().setup_env({**env_cfg, "dist_cfg": dist_cfg})
        if self.distributed:
            introduce_rank()

    def build_message_hub(self, message_hub: dict | None = None) -> LateMessageHub:
        """Builds what holds the logged figures."""
        return LateMessageHub.get_instance(**{"name": self._experiment_name, **(message_hub or {})})

    def dump_config(self) -> None:
        """Leaves the work directory as it is: another training's, until :meth:`train` holds it."""

    def train(self) -> nn.Module:
        """Trains, as the only one in the work directory.

        Raises:
            ProcessError: If another training is there.
        """
        self._check_base()
        with hold_work_dir(self.work_dir):
            super().dump_config()
            model = super().train()
            if is_sharded(self.model):
                self.finish_saving()
                save_weights(self)
            return model

    def test(self) -> dict:
        """Evaluates; returns the figures."""
        super().dump_config()
        return super().test()

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model, with adapters; what a part refuses is a ConfigError."""
        with self._drawing:
            built = build_model(model)
            if self._adapter is not None:
                apply_adapter(built, self._adapter, held_dtype(self.cfg))
            return built

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Moves the model to the device and wraps it, on CPUs without device ids; or shards it."""
        if self._sharding is not None:
            return self._shard(model, self._sharding)
        if self.distributed and not torch.cuda.is_available() and model_wrapper_cfg is None:
            return MMDistributedDataParallel(
                module=model,
                broadcast_buffers=False,
                find_unused_parameters=self.cfg.get("find_unused_parameters", False),
            )
        return super().wrap_model(model_wrapper_cfg, model)

    @cached_property
    def _adapter(self) -> Adapter | None:
        """What of the model learns; None for all of it."""
        options = self.cfg.get("adapter")
        return Adapter(**options) if options else None

    @cached_property
    def _base(self) -> dict[str, Any]:
        """Where the frozen weights of the training are from."""
        path, prefix = self._checkpoint_to_load, None
        if path is None:
            init_cfg = self.cfg.model.backbone.init_cfg
            path, prefix = init_cfg["checkpoint"], init_cfg.get("prefix")
        return base_of(path, self.model, prefix)

    def _say_what_learns(self) -> None:
        """Looks at the base before the first step, and not at the first checkpoint."""
        parameters = list(self.model.parameters())
        learning = sum(p.numel() for p in parameters if p.requires_grad)
        self.logger.info(
            f"adapter: {learning:,} of {sum(p.numel() for p in parameters):,} parameters learn. "
            f"Checkpoints hold these, and refer to {self._base['path']} for "
            f"{len(self._base['names'])} tensors."
        )

    def _check_base(self) -> None:
        if self._adapter is not None and not self._reads_weights:
            raise ConfigError(
                "adapter: the backbone would be frozen as it was drawn. Give it weights: "
                'model.backbone.init_cfg=dict(type="Pretrained", checkpoint=...), or --load-from.'
            )

    @cached_property
    def _sharding(self) -> Sharding | None:
        """How the config shards a model; None if it does not, or there is one process."""
        options = self.cfg.get("sharding")
        if options and not self.distributed:
            self.logger.info("sharding: there is one process, which holds all.")
        return Sharding(**options) if options and self.distributed else None

    def _shard(self, model: Any, sharding: Sharding) -> nn.Module:
        """Spreads the model, with the weights that it starts from, over all processes.

        Rank 0 alone draws or reads them, as one process does, and sends each process its part.
        """
        device = torch.device(get_device())
        tensors, errors = None, list[MMSapiensError | None]([None])
        if is_main_process():
            try:
                self._first_weights(model)
                tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
            except MMSapiensError as error:
                errors = [error]
        broadcast_object_list(errors)  # else the others would wait for the weights
        if errors[0] is not None:
            raise errors[0]
        self._has_loaded = self._checkpoint_to_load is not None and not self._resume
        self._draws = DeferredDraws()
        model.data_preprocessor.to(device)
        self._saver = Saver(group_timeout(self.cfg))
        return parallelize(
            model,
            tensors,
            device=device,
            sharding=sharding,
            dtype=sharded_dtype(self.cfg),
            compile=self.cfg.get("compile", False),
        )

    def _first_weights(self, model: BaseModel) -> None:
        """Draws or reads the weights that the model starts from; nothing if it will resume."""
        path = self._checkpoint_to_load
        if path is not None and self._resume:
            return
        with self._drawing:
            model.init_weights(load_pretrained=path is None)
        if path is not None:
            allowed = self.cfg.get("allow_missing", ())
            with self._draws:
                apply_weights(model, read_whole(path), source=path, allow_missing=allowed)
        self._draws.finish(model)

    def _init_model_weights(self) -> None:
        if is_sharded(self.model):
            return
        follows = self._checkpoint_to_load is not None
        with self._drawing:
            unwrap(self.model).init_weights(load_pretrained=not follows)
        if not follows:
            self._complete_weights()

    @property
    def _drawing(self) -> AbstractContextManager:
        """Puts off what would be drawn, where most of it a file, or another process, replaces."""
        is_filled = self._sharding is not None and not is_main_process()
        return self._draws if self._reads_weights or is_filled else nullcontext()

    @cached_property
    def _reads_weights(self) -> bool:
        """Whether a file replaces most of what would be drawn."""
        init_cfg = (self.cfg.get("model") or {}).get("backbone", {}).get("init_cfg") or {}
        return self._checkpoint_to_load is not None or init_cfg.get("type") == "Pretrained"

    def _complete_weights(self) -> None:
        """Draws what no file has replaced; all ranks take what the first has."""
        model = unwrap(self.model)
        self._draws.finish(model)
        for tensor in model.state_dict().values():
            broadcast(tensor)

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Calls all hooks; a sharded model is whole from the start to the end of an evaluation."""
        if fn_name in ("after_val_epoch", "after_test_epoch"):
            self._evaluation.close()
        super().call_hook(fn_name, **kwargs)
        if self._adapter is not None and fn_name == "before_train":
            self._say_what_learns()
        if self._adapter is not None and fn_name == "before_save_checkpoint":
            without_base(kwargs["checkpoint"], self._adapter, self._base)
        if fn_name in ("before_val_epoch", "before_test_epoch"):
            self._evaluation.enter_context(gathered(self.model))

    def _maybe_compile(self, target: str) -> None:
        if is_sharded(self.model):  # which has compiled
            return
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
        checkpoint, model = self._read(filename), unwrap(self.model)
        if self._adapter is not None:
            check_adapter(checkpoint, filename, self._adapter, self._resume)
        if self._resume:
            checkpoint = training_state(checkpoint, filename, self)
            self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        allowed = () if strict or self._resume else self.cfg.get("allow_missing", ())
        with self._draws:
            apply_weights(model, checkpoint, source=filename, allow_missing=allowed)
        if not is_sharded(model):
            self._complete_weights()
        if not self._resume:  # hooks look for the model's own names, which a file need not have
            checkpoint = {**checkpoint, "state_dict": model.state_dict()}
            self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self._has_loaded = True
        return checkpoint

    def _read(self, path: str) -> dict:
        """Reads a checkpoint; to resume a sharded training, each process its own part."""
        if self._resume and is_sharded(self.model):
            return read_part(path, self)
        whole = self._resume and is_sharded_checkpoint(path)
        if whole:
            return read_sharded(path)
        adapter = self._adapter
        return read_whole(path, adapters=bool(adapter and (self._resume or adapter.type == "lora")))

    @cached_property
    def _checkpoint_to_load(self) -> str | None:
        """What to load or resume from; ``--resume`` alone takes the work dir's farthest one."""
        if self._resume and self._load_from is None:
            return latest_checkpoint(self.work_dir)
        return self._load_from

    def load_or_resume(self) -> None:
        """Loads weights, or restores the whole state, as the config asks; at most once."""
        path = None if self._has_loaded else self._checkpoint_to_load
        if path is not None and self._resume:
            self.resume(path)
        elif path is not None:
            self.load_checkpoint(path)
        elif self._resume and not self._has_loaded:
            self.logger.warning(
                f"Nothing to resume in {self.work_dir}: starting from the beginning."
            )

    def resume(self, filename: str, *_: Any, **__: Any) -> None:
        """Goes on from a checkpoint; settings of optimizer and schedule are the config's.

        Raises:
            ConfigError: If a setting has changed with which the training cannot go on.
            WeightsError: If a part of the file is missing, or does not fit the run.
        """
        self._resume = True  # load_checkpoint takes, and checks, more than the weights then
        self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
        if self.param_schedulers is not None:
            self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
        if not isinstance(self.train_loop, ResumableTrainLoop):
            raise ConfigError(
                f"train_cfg.type: a {type(self.train_loop).__name__} cannot go on where it was. "
                'Use "ResumableTrainLoop", or start anew from the weights with --load-from.'
            )
        checkpoint = self.load_checkpoint(filename)
        meta, loader = checkpoint["meta"], self.train_loop.dataloader
        position = position_of(meta, len(loader), self._samples_an_iteration())
        self.train_loop.go_to(position)
        if self._load_from is None:  # else it is a branch, newer than what the work dir holds
            self._started = meta.get("started", self._started)
        self._resume_seed(meta.get("seed", self.seed), in_epoch=position.iteration % len(loader))
        self.message_hub.load_state_dict(checkpoint["message_hub"])
        schedulers = self.param_schedulers or []
        changes = restore(self.optim_wrapper, schedulers, checkpoint, position, len(loader))
        if position.moved:
            changes.append(f"iterations: {meta['iter']} -> {position.iteration}")
        self.logger.info(f"resumed epoch: {self.epoch}, iter: {self.iter}")
        if changes:
            self.logger.warning(
                f"The config differs from what {filename} was trained with so far, and is followed "
                f"from here on: {'; '.join(changes)}."
            )

    def _samples_an_iteration(self) -> int:
        return (self.train_loop.dataloader.batch_size or 0) * self.world_size

    def _resume_seed(self, seed: int, in_epoch: int) -> None:
        """Goes on with the seed of a checkpoint, or from the end of an epoch with another."""
        own = self._randomness_cfg.get("seed")
        if own is None:
            self.set_randomness(**{**self._randomness_cfg, "seed": seed})
            self.train_loop.dataloader.sampler.seed = seed
        elif own != seed and in_epoch:
            raise ConfigError(
                f"randomness.seed is {own}, but the checkpoint, in the middle of an epoch, is "
                f"of seed {seed}: samples would be seen twice, and others not. Resume with that "
                "seed, or start anew from its weights with --load-from."
            )
        elif own != seed:
            self.logger.warning(f"The seed was {seed} so far, and is {own} from here on.")

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        *args: Any,
        meta: dict | None = None,
        then: Callable[[], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes a checkpoint under a temporary name, then renames it.

        That of a sharded model is a folder, which all ranks write while the training goes on.

        Args:
            out_dir: The folder for it.
            filename: Its name; of a folder the suffix is ``.dcp``.
            *args: See MMEngine.
            meta: Likewise.
            then: Called when it is there, by the first rank.
            **kwargs: See MMEngine.

        Raises:
            OutputError: If it, or the folder before it, cannot be written; checkpoints written
                before are untouched.
        """
        place = {
            "started": self._started,
            "epoch_iters": len(self.train_loop.dataloader),
            "batch_size": self._samples_an_iteration(),
        }
        meta = {**(meta or {}), **model_meta(self.model), **place}
        if isinstance(self.optim_wrapper, AutocastOptimWrapper):
            self.optim_wrapper.settle()  # on all ranks: of a file only the first asks for its state
        if is_sharded(self.model):
            path = Path(out_dir, self.checkpoint_name(filename))
            self._saver.save(state_of(self, meta, **kwargs), path, then)
        elif is_main_process():
            self._save_file(Path(out_dir, filename), *args, meta=meta, **kwargs)
            if then is not None:
                then()

    def checkpoint_name(self, filename: str) -> str:
        """Returns the name of a checkpoint, which is a folder of a sharded training."""
        return str(Path(filename).with_suffix(SUFFIX)) if is_sharded(self.model) else filename

    def _save_file(self, path: Path, *args: Any, **kwargs: Any) -> None:
        temporary = path.with_name(f"{path.name}.tmp")
        try:
            super().save_checkpoint(str(path.parent), temporary.name, *args, **kwargs)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # PyTorch reports a full disk as a RuntimeError
            temporary.unlink(missing_ok=True)
            raise not_written(path, error) from error
        temporary.replace(path)

    def finish_saving(self) -> None:
        """Waits until what was saved is written; a sharded training goes on meanwhile.

        Raises:
            OutputError: It cannot be.
        """
        if is_sharded(self.model):
            self._saver.wait()

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop and checks that its files exist."""
        loop = super().build_train_loop(loop)
        check_files(loop.dataloader.dataset)
        return loop

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop and checks what its evaluations will need."""
        loop = super().build_val_loop(loop)
        names = check_evaluation(loop)
        for hook in self._hooks:
            if names is not None and isinstance(hook, CheckpointHook):
                hook.check_figures(names)
        return loop

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the loop and checks what its evaluation will need."""
        loop = super().build_test_loop(loop)
        check_evaluation(loop)
        return loop

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
