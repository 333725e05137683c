"""Models in Python: :func:`mmsapiens.load`, a predictor for each task, and their results."""

from mmsapiens.predictors.loading import load
from mmsapiens.predictors.predictor import Predictor
from mmsapiens.predictors.results import Depth, Features, Normals, Parts, People, Result
from mmsapiens.predictors.tasks import (
    DepthPredictor,
    FeaturePredictor,
    NormalPredictor,
    PartSegmenter,
    PosePredictor,
)

__all__ = [
    "Depth",
    "DepthPredictor",
    "FeaturePredictor",
    "Features",
    "NormalPredictor",
    "Normals",
    "PartSegmenter",
    "Parts",
    "People",
    "PosePredictor",
    "Predictor",
    "Result",
    "load",
]
