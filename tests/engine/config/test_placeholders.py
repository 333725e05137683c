"""What stands for a value never becomes source."""

import pytest

from engine.config import load_config
from engine.errors import ConfigError

SOURCE = """
default_scope = "seg"
root = "{{$MY_DATA:data}}/faces"
train_dataloader = dict(
    batch_size={{'$MY_BATCH:2'}},
    num_workers={{"$MY_WORKERS:0"}},
    dataset=dict(type="FaceDataset", data_root=root, val_list=f"{root}/{{$MY_DATA:data}}.txt"),
)
work_dir = "{{ fileDirname }}/{{ fileBasenameNoExtension }}{{fileExtname}}"
log_level = "{{$MY_LEVEL:INFO}}"  # or {{$NOT_SET:}}
"""


@pytest.fixture
def load(tmp_path):
    def load(source=SOURCE, name="face.py", folder=tmp_path):
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(source)
        return load_config(folder / name)

    return load


def test_defaults(load, tmp_path):
    cfg = load()
    assert cfg.train_dataloader.batch_size == 2 and cfg.train_dataloader.num_workers == 0
    assert cfg.train_dataloader.dataset.data_root == "data/faces"
    assert cfg.train_dataloader.dataset.val_list == "data/faces/data.txt"
    assert cfg.work_dir == (tmp_path / "face.py").as_posix()
    assert cfg.env_variables == {}


VALUES = [
    'a"b',
    "a'b",
    "a\\b",
    "C:\\new\\table",
    "a\nb",
    "{{ fileBasename }}",
    '"); import os; os.mkdir("ran"); ("',
]


@pytest.mark.parametrize("value", VALUES)
def test_any_value_arrives_as_it_is(load, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_DATA", value)
    cfg = load()
    assert cfg.train_dataloader.dataset.data_root == f"{value}/faces"
    assert cfg.train_dataloader.dataset.val_list == f"{value}/faces/{value}.txt"
    assert cfg.env_variables == {"MY_DATA": value}
    assert not (tmp_path / "ran").exists()


def test_a_bare_placeholder_is_a_literal_or_else_a_string(load, monkeypatch):
    monkeypatch.setenv("MY_BATCH", "16")
    assert load().train_dataloader.batch_size == 16
    monkeypatch.setenv("MY_BATCH", "open('ran', 'w')")
    with pytest.raises(ConfigError, match="open"):
        load()


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_other_kinds_of_files(load, suffix, monkeypatch):
    monkeypatch.setenv("MY_DATA", 'a"b\\')
    source = '{"work_dir": "{{$MY_DATA:data}}/x", "randomness": {"seed": 3}}'
    assert load(source, f"a.{suffix}").to_dict() == {
        "work_dir": 'a"b\\/x',
        "randomness": {"seed": 3},
    }


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.toml"])
def test_files_that_cannot_be_read(load, name):
    with pytest.raises(ConfigError, match=name):
        load('{"work_dir": "x', name)


def test_a_folder_with_a_quote_in_its_name(load, tmp_path):
    folder = tmp_path / 'it\'s "mine"'
    assert load(folder=folder).work_dir == (folder / "face.py").as_posix()


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set(load, value, monkeypatch):
    if value is not None:
        monkeypatch.setenv("MY_DATA", value)
    with pytest.raises(ConfigError, match=r"face\.py: the environment variable MY_DATA is not set"):
        load(SOURCE.replace("$MY_DATA:data", "$MY_DATA:"))
