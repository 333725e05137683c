"""Transforms of top-down pose: which part of the image a person's crop shows, and damage to it."""
# ruff: noqa: F401

from pose.transforms.boxes import (
    GetBBoxCenterScale,
    RandomBBoxTransform,
    RandomHalfBody,
    RequireKeypoints,
    TopdownAffine,
)
from pose.transforms.damage import CoarseDropout, RandomBlur
