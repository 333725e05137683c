"""Average precision of keypoints."""

from pose.metrics.coco import CocoMetric, CocoWholeBodyMetric, GoliathMetric

__all__ = ["CocoMetric", "CocoWholeBodyMetric", "GoliathMetric"]
