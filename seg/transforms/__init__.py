"""Transforms that only dense tasks need."""

from seg.transforms.targets import GenerateDepthTarget, GenerateNormalTarget

__all__ = ["GenerateDepthTarget", "GenerateNormalTarget"]
