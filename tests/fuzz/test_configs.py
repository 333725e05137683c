"""Whatever stands in a config, a training begins, or an error of ours says what is wrong.

Random places of the shipped configs get values of wrong types and ranges, misspelt names, or are
taken out. What ``mmsapiens train`` does before its first step follows, on the meta device.
"""

from __future__ import annotations

import copy
import multiprocessing
import random
import re
import signal
import string
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from engine.config import load_config
from engine.errors import MMSapiensError
from engine.optim import AutocastOptimWrapper
from engine.runner import Runner
from mmsapiens.preflight.start import check_data_roots, check_runs, check_weights_exist
from mmsapiens.synthetic.layouts import LAYOUTS
from mmsapiens.synthetic.write_dataset import write_split

ROOT = Path(__file__).resolve().parents[2]
CASES = 40
SECONDS = 60
"""Longer than any start takes: what takes more hangs."""
FOLDERS = {
    "synthetic_face": "face",
    "synthetic_parts": "goliath",
    "synthetic_depth": "depth",
    "synthetic_normal": "normal",
    "synthetic_coco": "coco",
}
"""Of the rendered data -> its layout."""
CONFIGS: dict[str, dict[str, Any]] = {
    "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144": {},
    "seg/synthetic_parts/sapiens_tiny_synthetic_parts-192x144": {},
    "depth/synthetic/sapiens_tiny_synthetic_depth-192x144": {},
    "normal/synthetic/sapiens_tiny_synthetic_normal-192x144": {},
    "pose/synthetic/sapiens_tiny_synthetic_coco-192x144": {},
    "pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256": {"data_root": "synthetic_face"},
    "seg/face/sapiens_0.3b_face-1024x768": {"data_root": "synthetic_face", "data.val_ratio": 0.5},
    "normal/general/sapiens_2b_normal_general-1024x768": {
        "data_root": "synthetic_normal",
        "data.val_ratio": 0.5,
    },
}
"""With what makes them find the rendered data, below its folder."""
WRONG: list[Any] = [
    5, -1, 0, 10**9, 0.5, -0.5, 1e30, float("nan"), float("inf"), "abc", "", None, True, False, [],
    {}, [1, 2], [-1, 0.5], ["a", None], {"a": 1}, {"type": "nothing"}, [[]], (3,), [{}],
]  # fmt: skip


class DryRunner(Runner):
    """Does all that comes before the first step, and allocates nothing."""

    def build_model(self, model: Any) -> torch.nn.Module:
        with torch.device("meta"):
            return super().build_model(model)

    def wrap_model(self, model_wrapper_cfg: Any, model: torch.nn.Module) -> torch.nn.Module:
        return model

    def _init_model_weights(self) -> None:
        pass

    def _maybe_compile(self, target: str) -> None:
        raise Begun


class Begun(Exception):
    """The first step would come next."""


class Hangs(BaseException):
    """Nothing came of it in time."""


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Configs as they are after loading, for rendered data."""
    root = tmp_path_factory.mktemp("data")
    for folder, name in FOLDERS.items():
        for split in LAYOUTS[name].splits:
            list(write_split(LAYOUTS[name], root / folder, split, 4, seed=0, size_hw=(32, 32)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_ROOT", str(root))
        return {name: resolved(name, options, root) for name, options in CONFIGS.items()}


def resolved(name: str, options: dict[str, Any], root: Path) -> dict:
    places = {"data_root": str(root / options["data_root"])} if "data_root" in options else {}
    cfg = load_config(ROOT / f"configs/{name}.py", {**options, **places}).to_dict()
    cfg["model"]["backbone"].pop("init_cfg", None)  # released weights, which are not here
    return cfg


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yields the keys that lead to each value of a config."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def with_lists(value: Any) -> Any:
    """Returns a copy in which all tuples are lists, whose items can be exchanged."""
    if isinstance(value, dict):
        return {key: with_lists(item) for key, item in value.items()}
    return [with_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def damage(cfg: dict, rng: random.Random) -> str:
    """Makes one place of a config wrong; returns what was done."""
    path = rng.choice(list(places(cfg)))
    parent = cfg
    for key in path[:-1]:
        parent = parent[key]
    key, where = path[-1], ".".join(map(str, path))
    kind = rng.choice(["value"] * 6 + ["key", "gone", "letter"])
    if kind == "key" and isinstance(key, str):
        parent[misspelt(key, rng)] = parent.pop(key)
    elif kind == "gone":
        del parent[key]
    elif kind == "letter" and isinstance(parent[key], str):
        parent[key] = misspelt(parent[key], rng)
    else:
        parent[key], kind = copy.deepcopy(rng.choice(WRONG)), "value"
    return f"{where}: {kind} {parent.get(key) if isinstance(parent, dict) else parent}"


def misspelt(word: str, rng: random.Random) -> str:
    """Exchanges, drops or adds a letter."""
    at = rng.randrange(len(word) + 1)
    letter = rng.choice([x for x in string.ascii_lowercase if x != word[at : at + 1]])
    return word[:at] + letter + word[at + rng.randrange(2) :]


def written(cfg: dict, path: Path) -> Path:
    lines = "".join(f"{key} = {value!r}\n" for key, value in cfg.items())
    path.write_text(re.sub(r"(?<![\w'])(nan|inf)(?![\w'])", r'float("\1")', lines))
    return path


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def end_of(path: Path, work_dir: Path) -> str:
    """Does what ``mmsapiens train`` does up to its first step; returns what came of it."""
    DefaultScope._instance_dict.clear()
    MMLogger._instance_dict.clear()
    try:
        with time_limit(SECONDS):
            cfg = load_config(path)
            check_runs(cfg, "train")
            cfg.launcher = "none"
            cfg.work_dir = cfg.experiment_name = str(work_dir)
            check_data_roots(cfg)
            check_weights_exist(cfg)
            DryRunner.from_cfg(cfg).train()
    except Begun:
        return "accepted"
    except MMSapiensError as error:
        return f"error: {error}"
    except Hangs:
        return "hang"
    except Exception:
        return f"traceback: {traceback.format_exc()}"
    raise AssertionError("the training did not begin, and nothing said why")


@pytest.fixture
def same_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what a runner sets for the whole process."""
    method, benchmark = multiprocessing.get_start_method(True), torch.backends.cudnn.benchmark
    monkeypatch.setattr(AutocastOptimWrapper, "device_type", "cpu")  # of what is on no device
    yield
    multiprocessing.set_start_method(method, force=True)
    torch.backends.cudnn.benchmark = benchmark


def test_all_that_is_wrong_is_said(configs, tmp_path, request, same_state, record_property):
    ends: dict[str, list[str]] = {"error": [], "accepted": [], "traceback": [], "hang": []}
    for seed in range(request.config.getoption("--fuzz", default=None) or CASES):
        rng = random.Random(seed)
        name = rng.choice(list(configs))
        cfg = with_lists(configs[name])
        done = damage(cfg, rng)
        end = end_of(written(cfg, tmp_path / f"case{seed}.py"), tmp_path / f"run{seed}")
        ends[end.partition(":")[0]].append(f"case {seed}, {name}: {done}: {end}")
    for kind, cases in ends.items():
        record_property(kind, len(cases))
    assert not ends["traceback"] + ends["hang"], "\n".join(ends["traceback"] + ends["hang"])
    assert len(ends["error"]) > len(ends["accepted"]), "most of it is wrong, and found to be"
