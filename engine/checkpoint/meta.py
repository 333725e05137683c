"""What identifies a model beyond the names and shapes of its tensors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
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


def meta_of(checkpoint: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Returns the meta of a checkpoint that was read, of whatever form; empty if it has none.

    Raises:
        WeightsError: It is no dict.
    """
    versions = getattr(checkpoint, "_metadata", None)
    beside = versions.get(_OURS) if isinstance(versions, Mapping) else None
    meta = checkpoint.get("meta", beside)
    if meta is not None and not isinstance(meta, Mapping):
        raise WeightsError(f"{source}: its 'meta' is a {type(meta).__name__}. Expected a dict.")
    return meta or {}


def grid_of(meta: Mapping[str, Any], source: str) -> tuple[int, int] | None:
    """Returns the position grid (h, w) that a checkpoint says it has, None if it says nothing.

    Raises:
        WeightsError: It is no pair of positive whole numbers.
    """
    grid_hw = meta.get("grid_hw")
    if grid_hw is None:
        return None
    is_pair = isinstance(grid_hw, list | tuple) and len(grid_hw) == 2
    if not is_pair or not all(type(side) is int and side > 0 for side in grid_hw):
        raise WeightsError(
            f"{source}: its meta['grid_hw'] is {grid_hw!r:.80}. Expected two whole numbers, the "
            "rows and columns of the patches."
        )
    return grid_hw[0], grid_hw[1]


def saved_dataset_meta(checkpoint: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Returns what a checkpoint says of the dataset that it was trained on; empty if nothing.

    Raises:
        WeightsError: Its classes are no names, or its palette is not a colour of each.
    """
    found = meta_of(checkpoint, source).get("dataset_meta")
    meta = {} if found is None else found
    if not isinstance(meta, Mapping) or not all(isinstance(key, str) for key in meta):
        raise WeightsError(f"{source}: its meta['dataset_meta'] is {meta!r:.80}. Expected a dict.")
    classes, palette = meta.get("classes", ()), meta.get("palette")
    if not isinstance(classes, list | tuple) or not all(isinstance(c, str) for c in classes):
        raise WeightsError(f"{source}: its classes are {classes!r:.80}. Expected a list of names.")
    if palette is not None:
        try:
            shape = np.asarray(palette, np.uint8).shape
        except (ValueError, TypeError, OverflowError):
            shape = ()
        if len(shape) != 2 or shape[1] != 3 or len(classes) not in (0, shape[0]):
            raise WeightsError(
                f"{source}: its palette is {palette!r:.80}. Expected a colour (red, green, blue) "
                f"from 0 to 255 of each of {len(classes)} classes."
            )
    return dict(meta)


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
    elif type(theirs) is not int:
        raise WeightsError(
            f"{source}: its meta['patch_padding'] is {theirs!r:.80}. Expected pixels, a whole "
            "number."
        )
    elif theirs != ours and not allow_change:
        raise WeightsError(
            f"{source} was trained with patch padding {theirs}, but the model's is {ours}, which "
            f"would shift every patch by {abs(theirs - ours)} pixels. Set the backbone's "
            f"patch_cfg=dict(padding={theirs}), or, if the training that "
            "follows shall adapt to it, load it as pretrained weights: "
            "init_cfg=dict(type='Pretrained', checkpoint=..., allow_patch_padding_change=True)."
        )
