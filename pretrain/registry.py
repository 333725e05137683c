"""Registries of the scope ``pretrain``, children of MMEngine's."""

from engine.registry import child_registries

_children = child_registries("pretrain")
DATASETS = _children["DATASETS"]
MODELS = _children["MODELS"]
VISUALIZERS = _children["VISUALIZERS"]
