"""What a run needs must be there when it starts."""

from pathlib import Path

import pytest

from engine.config import load_config
from engine.errors import ConfigError
from mmsapiens.preflight.start import check_data_roots, check_runs

FACE = "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"


@pytest.fixture
def load(root):
    return lambda options=None: load_config(root / FACE, options)


@pytest.mark.parametrize(
    ("verb", "options", "text"),
    [
        ("train", {"optim_wrapper": None}, "there is no optim_wrapper, beside train_dataloader"),
        ("train", {"val_evaluator": None}, "there is no val_evaluator, beside val_dataloader"),
        ("train", {"train_dataloader.sampler": None}, None),
        (
            "test",
            dict.fromkeys(("test_dataloader", "test_cfg", "test_evaluator")),
            "there is no test_dataloader and no test_cfg and no test_evaluator, which ",
        ),
    ],
)
def test_sections_that_belong_together(load, verb, options, text):
    cfg = load(options)
    if text is None:
        del cfg.train_dataloader["sampler"], cfg.val_dataloader["dataset"]
        text = r'train_dataloader: there is no sampler\. Give sampler=dict\(type="SeededSampler"'
    with pytest.raises(ConfigError, match=text):
        check_runs(cfg, verb)
    check_runs(load({}), verb)


def test_a_model_for_features_is_not_trained(root):
    path = root / "configs/pretrain/features/sapiens_0.3b_features-1024x1024.py"
    with pytest.raises(ConfigError, match=r"no train_cfg and no optim_wrapper, which mmsapiens"):
        check_runs(load_config(path), "train")


def test_folders_of_datasets_must_be_there(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA_ROOT", raising=False)
    cfg = load({"test_dataloader.dataset.data_root": "here"})
    with pytest.raises(ConfigError) as error:
        check_data_roots(cfg)
    message = str(error.value)
    for part in (Path(FACE).name, "train_dataloader.dataset.data_root", '"data/', "DATA_ROOT"):
        assert part in message
    Path("here").mkdir()
    check_data_roots(cfg, splits=["test"])
    with pytest.raises(ConfigError, match=r"val_dataloader\.dataset\.data_root"):
        check_data_roots(cfg, splits=["test", "val"])

    cfg = load()
    Path("elsewhere", *Path(cfg.train_dataloader.dataset.data_root).parts[1:]).mkdir(parents=True)
    monkeypatch.setenv("DATA_ROOT", "elsewhere")
    check_data_roots(load())
