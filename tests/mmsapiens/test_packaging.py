"""What setup.py ships."""

import importlib.util

import pytest

import mmsapiens
from mmsapiens.shipped import CONFIGS, SCRIPTS
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def setup():
    spec = importlib.util.spec_from_file_location("setup_of_mmsapiens", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        spec.loader.exec_module(module)
    return module


def test_no_config_or_script_is_left_out(setup):
    for folder, globs in setup.SHIPPED.items():
        shipped = {path for pattern in globs for path in (ROOT / folder).glob(pattern)}
        files = {path for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert shipped == {path for path in files if path.suffix != ".pyc"}


def test_the_version_is_that_of_the_package(setup):
    assert setup.VERSION[1] == mmsapiens.__version__


def test_a_checkout_has_its_own_configs_and_scripts():
    assert (CONFIGS, SCRIPTS) == (ROOT / "configs", ROOT / "scripts")
