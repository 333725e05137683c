"""The keypoint sets: names, what a mirror exchanges, sigmas, colours, and maps between sets."""
# ruff: noqa: F401

from pose.metainfo.coco import COCO, COCO_WHOLEBODY
from pose.metainfo.goliath import GOLIATH, GOLIATH_RAW_IDS
from pose.metainfo.metainfo import PoseMetainfo, index_map, take_keypoints
from pose.metainfo.openpose import OPENPOSE18, OPENPOSE134, to_openpose
from pose.metainfo.parse import METAINFOS, parse_metainfo
