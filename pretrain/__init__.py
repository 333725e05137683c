"""The vision transformer, and how it is pretrained."""
# ruff: noqa: F401

import engine.checkpoint  # registers what init_cfg=dict(type="Pretrained") means
import engine.data
import engine.hooks
import engine.optim
from pretrain import datasets, pictures
from pretrain.features import FeatureExtractor
from pretrain.mae import MAE, MAEPretrainDecoder, MAEPretrainHead, PixelReconstructionLoss
from pretrain.mae_vit import MAEViT
from pretrain.registry import MODELS
from pretrain.vision_transformer import VisionTransformer

MODELS.register_module(module=VisionTransformer)
