"""Hooks that every task shares; importing this registers them with MMEngine."""
# ruff: noqa: F401

import engine.hooks.file_client
from engine.hooks.checkpoint import CheckpointHook
from engine.hooks.ema import EMAHook
from engine.hooks.log_processor import SignificantLogProcessor
from engine.hooks.predictions import PredictionsHook
from engine.hooks.progress import ProgressHook
from engine.hooks.throughput import ThroughputHook
from engine.hooks.visualize import PicturesHook
