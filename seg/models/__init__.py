"""Segmentors, estimators, heads and losses."""

from seg.models.cross_entropy import CrossEntropyLoss
from seg.models.depth_estimator import DepthEstimator
from seg.models.encoder_decoder import EncoderDecoder
from seg.models.map_heads import VitDepthHead, VitNormalHead
from seg.models.map_losses import CosineSimilarityLoss, L1Loss, SiLogLoss
from seg.models.vit_head import VitHead

__all__ = [
    "CosineSimilarityLoss",
    "CrossEntropyLoss",
    "DepthEstimator",
    "EncoderDecoder",
    "L1Loss",
    "SiLogLoss",
    "VitDepthHead",
    "VitHead",
    "VitNormalHead",
]
