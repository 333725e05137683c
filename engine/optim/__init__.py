"""Optimizers: which parameter learns how fast, and in which precision."""

from engine.optim.autocast import AutocastOptimWrapper, autocast_context, autocast_dtype
from engine.optim.layer_decay import LayerDecayOptimWrapperConstructor

__all__ = [
    "AutocastOptimWrapper",
    "LayerDecayOptimWrapperConstructor",
    "autocast_context",
    "autocast_dtype",
]
