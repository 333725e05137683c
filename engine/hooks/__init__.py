"""Hooks that every task shares; importing this registers them with MMEngine."""

from engine.hooks.pictures import PicturesHook
from engine.hooks.predictions import PredictionsHook
from engine.hooks.progress import ProgressHook
from engine.hooks.throughput import ThroughputHook

__all__ = ["PicturesHook", "PredictionsHook", "ProgressHook", "ThroughputHook"]
