"""The estimator of depth and normals, its heads and losses."""

from seg.surface.models.depth_estimator import DepthEstimator
from seg.surface.models.heads import VitDepthHead, VitNormalHead
from seg.surface.models.losses import CosineSimilarityLoss, L1Loss, SiLogLoss

__all__ = [
    "CosineSimilarityLoss",
    "DepthEstimator",
    "L1Loss",
    "SiLogLoss",
    "VitDepthHead",
    "VitNormalHead",
]
