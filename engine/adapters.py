"""What of a model learns when its backbone does not: a head alone, or low-rank adapters as well.

adapter = dict(type="lora", rank=16, alpha=32, targets=("qkv", "proj", "ffn"), dropout=0.0)
adapter = dict(type="frozen")
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import ConfigError, WeightsError
from engine.precision import autocast_dtype

if TYPE_CHECKING:
    from engine.model.base import BaseModel

_TENSORS = ("lora_a", "lora_b")


@dataclass(frozen=True)
class Adapter:
    """``adapter = dict(...)`` of a config.

    Args:
        type: "lora": low-rank adapters, the backbone's norms and the head learn (Hu et al., 2021).
            "frozen": the head alone, and the backbone runs as in an evaluation.
        rank: Of the adapters: rows of A, columns of B.
        alpha: What the adapters add is multiplied by alpha / rank.
        targets: Names of linear layers of the backbone, or of modules that hold some.
        dropout: Share of an adapter's inputs that is dropped in training.
    """

    type: str
    rank: int = 16
    alpha: float = 32
    targets: Sequence[str] = ("qkv", "proj", "ffn")
    dropout: float = 0.0

    @property
    def scale(self) -> float:
        """The factor of what an adapter adds."""
        return self.alpha / self.rank


class LoRALinear(nn.Linear):
    """A linear layer that does not learn, and a low-rank one beside it that does.

    ``y = x W^T + b + alpha / rank * dropout(x) A^T B^T`` (Hu et al., 2021, eq. 3). B is zero at
    first, so that training begins with what the base computes. W and b keep their names, and so
    a state dict those of the base, with ``lora_a`` and ``lora_b`` beside them.

    Args:
        base: Whose weight and bias this layer takes over, frozen.
        adapter: Rank, alpha and dropout.
    """

    def __init__(self, base: nn.Linear, adapter: Adapter) -> None:
        nn.Module.__init__(self)  # nn.Linear's own would draw a weight in vain
        self.in_features, self.out_features = base.in_features, base.out_features
        self.weight, self.bias = base.weight.requires_grad_(False), base.bias
        if self.bias is not None:
            self.bias.requires_grad_(False)
        place: dict[str, Any] = {"device": base.weight.device, "dtype": torch.float32}
        self.lora_a = nn.Parameter(torch.empty(adapter.rank, self.in_features, **place))
        self.lora_b = nn.Parameter(torch.empty(self.out_features, adapter.rank, **place))
        self.dropout = nn.Dropout(adapter.dropout)
        self.scale = adapter.scale
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the adapter anew; the base keeps its weights, which are to be read from a file."""
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        nn.init.zeros_(self.lora_b)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        low = F.linear(F.linear(self.dropout(input), self.lora_a), self.lora_b)
        return super().forward(input) + self.scale * low

    def extra_repr(self) -> str:
        """Adds what the adapter is to what PyTorch prints."""
        return f"{super().extra_repr()}, rank={self.lora_a.shape[0]}, scale={self.scale:g}"


def apply_adapter(
    model: BaseModel, adapter: Adapter, dtype: str | torch.dtype | None = None
) -> None:
    """Freezes a model's backbone in place, and puts adapters beside its layers.

    Weights may be loaded before or after: their names stay. What is frozen already, by
    ``frozen_stages``, stays so and gets no adapters.

    Args:
        model: With a ``backbone``.
        adapter: What is to learn.
        dtype: What autocast casts to, in which the frozen matrices are then held.

    Raises:
        ConfigError: The model has no backbone, or a target is none of its layers.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise ConfigError(
            f"adapter: {type(model).__name__} has no backbone to freeze. Remove the key."
        )
    if adapter.type == "frozen":
        model.freeze_backbone()
    else:
        _add_lora(backbone, adapter)
    _hold_frozen_in(backbone, autocast_dtype(dtype))


def held_dtype(cfg: Mapping[str, Any]) -> str | None:
    """Returns what a run casts matrices to, by its config, wherever it computes; None if nothing.

    A training in one precision that evaluates in another needs the weights as they are.
    """
    wrapper, dtype = cfg.get("optim_wrapper") or {}, cfg["model"].get("eval_dtype")
    is_one = wrapper.get("type") == "AutocastOptimWrapper" and wrapper.get("dtype", dtype) == dtype
    return dtype if is_one else None


def is_adapter(name: str) -> bool:
    """Whether a tensor's name is that of a part of an adapter."""
    return name.rpartition(".")[2] in _TENSORS


def merge(tensors: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Returns a state dict with its adapters added to the weights, under the base's names.

    Args:
        tensors: By name; with the base's.
        scale: Alpha / rank.

    Raises:
        WeightsError: An adapter does not fit the weight of its layer, or has none.
    """
    merged = {name: tensor for name, tensor in tensors.items() if not is_adapter(name)}
    for name, a in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind == "lora_a":
            weight, b = (tensors.get(f"{layer}.{key}") for key in ("weight", "lora_b"))
            if (
                weight is None
                or b is None
                or weight.shape != (*b.shape[:1], *a.shape[1:])
                or b.shape[1:] != a.shape[:1]
            ):
                raise WeightsError(f"{layer} has no adapter and weight that fit. Copy it again.")
            added = weight.double() + scale * (b.double() @ a.double())
            merged[f"{layer}.weight"] = added.to(torch.promote_types(weight.dtype, a.dtype))
    return merged


def _add_lora(backbone: nn.Module, adapter: Adapter) -> None:
    layers = {name: m for name, m in backbone.named_modules() if isinstance(m, nn.Linear)}
    parts = {part for name in layers for part in name.split(".") if not part.isdigit()}
    if unknown := [target for target in adapter.targets if target not in parts]:
        raise ConfigError(
            f"adapter.targets: {', '.join(unknown)} names no linear layer of "
            f"{type(backbone).__name__}. Names are {', '.join(sorted(parts)) or 'none'}."
        )
    chosen = {
        name: layer
        for name, layer in layers.items()
        if layer.weight.requires_grad and not set(adapter.targets).isdisjoint(name.split("."))
    }
    if not chosen:
        raise ConfigError(
            "adapter: no layer gets one, as adapter.targets names none, or all of them are frozen "
            "by model.backbone.frozen_stages. Correct these."
        )
    norms = [m for m in backbone.modules() if isinstance(m, nn.LayerNorm)]
    learning = [p for norm in norms for p in norm.parameters() if p.requires_grad]
    backbone.requires_grad_(False)
    for name, layer in chosen.items():
        parent, _, own = name.rpartition(".")
        setattr(backbone.get_submodule(parent), own, LoRALinear(layer, adapter))
    for parameter in learning:
        parameter.requires_grad_(True)


def _hold_frozen_in(backbone: nn.Module, dtype: torch.dtype | None) -> None:
    """Casts once what autocast would cast in each pass; see :func:`engine.precision.keep_in`."""
    for module in backbone.modules():
        if dtype is None or not isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            continue
        for name in ("weight", "bias"):
            tensor = getattr(module, name)
            if tensor is not None and not tensor.requires_grad:
                setattr(module, name, nn.Parameter(tensor.detach().to(dtype), requires_grad=False))
