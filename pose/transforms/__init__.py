"""Transforms of top-down pose: which part of the image a person's crop shows, and damage to it."""

from pose.transforms import boxes, damage  # noqa: F401
