"""The vision transformer, and how it is pretrained."""

import engine.checkpoint  # noqa: F401  registers what init_cfg=dict(type="Pretrained") means
from pretrain.registry import MODELS
from pretrain.vision_transformer import VisionTransformer

MODELS.register_module(module=VisionTransformer)

__all__ = ["VisionTransformer"]
