"""A name means the same in all layers of a config."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError

BASE = """
default_scope = "seg"
max_epochs = 200
data_root = "{{$MY_DATA:data}}/faces"
scale_range = (0.2, 2.0)
before_geometry = []
train_pipeline = [
    dict(type="LoadImage"),
    *before_geometry,
    dict(type="RandomResize", ratio_range=scale_range, size_hw=(8, 8)),
]
test_pipeline = [dict(type="LoadImage")]
data = dict(type="FaceDataset", data_root=data_root, val_ratio=0.02)
train_dataloader = dict(batch_size=2, dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(batch_size=2, dataset=dict(**data, pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
"""


@pytest.fixture
def load(tmp_path):
    """Loads the last of some files, each of which has the one before as its base."""

    def load(*files, options=None):
        files = (BASE, *files)
        for number, text in enumerate(files):
            base = f"_base_ = ['layer{number - 1}.py']\n" if number else ""
            (tmp_path / f"layer{number}.py").write_text(base + text)
        return load_config(tmp_path / f"layer{len(files) - 1}.py", options)

    return load


@pytest.mark.parametrize(
    ("leaf", "place", "expected"),
    [
        ("max_epochs = 5", "train_cfg.max_epochs", 5),
        ("data_root = 'x'", "train_dataloader.dataset.data_root", "x"),
        ("data_root = 'x'", "test_dataloader.dataset.data_root", "x"),
        ("data = dict(val_ratio=0.5)", "train_dataloader.dataset.val_ratio", 0.5),
        ("data = dict(val_ratio=0.5)", "test_dataloader.dataset.type", "FaceDataset"),
        ("scale_range = (1, 1)", "train_dataloader.dataset.pipeline.1.ratio_range", (1, 1)),
        (
            "train_pipeline = [dict(type='Warp')]",
            "train_dataloader.dataset.pipeline.0.type",
            "Warp",
        ),
        (
            "before_geometry = [dict(type='LoadLabels')]",
            "train_dataloader.dataset.pipeline.1.type",
            "LoadLabels",
        ),
        ("val_dataloader = dict(batch_size=8)", "test_dataloader.batch_size", 8),
        ("val_dataloader = dict(batch_size=8)", "test_dataloader.dataset.val_ratio", 0.02),
        ("half = 3\nmax_epochs = 2 * half", "train_cfg.max_epochs", 6),
    ],
)
def test_what_a_leaf_says_reaches_all_that_a_base_makes_of_it(load, leaf, place, expected):
    for files in ((leaf,), ("", leaf), (leaf, "")):
        assert at(load(*files), place) == expected


@pytest.mark.parametrize(
    ("options", "place", "expected"),
    [
        ({"max_epochs": 5}, "train_cfg.max_epochs", 5),
        ({"data.val_ratio": 0.3}, "test_dataloader.dataset.val_ratio", 0.3),
        ({"data_root": "x", "data.val_ratio": 0.3}, "test_dataloader.dataset.data_root", "x"),
        (
            {"train_pipeline.1.ratio_range": [1, 1]},
            "train_dataloader.dataset.pipeline.1.ratio_range",
            [1, 1],
        ),
        ({"train_dataloader.batch_size": 4}, "train_dataloader.batch_size", 4),
        ({"val_dataloader.batch_size": 4}, "test_dataloader.batch_size", 2),
        (
            {"train_dataloader.dataset.pipeline.1.ratio_range": [1, 1]},
            "train_dataloader.dataset.pipeline.1.ratio_range",
            [1, 1],
        ),
    ],
)
def test_options_are_the_topmost_layer(load, options, place, expected):
    assert at(load("max_epochs = 7", options=options), place) == expected


def test_the_topmost_layer_wins(load):
    cfg = load("max_epochs = 5\ndata = dict(val_ratio=0.1)", "max_epochs = 6\ndata_root = 'x'")
    assert cfg.train_cfg.max_epochs == 6
    assert cfg.test_dataloader.dataset == {
        "type": "FaceDataset",
        "data_root": "x",
        "val_ratio": 0.1,
        "pipeline": [{"type": "LoadImage"}],
    }


def test_delete_replaces_in_the_base(load):
    data = "data = dict(_delete_=True, type='LIPDataset', data_root='lip')"
    cfg = load(data, "data = dict(data_root='cihp')")
    assert cfg.test_dataloader.dataset.to_dict() == {
        "type": "LIPDataset",
        "data_root": "cihp",
        "pipeline": [{"type": "LoadImage"}],
    }


def test_a_later_base_is_above_an_earlier_one(tmp_path):
    (tmp_path / "data.py").write_text(BASE)
    (tmp_path / "trial.py").write_text("max_epochs = 3\nval_dataloader = dict(batch_size=1)")
    (tmp_path / "leaf.py").write_text("_base_ = ['data.py', 'trial.py']")
    cfg = load_config(tmp_path / "leaf.py")
    assert cfg.train_cfg.max_epochs == 3 and cfg.test_dataloader.batch_size == 1


def test_what_is_changed_in_place_reaches_the_base(load):
    leaf = "data = dict()\ndata['val_ratio'] = 0.4\ndata.update(data_root='y')"
    assert load(leaf).test_dataloader.dataset.data_root == "y"


def test_what_follows_from_the_bases_is_merged_as_ever(load):
    leaf = """
train_pipeline = [dict(type="LoadImage"), *{{_base_.train_pipeline}}[1:], dict(type="Warp")]
copied = train_pipeline
train_dataloader = dict(batch_size=9, dataset=dict(pipeline=copied))
root = {{_base_.data_root}}
val_dataloader = dict(dataset=dict(data_root=root + "/val"))
"""
    cfg = load(leaf, options={"max_epochs": 4})
    assert [t.type for t in cfg.train_dataloader.dataset.pipeline][-2:] == ["RandomResize", "Warp"]
    assert cfg.train_dataloader.batch_size == 9 and cfg.train_cfg.max_epochs == 4
    assert cfg.val_dataloader.dataset.data_root == "data/faces/val"
    assert cfg.test_dataloader.dataset.data_root == "data/faces"


def test_what_needs_the_bases_takes_no_other_name_with_it(load):
    leaf = """
seeds = dict(b=3)
seeds.update(dict(a=len({{_base_.data_root}})))
randomness = dict(seed=seeds["a"])
max_epochs = dict(n=5)["n"]
"""
    cfg = load(leaf)
    assert cfg.randomness.seed == len("data/faces") and cfg.train_cfg.max_epochs == 5


def test_an_option_that_a_layer_above_undoes_is_an_error(load):
    leaf = "train_cfg = dict(max_epochs=7)"
    with pytest.raises(ConfigError, match='option "max_epochs" changes nothing'):
        load(leaf, options={"max_epochs": 3})
    assert load(options={"max_epochs": 200}).train_cfg.max_epochs == 200, "as it is"


def test_a_base_is_not_changed_through_its_placeholder(load):
    leaf = """
pipeline = {{_base_.test_pipeline}}
pipeline.append(dict(type="Warp"))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
"""
    cfg = load(leaf)
    assert len(cfg.val_dataloader.dataset.pipeline) == 2
    assert len(cfg.test_dataloader.dataset.pipeline) == 1


def test_environment_variables(load, monkeypatch):
    monkeypatch.setenv("MY_DATA", "/mnt")
    assert load().train_dataloader.dataset.data_root == "/mnt/faces"
    cfg = load("data_root = '{{$MY_DATA:data}}/heads'")
    assert cfg.train_dataloader.dataset.data_root == "/mnt/heads"
    assert cfg.env_variables == {"MY_DATA": "/mnt"}


def test_a_config_that_was_written_down_loads_again(load, tmp_path):
    cfg = load("max_epochs = 5")
    cfg.dump(tmp_path / "dumped.py")
    assert load_config(tmp_path / "dumped.py").to_dict() == cfg.to_dict()
    assert "data_root" not in cfg, "the variables are spent"


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (
            "data = dict(val_ratio=dict(a=1))",
            r"layer0\.py: data\.val_ratio: .* 0\.02\. Add _delete_",
        ),
        ("train_cfg = dict(max_epochs=dict(a=1))", r"layer0\.py: train_cfg\.max_epochs: "),
        ("lr = 1 / 0", r"layer1\.py, line 2: ZeroDivisionError"),
        ("x = '{{_base_.data_root}}'", r"layer1\.py: invalid syntax .*line 2"),
        ('x = "{{_base_.data_root}}/x"', r"layer1\.py, line 2: a placeholder stands inside quotes"),
        ("x = {{_base_.dataroot}}", r"layer1\.py, line 2: KeyError: 'dataroot'"),
        ("_base_ = [scale_range]", r"layer1\.py, line 2: _base_ is a list of file names"),
        ("_base_ = ['layer1.py']", r"layer1\.py: the file is among its own bases"),
    ],
)
def test_errors_name_the_file_and_the_key(load, leaf, message):
    with pytest.raises(ConfigError, match=message):
        load(leaf)


def at(cfg, place):
    value = cfg.to_dict()
    for key in place.split("."):
        value = value[int(key) if isinstance(value, list) else key]
    return value


@pytest.mark.parametrize("turned", [False, True], ids=["last", "first"])
def test_what_options_delete_lies_below_them_wherever_they_stand(load, turned):
    options = {
        "train_dataloader.dataset.type": "FaceDataset",
        "train_dataloader.dataset.data_root": "own",
        "train_dataloader.dataset._delete_": True,
    }
    options = dict(reversed(options.items())) if turned else options
    dataset = load(options=options).train_dataloader.dataset
    assert dict(dataset) == {"type": "FaceDataset", "data_root": "own"}


@pytest.mark.parametrize(
    "options",
    [
        {"auto_scale_lr": None, "auto_scale_lr.base_batch_size": 8},
        {"auto_scale_lr._delete_": True, "auto_scale_lr.base_batch_size": 8},
    ],
)
def test_options_that_delete_what_is_not_there(load, options):
    assert dict(load(options=options).auto_scale_lr) == {"base_batch_size": 8}
