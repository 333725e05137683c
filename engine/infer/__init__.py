"""From a config, a checkpoint and images to files on disk; the same for every task."""

from engine.infer.images import InputImage, check_results, find_images
from engine.infer.model import dataset_meta_of, init_model
from engine.infer.predict import Failure, predict_images
from engine.infer.results import Results
from engine.infer.writer import Writer, build_writer

__all__ = [
    "Failure",
    "InputImage",
    "Results",
    "Writer",
    "build_writer",
    "check_results",
    "dataset_meta_of",
    "find_images",
    "init_model",
    "predict_images",
]
