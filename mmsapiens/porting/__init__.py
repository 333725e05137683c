"""Configs of MMSegmentation, MMPose, MMPretrain and the release, translated as far as that goes."""
# ruff: noqa: F401

from mmsapiens.porting.read import read_foreign
from mmsapiens.porting.translate import translate
