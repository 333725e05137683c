"""Datasets of images with a label map each."""
# ruff: noqa: F401

from seg.parts.datasets.combined import CombinedDataset
from seg.parts.datasets.face import FaceDataset
from seg.parts.datasets.goliath import GoliathDataset
from seg.parts.datasets.lip import CIHPDataset, LIPDataset
from seg.parts.datasets.seg_dataset import SegDataset, SegFolderDataset
