"""Optimizers: which parameter learns how fast, and in which precision."""
# ruff: noqa: F401

from engine.optim.autocast import AutocastOptimWrapper
from engine.optim.layer_decay import LayerDecayOptimWrapperConstructor
from engine.optim.schedules import PolyLR
