import importlib

import mmcv.transforms
import pytest
from mmengine.registry import TRANSFORMS

import engine.data


@pytest.mark.parametrize("name", ["Resize", "RandomResize", "RandomFlip"])
def test_names_shared_with_mmcv_mean_the_lazy_transforms(name):
    importlib.import_module("mmcv.transforms")
    assert TRANSFORMS.get(name) is getattr(engine.data, name)
    assert getattr(mmcv.transforms, name) is not getattr(engine.data, name)


def test_other_names_cannot_be_taken_twice():
    class Warp:
        pass

    with pytest.raises(KeyError, match="Warp"):
        TRANSFORMS.register_module(module=Warp)
