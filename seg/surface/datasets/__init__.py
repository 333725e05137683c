"""Datasets of images with a mask and a map of the surface inside it."""

from seg.surface.datasets.depth import DepthGeneralDataset, RenderPeopleDataset
from seg.surface.datasets.normal import NormalGeneralDataset, NormalRenderPeopleDataset

__all__ = [
    "DepthGeneralDataset",
    "NormalGeneralDataset",
    "NormalRenderPeopleDataset",
    "RenderPeopleDataset",
]
