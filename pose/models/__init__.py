"""Pose estimators, heads and losses."""
# ruff: noqa: F401

from pose.models.heatmap_head import HeatmapHead
from pose.models.heatmap_losses import KeypointMSELoss, KeypointOHKMMSELoss
from pose.models.topdown import TopdownPoseEstimator
