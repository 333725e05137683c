"""Pose estimators, heads and losses."""

from pose.models.heatmap_head import HeatmapHead
from pose.models.heatmap_losses import KeypointMSELoss, KeypointOHKMMSELoss
from pose.models.topdown import TopdownPoseEstimator

__all__ = ["HeatmapHead", "KeypointMSELoss", "KeypointOHKMMSELoss", "TopdownPoseEstimator"]
