"""Optimizers: which parameter learns how fast, and in which precision."""

from engine.optim.autocast import AutocastOptimWrapper
from engine.optim.layer_decay import LayerDecayOptimWrapperConstructor

__all__ = ["AutocastOptimWrapper", "LayerDecayOptimWrapperConstructor"]
