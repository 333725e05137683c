"""Videos of every task: decoded ahead of the model, encoded beside it."""
# ruff: noqa: F401

from engine.infer.video.reader import VIDEO_SUFFIXES, Frame, VideoReader, is_video
from engine.infer.video.writer import VideoWriter
