"""From images or videos, and where the people are, to their keypoints in files."""
# ruff: noqa: F401

from pose.infer.boxes import BoxesFile, BoxSource, whole_image
from pose.infer.detector import OnnxDetector
from pose.infer.people import PeopleOfImage, crop_people, predict_crops, predict_people
from pose.infer.smoothing import KeypointSmoother
from pose.infer.tracking import Tracker
from pose.infer.video import PeopleOfVideo, is_video, predict_video
from pose.infer.writer import PoseWriter
