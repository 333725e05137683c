"""MMEngine's runner, with this project's loading, saving, precision and CPU launching."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cached_property
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
)
from engine.checkpoint.adapted import base_of, read_whole, without_base
from engine.checkpointing import CheckpointingRunner
from engine.compile import compile_blocks
from engine.errors import ConfigError, MMSapiensError
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
from engine.parallel import (
    Sharding,
    gathered,
    is_sharded,
    parallelize,
    sharded_dtype,
    with_host_backend,
)
from engine.parallel.saving import Saver
from engine.parallel.state import save_weights
from engine.roll_call import Report, call_roll
from engine.stop import end_workers_at_exit, ignore_stop_signals


class Runner(CheckpointingRunner):
    """Runs a config that :func:`engine.config.load_config` made.

    * Checkpoints are those of :class:`engine.checkpointing.CheckpointingRunner`.
    * Pretrained weights are not needed when a checkpoint of the whole model follows.
    * What an evaluation needs besides predictions is checked before the training.
    * ``compile`` of a config works block by block.
    * Several processes work on CPUs, over gloo.
    * ``sharding`` spreads the model over them, and its checkpoints are folders.
    * With ``adapter`` the backbone is frozen, and checkpoints refer to the file of its weights.
    """

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
