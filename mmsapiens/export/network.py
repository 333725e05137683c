"""What is exported: images in, the head's raw output out, with operations that every format has."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from engine.model.base import BaseModel
from engine.precision import keep_in


class ExportedNetwork(nn.Module):
    """A model's raw output, as a graph of plain operations for a batch of any size.

    Products are computed in ``dtype``, and all else, such as norms and the sum that the layers add
    to, in float32: what autocast does to the model, said by casts, which every format knows.

    Args:
        model: With its weights in float32, positions of the input's size; it stays as it is, and
            float32 weights are shared with it.
        dtype: "float32", "float16" or "bfloat16".
        normalise: Whether images are normalised inside, and so come as pixels.

    Attributes:
        input_dtype: Of images: uint8 if they are normalised inside, else ``dtype``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: BaseModel, dtype: str, normalise: bool) -> None:
        super().__init__()
        self.model = with_own_parameters(model)
        keep_in(self.model, dtype)
        for module in self.model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                module.register_forward_pre_hook(_cast_to_weight)
        self.normalise = normalise
        self.input_dtype = torch.uint8 if normalise else getattr(torch, dtype)
        preprocessor: Any = model.data_preprocessor
        self.register_buffer("mean", preprocessor.mean.detach().clone(), persistent=False)
        self.register_buffer("std", preprocessor.std.detach().clone(), persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (B, 3, H, W) of ``input_dtype`` to float32 raw output (B, C, h, w)."""
        if self.normalise:
            images = (images.float() - self.mean) / self.std
        raw: Tensor = self.model.forward_tensor(images)
        return raw.float()


def _cast_to_weight(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
    weight: Any = module.weight
    return (args[0].to(weight.dtype),)


def with_own_parameters(model: BaseModel) -> BaseModel:
    """A copy whose parameters are new, but hold the same numbers in the same memory."""
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=False)
        for parameter in model.parameters()
    }
    return copy.deepcopy(model, memo)
