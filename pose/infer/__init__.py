"""From images or videos, and where the people are, to their keypoints in files."""

from pose.infer.boxes import BoxesFile, BoxSource, whole_image
from pose.infer.detector import OnnxDetector
from pose.infer.people import PeopleOfImage, crop_people, predict_crops, predict_people
from pose.infer.video import is_video, predict_video
from pose.infer.writer import PoseWriter

__all__ = [
    "BoxSource",
    "BoxesFile",
    "OnnxDetector",
    "PeopleOfImage",
    "PoseWriter",
    "crop_people",
    "is_video",
    "predict_crops",
    "predict_people",
    "predict_video",
    "whole_image",
]
