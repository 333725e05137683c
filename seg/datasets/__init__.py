"""Datasets of images with a label map each."""

from seg.datasets.combined import CombinedDataset
from seg.datasets.depth import DepthGeneralDataset, RenderPeopleDataset
from seg.datasets.face import FaceDataset
from seg.datasets.folder import SegFolderDataset
from seg.datasets.goliath import GoliathDataset
from seg.datasets.lip import CIHPDataset, LIPDataset
from seg.datasets.normal import NormalGeneralDataset, NormalRenderPeopleDataset
from seg.datasets.seg_dataset import SegDataset

__all__ = [
    "CIHPDataset",
    "CombinedDataset",
    "DepthGeneralDataset",
    "FaceDataset",
    "GoliathDataset",
    "LIPDataset",
    "NormalGeneralDataset",
    "NormalRenderPeopleDataset",
    "RenderPeopleDataset",
    "SegDataset",
    "SegFolderDataset",
]
