"""Datasets of images with a label map each."""

from seg.datasets.face import FaceDataset
from seg.datasets.folder import SegFolderDataset
from seg.datasets.seg_dataset import SegDataset

__all__ = ["FaceDataset", "SegDataset", "SegFolderDataset"]
