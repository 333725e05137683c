"""Tells from names and shapes of tensors which model they are of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from engine.checkpoint.match import PATCHES
from engine.checkpoint.pos_embed import tell_grid
from engine.errors import WeightsError

_RELEASED_GRID_HW = (4, 3)
_CHANNELS = {1: "depth", 3: "normal"}
_SAID = {
    "depth": "depth ({} channel)",
    "normal": "normals ({} channels)",
    "parts": "segmentation ({} classes)",
    "pose": "pose ({} keypoints)",
}


class Probe(NamedTuple):
    """What a model's tensors say of it.

    Attributes:
        task: pretrain (a backbone without a head of a task), parts, depth, normal or pose. A head
            of one or three classes has the tensors of depth or normals.
        arch: embed_dims and num_layers of the backbone.
        num_outputs: Classes, channels or keypoints; None for pretrain.
        input_size_hw: Of the images that the position embedding is for; None if it does not tell.
    """

    task: str
    arch: tuple[int, int]
    num_outputs: int | None
    input_size_hw: tuple[int, int] | None

    def __str__(self) -> str:
        return _SAID.get(self.task, "a pretrained backbone").format(self.num_outputs)


def probe(tensors: Mapping[str, Tensor]) -> Probe | None:
    """Returns what a model's tensors say of it, below whatever name; None without a backbone."""
    patches = next((key for key in tensors if key.endswith(PATCHES)), None)
    if patches is None or tensors[patches].dim() != 4:
        return None
    prefix = patches.removesuffix(PATCHES)
    layer = re.compile(re.escape(prefix) + r"layers\.(\d+)\.")
    layers = {match[1] for key in tensors if (match := layer.match(key))}
    weight = tensors[patches]
    task, num_outputs = _head(tensors)
    size_hw = _input_size_hw(tensors, prefix, weight.shape[2])
    return Probe(task, (weight.shape[0], len(layers)), num_outputs, size_hw)


def _head(tensors: Mapping[str, Tensor]) -> tuple[str, int | None]:
    for key, tensor in tensors.items():
        *_, layer, kind = ["", *key.split(".")]
        if kind == "weight" and tensor.dim() == 4 and layer in ("conv_seg", "final_layer"):
            count = tensor.shape[0]
            return ("pose" if layer == "final_layer" else _CHANNELS.get(count, "parts")), count
    return "pretrain", None


def _input_size_hw(
    tensors: Mapping[str, Tensor], prefix: str, patch_size: int
) -> tuple[int, int] | None:
    positions = tensors.get(f"{prefix}pos_embed")
    if positions is None or positions.dim() != 3:
        return None
    try:
        grid_hw, _ = tell_grid(
            positions.shape[1], _RELEASED_GRID_HW, f"{prefix}cls_token" in tensors
        )
    except WeightsError:
        return None
    return grid_hw[0] * patch_size, grid_hw[1] * patch_size
