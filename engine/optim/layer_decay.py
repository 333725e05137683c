"""Layer-wise learning-rate decay: the nearer a parameter is to the image, the slower it learns."""

from __future__ import annotations

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from engine.config.validate import wrong_rules
from engine.errors import ConfigError
from engine.model.wrappers import plain_name, unwrap


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor:
    """Gives every layer of the backbone its own learning rate (as BEiT, Bao et al., 2022, does).

    A parameter of layer ``id`` of ``K = backbone.num_layers + 2`` learns at
    ``lr * layer_decay_rate ** (K - 1 - id)``. The backbone says each parameter's layer by
    ``backbone.layer_id(name)``: embeddings 0, block i has i + 1, the final norm K - 1. Everything
    outside the backbone is of layer K - 1 too, and learns at ``lr``. Vectors, biases and position
    embeddings have no weight decay.

    Args:
        optim_wrapper_cfg: Config of the optimizer wrapper with an ``optimizer``, which must give
            ``lr`` and ``weight_decay``. Adam and AdamW are fused on a GPU unless it says otherwise.
        paramwise_cfg: ``layer_decay_rate`` in (0, 1]; optionally ``custom_keys``, mapping a part of
            parameter names to ``dict(lr_mult=..., decay_mult=...)``, factors on top of the above
            (of several keys in a name, the longest counts); and optionally ``num_layers``, which
            must be the backbone's and is accepted for the sake of older configs.

    Raises:
        ConfigError: For an unknown key, a rate out of range, a missing ``lr`` or ``weight_decay``.
    """

    PARAMWISE_KEYS = ("layer_decay_rate", "custom_keys", "num_layers")

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        paramwise_cfg = paramwise_cfg or {}
        wrong = list(wrong_rules(paramwise_cfg, self.PARAMWISE_KEYS))
        if wrong:
            raise ConfigError(*wrong)
        self.rate = paramwise_cfg.get("layer_decay_rate")
        if not isinstance(self.rate, (int, float)) or not 0 < self.rate <= 1:
            raise ConfigError(
                "optim_wrapper.paramwise_cfg.layer_decay_rate: expected a number in (0, 1], "
                f"found {self.rate!r}."
            )
        self.num_layers = paramwise_cfg.get("num_layers")
        custom_keys = paramwise_cfg.get("custom_keys", {})
        self.custom_keys = dict(
            sorted(custom_keys.items(), key=lambda item: (-len(item[0]), item[0]))
        )
        self.optim_wrapper_cfg = {"type": "OptimWrapper", **optim_wrapper_cfg}
        self.optimizer_cfg = dict(self.optim_wrapper_cfg.pop("optimizer"))
        for key in ("lr", "weight_decay"):
            if key not in self.optimizer_cfg:
                raise ConfigError(f"optim_wrapper.optimizer: layer decay needs {key} to be given.")

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds the optimizer over the trainable parameters of a model, wrapped.

        Args:
            model: With a ``backbone`` (or itself one) that has ``layer_id`` and ``num_layers``.
                May be wrapped for data parallelism or compiled.

        Raises:
            ConfigError: If the model has no such backbone, ``num_layers`` is not its depth, or a
                custom key is part of no parameter's name.
        """
        groups = self._param_groups(unwrap(model))
        optimizer_cfg = {**self.optimizer_cfg, "params": groups}
        # One kernel for all tensors; torch's own default is the slower `foreach`.
        on_gpu = all(param.is_cuda for group in groups for _, param in group["params"])
        is_adam = optimizer_cfg["type"] in ("Adam", "AdamW")
        if is_adam and on_gpu and not {"fused", "foreach"} & optimizer_cfg.keys():
            optimizer_cfg["fused"] = True
        optimizer = OPTIMIZERS.build(optimizer_cfg)
        return OPTIM_WRAPPERS.build(self.optim_wrapper_cfg, default_args={"optimizer": optimizer})

    def _param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        backbone, prefix = self._backbone(model)
        last_layer = backbone.num_layers + 1
        names = {plain_name(name): param for name, param in model.named_parameters()}
        self._check_custom_keys(names)
        groups: dict[tuple[int, str], dict[str, Any]] = {}
        for name, param in names.items():
            if not param.requires_grad:
                continue
            inside = name.startswith(prefix)
            layer = backbone.layer_id(name[len(prefix) :]) if inside else last_layer
            decays = param.ndim > 1 and not name.endswith(".bias") and "pos_embed" not in name
            pattern = next((key for key in self.custom_keys if key in name), None)
            rule = self.custom_keys.get(pattern, {})
            group_name = f"layer_{layer}_{'decay' if decays else 'no_decay'}"
            group_name += f"_{pattern}" if pattern else ""
            scale = self.rate ** (last_layer - layer) * rule.get("lr_mult", 1.0)
            weight_decay = self.optimizer_cfg["weight_decay"] * rule.get("decay_mult", 1.0)
            group = groups.setdefault(
                (layer, group_name),
                {
                    "params": [],
                    "lr": self.optimizer_cfg["lr"] * scale,
                    "weight_decay": weight_decay if decays else 0.0,
                    "group_name": group_name,
                },
            )
            group["params"].append((name, param))
        ordered = [groups[key] for key in sorted(groups)]
        for group in ordered:
            _log(group)
        return ordered

    def _backbone(self, model: nn.Module) -> tuple[Any, str]:
        """Returns the module that knows the layers, and the prefix of its parameters' names."""
        backbone = getattr(model, "backbone", model)
        prefix = "" if backbone is model else "backbone."
        if not hasattr(backbone, "layer_id") or not hasattr(backbone, "num_layers"):
            raise ConfigError(
                "optim_wrapper.constructor: layer decay needs a backbone with `layer_id(name)` and "
                f"`num_layers`; {type(model).__name__} has "
                + (f"a {type(backbone).__name__} without them." if prefix else "no backbone.")
                + " Use pretrain.VisionTransformer, or remove the constructor."
            )
        if self.num_layers not in (None, backbone.num_layers):
            raise ConfigError(
                f"optim_wrapper.paramwise_cfg.num_layers is {self.num_layers}, but the backbone "
                f"has {backbone.num_layers} layers. Remove the key: the backbone is asked."
            )
        return backbone, prefix

    def _check_custom_keys(self, names: dict[str, nn.Parameter]) -> None:
        for pattern in self.custom_keys:
            if not any(pattern in name for name in names):
                raise ConfigError(
                    f'optim_wrapper.paramwise_cfg.custom_keys: "{pattern}" is part of no '
                    f'parameter\'s name. Names look like "{next(iter(names), "")}"; correct the '
                    "key or remove it."
                )


def _log(group: dict[str, Any]) -> None:
    tensors = [param for _, param in group["params"]]
    print_log(
        f"{group['group_name']}: lr {group['lr']:.3g}, weight decay {group['weight_decay']:.3g}, "
        f"{len(tensors)} tensors, {sum(t.numel() for t in tensors):,} parameters",
        logger="current",
    )
