"""Pose estimators, heads and losses."""
# ruff: noqa: F401

from pose.models.heatmap_head import HeatmapHead, KeypointMSELoss, KeypointOHKMMSELoss
from pose.models.topdown import TopdownPoseEstimator
