"""Configs by name, and work directories that mirror them."""

from argparse import Namespace
from pathlib import Path

import pytest

from engine.errors import ConfigError
from mmsapiens.commands.configs import default_dir, load
from mmsapiens.shipped import CONFIGS, find_config, shipped_configs

NAME = "seg/face/sapiens_1b_face-1024x768"


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        f"{NAME}.py",
        f"configs/{NAME}.py",
        "sapiens_1b_face-1024x768",
        str(CONFIGS / f"{NAME}.py"),
    ],
)
def test_names_of_one_config(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == CONFIGS / f"{NAME}.py"
    assert default_dir(name) == Path("work_dirs", NAME)
    assert default_dir(name, "check") == Path("work_dirs", "check", NAME)


def test_an_existing_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / f"{NAME}.py"
    own.parent.mkdir(parents=True)
    own.touch()
    assert find_config(f"{NAME}.py").resolve() == own
    assert find_config(NAME) == CONFIGS / f"{NAME}.py"


@pytest.mark.parametrize(
    "name, message",
    [
        ("sapiens_1b_goliath-1024x768", "several configs: pose/goliath/.* and seg/goliath/"),
        ("seg/face/sapiens_1b_fac-1024x768", f"neither such a file nor .* Did you mean {NAME}"),
        ("sapiens_1b_fac-1024x768.py", f"Did you mean {NAME}"),
        ("_base_/runtime", "neither such a file"),
        ("nothing", "Shipped configs are in"),
    ],
)
def test_names_of_none_or_several(name, message):
    with pytest.raises(ConfigError, match=message):
        find_config(name)


def test_no_two_shipped_configs_share_a_work_dir():
    dirs = {name: default_dir(name) for name in shipped_configs()}
    assert len(set(dirs.values())) == len(dirs) > 50
    for a in dirs.values():
        assert not any(a in b.parents for b in dirs.values())


@pytest.mark.parametrize(
    "path, expected",
    [
        ("mine/a.b.py", "work_dirs/mine/a.b"),
        ("configs/mine/a.py", "work_dirs/mine/a"),
        ("a.py", "work_dirs/a"),
        ("../elsewhere/a.py", "work_dirs/a"),
    ],
)
def test_work_dirs_of_own_configs(path, expected, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
    for given in (path, str(Path(path).absolute())):
        assert default_dir(given) == Path(expected)


def test_the_command_line_comes_after_other_overrides():
    args = Namespace(config=NAME, cfg_options={"train_cfg.max_epochs": 3})
    cfg = load(args, {"train_cfg.max_epochs": 1, "train_cfg.val_interval": 5})
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (3, 5)
