"""From records on disk to normalised batches; importing it registers everything it holds."""
# ruff: noqa: F401

from engine.data.dataset import BaseDataset
from engine.data.fields import FIELDS, Field
from engine.data.geometric import (
    RandomCrop,
    RandomFlip,
    RandomResize,
    RandomResizedCrop,
    RandomRotate,
    Resize,
)
from engine.data.loading import LoadImage, LoadLabels
from engine.data.packing import PackInputs, collate_samples
from engine.data.photometric import PhotoMetricDistortion
from engine.data.preprocessor import DataPreprocessor
from engine.data.sample import DataSample, Sample
from engine.data.sampling import SampleKey, SeededSampler
from engine.data.warp import Warp
