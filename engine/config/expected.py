"""What arguments must be beyond what their annotations say: ranges of numbers, keys of dicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypedDict

from mmengine.runner import Priority

from engine.config.values import Range

AnyNumber = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
Natural = Annotated[int, Range(0)]
Positive = Annotated[int, Range(1)]


class _Processes(TypedDict, total=False):
    mp_start_method: Literal["fork", "spawn", "forkserver"]
    opencv_num_threads: Natural


class _Distributed(TypedDict, total=False):
    backend: str
    init_backend: Literal["torch", "smddp", "deepspeed"]
    init_method: str
    timeout: Annotated[float, Range(1)]
    check_timeout: Annotated[float, Range(1)] | None
    port: Positive


class _Environment(TypedDict, total=False):
    cudnn_benchmark: bool
    mp_cfg: _Processes
    dist_cfg: _Distributed
    resource_limit: Positive


class _LearningRateScale(TypedDict):
    base_batch_size: Positive


class _AutoScaleLr(_LearningRateScale, total=False):
    enable: bool


class _Seeded(TypedDict):
    seed: Annotated[int, Range(0, 2**32 - 1)] | None


class _Randomness(_Seeded, total=False):
    diff_rank_seed: bool
    deterministic: bool


class _Imports(TypedDict, total=False):
    imports: str | Sequence[str] | None
    allow_failed_imports: bool


class _Clipping(TypedDict, total=False):
    type: Literal["norm", "value"]
    max_norm: float
    norm_type: float
    clip_value: AnyNumber
    foreach: bool | None
    error_if_nonfinite: bool


class _ParamRule(TypedDict, total=False):
    lr_mult: AnyNumber
    decay_mult: AnyNumber


class _Checkpointing(TypedDict):
    every: Positive


class _Kind(TypedDict):
    type: Literal["fsdp2"]


class _Sharding(_Kind, total=False):
    replicate: Positive
    reshard_after_forward: bool
    cpu_offload: bool


class _AdapterKind(TypedDict):
    type: Literal["lora", "frozen"]


class _Adapter(_AdapterKind, total=False):
    rank: Positive
    alpha: Annotated[float, Range(1e-3)]
    targets: Sequence[str]
    dropout: Share


_PRIORITIES = [spelt for name in Priority.__members__ for spelt in (name, name.lower())]

#: The keys of ``optim_wrapper.paramwise_cfg`` that are no factors.
PARAMWISE = {
    "bypass_duplicate": bool,
    "custom_keys": dict[str, _ParamRule],
    "layer_decay_rate": Share,
    "num_layers": Positive | None,
}

#: By ``Class.argument``, or by the name of an argument of any class of MMEngine, PyTorch, and ours;
#: a user's own may mean something else by it.
EXPECTED: dict[str, Any] = {
    "Runner.activation_checkpointing": bool | _Checkpointing,
    "Runner.adapter": _Adapter | None,
    "Runner.allow_missing": str | Sequence[str],
    "Runner.auto_scale_lr": _AutoScaleLr | None,
    "Runner.compile": bool | dict,
    "Runner.custom_imports": _Imports,
    "Runner.custom_hooks": Sequence[dict] | None,
    "Runner.default_hooks": dict[str, dict | None],
    "Runner.env_cfg": _Environment,
    "Runner.find_unused_parameters": bool,
    "Runner.input_size_hw": Positive | tuple[Positive, Positive] | None,
    "Runner.launcher": Literal["none", "pytorch", "slurm", "mpi"],
    "Runner.log_level": Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    "Runner.model_wrapper_cfg": dict | None,
    "Runner.param_scheduler": dict | Sequence[dict] | None,
    "Runner.randomness": _Randomness,
    "Runner.sharding": _Sharding | None,
    "Runner.sync_bn": Literal["torch", "mmcv"] | None,
    "Runner.test_evaluator": dict | Sequence[dict] | None,
    "Runner.val_evaluator": dict | Sequence[dict] | None,
    "Runner.writer": dict | None,
    "CheckpointHook.interval": Annotated[int, Range(-1)],
    "CheckpointHook.max_keep_ckpts": Annotated[int, Range(-1)],
    "DataLoader.batch_sampler": dict | None,
    "DataLoader.sampler": dict | None,
    "LogProcessor.window_size": Positive,
    "OptimWrapper.clip_grad": _Clipping | None,
    "Visualizer.vis_backends": Sequence[dict] | None,
    "accumulative_counts": Positive,
    "batch_size": Positive,
    "bbox_score_thr": Share,
    "begin": Natural,
    "class_weight": Sequence[AnyNumber] | None,
    "constructor": str,
    "betas": tuple[Share, Share],
    "by_epoch": bool,
    "conv_kernel_sizes": Sequence[Positive],
    "conv_out_channels": Sequence[Positive],
    "convert_to_iter_based": bool,
    "deconv_kernel_sizes": Sequence[Positive],
    "deconv_out_channels": Sequence[Positive],
    "drop_path_rate": Share,
    "drop_rate": Share,
    "dropout_ratio": Share,
    "ignore_index": Annotated[int, Range(0, 255)],
    "img_size": Positive | tuple[Positive, Positive],
    "in_channels": Positive,
    "interval": Positive,
    "loss_weight": AnyNumber,
    "lr": AnyNumber,
    "mask_ratio": Share,
    "max_epochs": Positive,
    "max_iters": Positive,
    "nms_thr": Share,
    "num_classes": Positive | None,
    "num_samples": Natural,
    "num_workers": Natural,
    "opacity": Share,
    "padding": AnyNumber,
    "paramwise_cfg": dict | None,
    "patch_size": Positive,
    "prefetch_factor": Positive | None,
    "priority": Literal[tuple(_PRIORITIES)] | Annotated[int, Range(0, 100)],  # type: ignore[misc]
    "prob": Share,
    "seed": Annotated[int, Range(0, 2**32 - 1)] | None,
    "sigma": AnyNumber,
    "timeout": AnyNumber,
    "train_interval": Natural,
    "val_begin": Natural,
    "val_interval": Positive,
    "val_ratio": Share,
    "weight_decay": AnyNumber,
    "window": Positive,
}
_KNOWN_PACKAGES = ("mmengine", "torch", "engine", "pretrain", "seg", "pose")


def expected(target: Callable, name: str) -> Any:
    """Returns what this module says of an argument of a constructor; None if nothing."""
    if target.__module__.partition(".")[0] not in _KNOWN_PACKAGES:
        return None
    keys = [f"{cls.__name__}.{name}" for cls in getattr(target, "__mro__", ())]
    return next((EXPECTED[key] for key in [*keys, name] if key in EXPECTED), None)
