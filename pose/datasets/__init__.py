"""Datasets of people with keypoints."""

from pose.datasets.coco import CocoDataset, CocoWholeBodyDataset, GoliathDataset

__all__ = ["CocoDataset", "CocoWholeBodyDataset", "GoliathDataset"]
