"""What identifies a model beyond the names and shapes of its tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from engine.errors import WeightsError
from engine.model.wrappers import unwrap

IDENTITY = ("patch_padding", "patch_size", "grid_hw", "arch")
"""What of a checkpoint's meta says which model the weights are of."""
_OURS = "mmsapiens"


def find_backbone(model: nn.Module) -> Any:
    """Returns the vision transformer that a model is, or has as ``backbone``; None without one."""
    model = unwrap(model)
    for candidate in (model, getattr(model, "backbone", None)):
        if hasattr(candidate, "patch_padding"):
            return candidate
    return None


def model_meta(model: nn.Module) -> dict[str, Any]:
    """Returns what a checkpoint's ``meta`` should hold for the model to be rebuilt and checked.

    Args:
        model: A vision transformer, or a model with one as ``backbone``, possibly wrapped.

    Returns:
        patch_padding and patch_size in pixels, the position grid ``grid_hw`` and the ``arch``;
        empty for a model without a vision transformer.
    """
    backbone = find_backbone(model)
    if backbone is None:
        return {}
    return {
        "patch_padding": backbone.patch_padding,
        "patch_size": backbone.patch_size,
        "grid_hw": backbone.grid_hw,
        "arch": dict(backbone.arch),
    }


def flat_with_meta(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns tensors by name and nothing else, which ``torch.save`` writes with their identity.

    It lies beside the versions of PyTorch's modules, in the ``_metadata`` that state dicts carry,
    so that whoever loads the file finds its tensors only. :func:`meta_of` finds it again.
    """
    flat = OrderedDict(tensors)
    identity = {key: meta[key] for key in IDENTITY if key in meta}
    setattr(flat, "_metadata", OrderedDict({_OURS: identity}))  # noqa: B010  PyTorch's own name
    return flat


def meta_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the meta of a checkpoint that was read, of whatever form; empty if it has none."""
    versions = getattr(checkpoint, "_metadata", None)
    beside = versions.get(_OURS) if isinstance(versions, Mapping) else None
    meta = checkpoint.get("meta", beside)
    return meta if isinstance(meta, Mapping) else {}


def check_patch_padding(
    model: nn.Module, meta: Mapping[str, Any], source: str, allow_change: bool
) -> None:
    """Compares the patch padding of a checkpoint with the model's: the weights fit either way.

    Raises:
        WeightsError: They differ, and that was not allowed.
    """
    backbone = find_backbone(model)
    if backbone is None:
        return
    theirs, ours = meta.get("patch_padding"), backbone.patch_padding
    if theirs is None:
        print_log(
            f"{source} does not say its patch padding; the model's is {ours}.", logger="current"
        )
    elif theirs != ours and not allow_change:
        raise WeightsError(
            f"{source} was trained with patch padding {theirs}, but the model's is {ours}, which "
            f"would shift every patch by {abs(theirs - ours)} pixels. Set the backbone's "
            f"patch_cfg=dict(padding={theirs}), or, if the training that "
            "follows shall adapt to it, load it as pretrained weights: "
            "init_cfg=dict(type='Pretrained', checkpoint=..., allow_patch_padding_change=True)."
        )
