"""Registries of the scope ``seg``, children of MMEngine's."""

from engine.registry import child_registries

_children = child_registries("seg")
DATASETS = _children["DATASETS"]
HOOKS = _children["HOOKS"]
METRICS = _children["METRICS"]
MODELS = _children["MODELS"]
VISUALIZERS = _children["VISUALIZERS"]
