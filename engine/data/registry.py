"""Registration of the transforms, which share three names with MMCV's eager ones."""

from __future__ import annotations

from typing import TypeVar

import mmcv.transforms  # noqa: F401  MMCV registers first, so that importing it later changes nothing
from mmengine.registry import TRANSFORMS

T = TypeVar("T", bound=type)


def register_transform(cls: T) -> T:
    """Registers a transform of this project in MMEngine's root registry, under its class name.

    MMCV puts its transforms into the same registry. Its ``Resize``, ``RandomResize`` and
    ``RandomFlip`` move pixels at once and know nothing of ``matrix``, so ours replace them there:
    a config's ``RandomResize`` means the lazy one in every scope. MMCV's classes stay importable
    from ``mmcv.transforms``. Any other name that is taken is an error, as usual.
    """
    known = TRANSFORMS.module_dict.get(cls.__name__)
    is_mmcvs = known is not None and known.__module__.startswith("mmcv.")
    TRANSFORMS.register_module(module=cls, force=is_mmcvs)
    return cls
