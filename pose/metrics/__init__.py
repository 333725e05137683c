"""Average precision of keypoints."""
# ruff: noqa: F401

from pose.metrics.coco import CocoMetric, CocoWholeBodyMetric, GoliathMetric
