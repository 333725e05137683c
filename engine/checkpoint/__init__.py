"""Checkpoints: read safely, matched to a model with a report, nothing skipped in silence."""

from engine.checkpoint.latest import latest_checkpoint
from engine.checkpoint.load import PretrainedInit, apply_weights, load_weights
from engine.checkpoint.meta import model_meta
from engine.checkpoint.read import read_checkpoint
from engine.checkpoint.report import LoadReport, Mismatch, Resize

__all__ = [
    "LoadReport",
    "Mismatch",
    "PretrainedInit",
    "Resize",
    "apply_weights",
    "latest_checkpoint",
    "load_weights",
    "model_meta",
    "read_checkpoint",
]
