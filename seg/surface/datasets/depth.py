"""Images with masks and depth."""

from __future__ import annotations

from typing import Any, ClassVar

from engine.errors import ConfigError
from seg.registry import DATASETS
from seg.surface.datasets.masked import MaskedDataset


@DATASETS.register_module()
class DepthGeneralDataset(MaskedDataset):
    """``images/``, ``masks/`` and ``depths/``: npy (H, W), exr, or grey png of 16 bits.

    Larger is farther, in any unit: training takes it relative to the mask of each picture.

    Args:
        depth_scale: Factor of all depths, such as 0.001 for png files in millimetres.
        **kwargs: See :class:`seg.surface.datasets.masked.MaskedDataset`.
    """

    folders: ClassVar = ("images", "masks", "depths")
    map_name = "depth"
    map_suffixes = (".npy", ".exr", ".png")

    def __init__(self, depth_scale: float = 1.0, **kwargs: Any) -> None:
        if not depth_scale > 0:
            raise ConfigError(f"depth_scale is positive, larger is farther; found {depth_scale!r}.")
        self.file_options = {"depth_scale": depth_scale}
        super().__init__(**kwargs)


@DATASETS.register_module()
class RenderPeopleDataset(DepthGeneralDataset):
    """The same as ``rgb/``, ``mask/`` and ``depth/``."""

    folders: ClassVar = ("rgb", "mask", "depth")
