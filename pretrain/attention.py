"""Where a layer of the vision transformer looks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from pretrain.vit_layers import Attention

QUERIES = ("cls_token", "mean", "centre")


def attention_maps(attention: Attention, x: Tensor, query: str, grid_hw: tuple[int, int]) -> Tensor:
    """How much one token attends to each patch, by head.

    Only the row of softmax(Q K^T / sqrt(d)) that is asked for is computed: a whole matrix of 4096
    patches and 24 heads would take 1.6 GB.

    Args:
        attention: Of the layer.
        x: Its input (B, N, D): patches row by row, after a class token or not.
        query: The token: ``"cls_token"``; ``"centre"``, the patch below and right of the centre of
            the grid; or ``"mean"``, the mean of the patches' queries.
        grid_hw: Rows and columns of patches.

    Returns:
        (B, heads, h, w), >= 0. Over the patches a head's values sum to 1, less what it gives to the
        class token.
    """
    height, width = grid_hw
    num_extra = x.shape[1] - height * width
    patches = x[:, num_extra:]
    token = {
        "cls_token": x[:, :1],
        "mean": patches.mean(dim=1, keepdim=True),
        "centre": patches[:, [height // 2 * width + width // 2]],
    }[query]
    dims = x.shape[-1]
    weight, bias = attention.qkv.weight, attention.qkv.bias
    q = F.linear(token, weight[:dims], None if bias is None else bias[:dims])
    k = F.linear(x, weight[dims : 2 * dims], None if bias is None else bias[dims : 2 * dims])
    head = (attention.num_heads, dims // attention.num_heads)
    q, k = (t.unflatten(-1, head).transpose(1, 2).float() for t in (q, k))  # (B, heads, ., d)
    weights = ((q / head[1] ** 0.5) @ k.transpose(2, 3)).softmax(dim=-1)
    return weights[:, :, 0, num_extra:].unflatten(-1, grid_hw)
