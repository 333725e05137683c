"""Features of images, where the transformer looked to make them, and their files."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch.nn.functional as F
from mmengine.structures import PixelData
from numpy.typing import NDArray
from torch import Tensor

from engine.data.sample import DataSample
from engine.errors import ConfigError, DataError
from engine.infer.writer import Output, Writer
from engine.model.base import BaseModel
from engine.model.views import TestViews, mean_of_views
from engine.registry import WRITERS
from pretrain.registry import MODELS
from pretrain.vit_layers import Attention


@MODELS.register_module()
class FeatureExtractor(BaseModel):
    """A backbone alone, to predict with.

    Args:
        backbone: Config of a ``VisionTransformer`` with ``out_type="featmap"``. With
            ``with_cls_token`` it computes what it did in the pretraining; finetuned models have no
            class token.
        attention_query: ``"cls_token"``, ``"mean"`` or ``"centre"`` adds maps of the attention from
            there; see :func:`attention_maps`.
        attention_layer: Of which layer, negative ones counted from the end.
        attention_heads: Of which heads, counted from 0; all by default.
        data_preprocessor: Config of the preprocessor.
        test_views: Features are the mean over mirrored and resized views, at the size of those of
            the image itself; see :class:`engine.model.views.TestViews`.
        eval_dtype: See :class:`engine.model.base.BaseModel`.

    Raises:
        ConfigError: If the backbone has no such token, layer or head, or makes no feature map.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        attention_query: str | None = None,
        attention_layer: int = -1,
        attention_heads: Sequence[int] | None = None,
        data_preprocessor: dict | None = None,
        test_views: dict | None = None,
        eval_dtype: str = "float32",
    ) -> None:
        super().__init__(data_preprocessor, eval_dtype)
        self.test_views = TestViews(test_views)
        self.backbone = MODELS.build(backbone)
        self.attention_query = attention_query
        self.attention_layer = attention_layer
        heads = range(self.backbone.arch["num_heads"])
        self.attention_heads = list(heads if attention_heads is None else attention_heads)
        self._check()

    def _check(self) -> None:
        backbone, query, layer = self.backbone, self.attention_query, self.attention_layer
        num_layers, num_heads = backbone.num_layers, backbone.arch["num_heads"]
        if backbone.out_type != "featmap":
            wrong = f"backbone.out_type is {backbone.out_type!r}; it must be 'featmap'"
        elif query not in (None, *QUERIES):
            wrong = f"attention_query={query!r} is none of {', '.join(QUERIES)}"
        elif query == "cls_token" and not backbone.num_extra_tokens:
            wrong = "attention_query='cls_token' needs backbone.with_cls_token=True"
        elif not -num_layers <= layer < num_layers:
            wrong = f"attention_layer={layer} is not among {num_layers} layers"
        elif not self.attention_heads or not set(self.attention_heads) <= set(range(num_heads)):
            wrong = f"attention_heads={self.attention_heads} are not among {num_heads} heads"
        else:
            return
        raise ConfigError(f"FeatureExtractor: {wrong}.")

    def forward_tensor(self, inputs: Tensor) -> Tensor:
        """Encodes images (B, 3, H, W) as features (B, D, h, w) of the last layer asked for."""
        return self.backbone(inputs)[-1]

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds ``features`` (D, h, w), and ``attention`` (heads, h, w) if it is asked for."""
        data_samples = [DataSample() for _ in inputs] if data_samples is None else data_samples
        given: list[Tensor] = []
        thread = threading.get_ident()

        def keep_input(_: Any, args: tuple[Tensor, ...]) -> None:
            if threading.get_ident() == thread:  # others may predict at the same time
                given.append(args[0])

        layer = self.backbone.layers[self.attention_layer]
        handle = layer.attn.register_forward_pre_hook(keep_input)
        try:
            views = self.test_views.predict(
                self.forward_tensor, lambda raw: raw.flip(-1), inputs, self.backbone.patch_size
            )
        finally:
            handle.remove()
        height, width = inputs.shape[-2:]
        features = mean_of_views(views, self.backbone.patch_embed.grid_hw((height, width)))
        for sample, feature in zip(data_samples, features, strict=True):
            sample.features = PixelData(data=feature)
        if self.attention_query:
            grid_hw = (views[0].shape[2], views[0].shape[3])
            maps = attention_maps(layer.attn, given[0], self.attention_query, grid_hw)
            for sample, chosen in zip(data_samples, maps[:, self.attention_heads], strict=True):
                sample.attention = PixelData(data=chosen)
        return data_samples


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


_PANEL_EDGE = 256


@WRITERS.register_module()
class FeatureWriter(Writer):
    """Writes ``features``, ``<stem>.npy``, and ``attention``, ``<stem>_attention.png``.

    The latter is written if the model made maps of it.

    Args:
        dtype: ``"float32"``, or ``"float16"`` for half the space.
        opacity: Weight of the colours in the picture, in [0, 1].
        save: The outputs; both by default.
    """

    default_save = ("features", "attention")
    film = "attention"
    video_save = ("attention",)

    def __init__(
        self, dtype: str = "float32", opacity: float = 0.5, save: Sequence[str] | None = None
    ) -> None:
        if dtype not in ("float32", "float16"):
            raise ConfigError(f"FeatureWriter: dtype is 'float32' or 'float16'; found {dtype!r}.")
        self.dtype = dtype
        self.opacity = opacity
        super().__init__(save)

    def all_outputs(self) -> dict[str, Output]:
        """Features and attention."""
        return {
            "features": Output(".npy", self._write_features, needs_image=False),
            "attention": Output("_attention.png", self.write_picture),
        }

    @property
    def sure_suffixes(self) -> tuple[str, ...]:
        """Those of all but attention."""
        return tuple(suffix for suffix in self.suffixes if suffix != "_attention.png")

    def has(self, name: str, sample: DataSample) -> bool:
        """Attention is there if the model made maps of it."""
        return name != "attention" or "attention" in sample

    def _write_features(self, sample: DataSample, _: NDArray, path: Path) -> None:
        features = sample.features.data.float().cpu().numpy().astype(self.dtype)
        if not np.isfinite(features).all():
            raise DataError(f"some features are not finite as {self.dtype}.")
        np.save(path, features)

    def picture(
        self, sample: DataSample, image_bgr: NDArray, highest: NDArray | None = None
    ) -> NDArray:
        """What the model attends to, which must have been asked for; see :func:`draw_attention`."""
        if "attention" not in sample:
            raise ConfigError(
                "Features have no picture of their own. Ask the model for one of its attention, "
                'model=dict(attention_query="centre"), or write the features alone: --save '
                "features."
            )
        maps = sample.attention.data.float().cpu().numpy()
        return draw_attention(image_bgr[..., ::-1], maps, self.opacity, highest)

    def frame_drawer(self) -> Callable[[DataSample, NDArray], NDArray]:
        """A head's map is relative to its highest value in all frames until then."""
        highest = np.float32(0)

        def draw(sample: DataSample, image_bgr: NDArray) -> NDArray:
            nonlocal highest
            if "attention" in sample:
                maps = sample.attention.data.float().cpu().numpy()
                highest = np.maximum(highest, maps.max(axis=(1, 2)))
            return self.picture(sample, image_bgr, highest)

        return draw


def draw_attention(
    image: NDArray, maps: NDArray, opacity: float = 0.5, highest: NDArray | None = None
) -> NDArray:
    """Draws each head's map over the image, in rows of about as many columns.

    Args:
        image: RGB (H, W, 3) uint8.
        maps: (heads, h, w), >= 0.
        opacity: Weight of the colours in [0, 1].
        highest: (heads,), what each map is relative to; by default its own highest value.

    Returns:
        RGB uint8; unused places of the last row are black.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _PANEL_EDGE / max(height, width))
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    panels = []
    highest = maps.max(axis=(1, 2)) if highest is None else highest
    for values, most in zip(maps, highest, strict=True):
        grey = np.rint(255 * values / max(most, 1e-12)).astype(np.uint8)
        grey = cv2.resize(grey, size_wh, interpolation=cv2.INTER_LINEAR)
        colours = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1]
        panels.append(cv2.addWeighted(small, 1 - opacity, colours, opacity, 0))
    columns = math.ceil(math.sqrt(len(panels)))
    panels += [np.zeros_like(small)] * (-len(panels) % columns)
    rows = [np.hstack(panels[i : i + columns]) for i in range(0, len(panels), columns)]
    return np.vstack(rows)
