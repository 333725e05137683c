"""Datasets of people with keypoints."""
# ruff: noqa: F401

from pose.datasets.coco import CocoDataset, CocoWholeBodyDataset, GoliathDataset
