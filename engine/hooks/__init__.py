"""Hooks that every task shares; importing this registers them with MMEngine."""

from engine.hooks.predictions import PredictionsHook
from engine.hooks.progress import ProgressHook
from engine.hooks.throughput import ThroughputHook
from engine.hooks.visualize import PicturesHook

__all__ = ["PicturesHook", "PredictionsHook", "ProgressHook", "ThroughputHook"]
