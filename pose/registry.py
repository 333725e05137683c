"""Registries of the scope ``pose``, children of MMEngine's."""

from engine.registry import child_registries

_children = child_registries("pose")
DATASETS = _children["DATASETS"]
METRICS = _children["METRICS"]
MODELS = _children["MODELS"]
VISUALIZERS = _children["VISUALIZERS"]
