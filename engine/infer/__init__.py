"""From a config, a checkpoint and images to files on disk; the same for every task."""
# ruff: noqa: F401

from engine.infer.collisions import check_results
from engine.infer.images import ImageList, InputImage
from engine.infer.inputs import find_images
from engine.infer.manifest import Manifest, fingerprint
from engine.infer.predict import (
    Failure,
    ImageFiles,
    dataset_meta,
    init_model,
    predict_images,
    try_predict,
)
from engine.infer.results import Results
from engine.infer.writer import Writer, build_writer, find_writer
