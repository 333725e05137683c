"""What a launcher must have said, and what it may not."""

from datetime import timedelta

import pytest
import torch

from engine.errors import ConfigError
from engine.launch import check_launcher, group_timeout


@pytest.fixture
def launched(monkeypatch):
    """The environment of the first of two ranks."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    for name, value in zip(names, ("0", "0", "2", "127.0.0.1", "29500"), strict=True):
        monkeypatch.setenv(name, value)


def test_without_a_launcher(launched, monkeypatch):
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("MASTER_PORT")
    with pytest.raises(ConfigError, match=r"lacks RANK, MASTER_PORT\. Start with scripts/node\.sh"):
        check_launcher("pytorch")
    with pytest.raises(ConfigError, match="start with srun"):
        check_launcher("slurm")


def test_more_processes_than_gpus(launched, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_launcher("pytorch")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ConfigError, match=r"Process 1 of this machine.* no GPU: there are 1"):
        check_launcher("pytorch")


def test_a_misspelt_timeout_is_an_error():
    with pytest.raises(ConfigError, match=r'"timeuot"\. Did you mean "timeout"'):
        group_timeout({"env_cfg": {"dist_cfg": {"timeuot": 10}}})


@pytest.mark.parametrize("seconds", ["10", 0, -1])
def test_a_timeout_is_seconds(seconds):
    with pytest.raises(ConfigError, match=r"env_cfg\.dist_cfg\.timeout: expected seconds"):
        group_timeout({"env_cfg": {"dist_cfg": {"timeout": seconds}}})


@pytest.mark.parametrize("seconds", [None, 0.5, 30])
def test_how_long_ranks_wait_for_each_other(seconds):
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert group_timeout({"env_cfg": {"dist_cfg": {"timeout": seconds}}}) == expected
    for cfg in ({}, {"env_cfg": None}, {"env_cfg": {"dist_cfg": None}}):
        assert group_timeout(cfg) is None
