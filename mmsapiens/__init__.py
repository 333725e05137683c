"""What stands above the tasks: the command, models in Python, synthetic people, checks, benchmarks.

    import mmsapiens

    model = mmsapiens.load("work_dirs/.../epoch_12.pth")
    result = model("photo.jpg")
    result.save("out/")

See :mod:`mmsapiens.predictors` and docs/python.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmsapiens.predictors import (
        DepthPredictor,
        FeaturePredictor,
        NormalPredictor,
        PartSegmenter,
        PosePredictor,
        load,
    )

__version__ = "0.2.0"
__all__ = [
    "DepthPredictor",
    "FeaturePredictor",
    "NormalPredictor",
    "PartSegmenter",
    "PosePredictor",
    "load",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for only then: the command's --help needs no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("mmsapiens.predictors"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
