"""Where a model runs."""

import pytest
import torch

from engine.device import find_device
from engine.errors import ConfigError


@pytest.mark.parametrize("name", [None, "auto"])
def test_the_gpu_if_there_is_one(name):
    assert find_device(name).type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_device_that_is_named():
    assert find_device("cpu") == find_device(torch.device("cpu")) == torch.device("cpu")
    assert find_device("meta").type == "meta"


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "auto:1"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(ConfigError, match=f"^device {name}: "):
        find_device(name)
