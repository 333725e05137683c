"""Checkpoints: read safely, matched to a model with a report, nothing skipped in silence."""
# ruff: noqa: F401

from engine.checkpoint.load import PretrainedInit, apply_weights, load_weights
from engine.checkpoint.match import LoadReport, Mismatch, Resize
from engine.checkpoint.meta import model_meta, saved_dataset_meta
from engine.checkpoint.probing import Probe, probe
from engine.checkpoint.read import latest_checkpoint, read_checkpoint, read_sharded
from engine.checkpoint.state import training_state
