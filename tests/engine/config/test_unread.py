"""What a config says and nothing reads is an error, which says where it belongs."""

import pytest
from mmengine.runner import Runner

from engine.config import load_config
from engine.config.arguments import unknown_arguments
from engine.config.unread import PLACES
from engine.config.validate import KNOWN_KEYS
from engine.config.walk import Node, typed_nodes
from engine.errors import ConfigError

BASE = """
default_scope = "seg"
data_root = "data"
train_pipeline = [dict(type="LoadImage")]
train_dataloader = dict(
    batch_size=2, dataset=dict(type="FaceDataset", data_root=data_root, pipeline=train_pipeline)
)
"""


@pytest.fixture
def load(tmp_path):
    def load(leaf, options=None):
        (tmp_path / "base.py").write_text(BASE)
        (tmp_path / "leaf.py").write_text("_base_ = ['base.py']\n" + leaf)
        return load_config(tmp_path / "leaf.py", options)

    return load


SAID = [
    ("lr", "optim_wrapper=dict(optimizer=dict(lr=...))"),
    ("batch_size", "train_dataloader=dict(batch_size=...)"),
    ("max_epochs", "train_cfg=dict(max_epochs=...)"),
    ("num_workers", "train_dataloader=dict(num_workers=...)"),
    ("seed", "randomness=dict(seed=...)"),
    ("image_size", "input_size_hw=..."),
]


@pytest.mark.parametrize(("name", "place"), SAID)
def test_a_name_that_nothing_reads_says_where_to_set_it(load, name, place):
    with pytest.raises(ConfigError) as error:
        load(f"{name} = 5")
    message = str(error.value)
    assert f'leaf.py: nothing reads the key "{name}".' in message
    assert f"Set {place} instead." in message


@pytest.mark.parametrize(("name", "place"), SAID)
def test_an_option_says_so_too(load, name, place):
    with pytest.raises(ConfigError) as error:
        load("", options={name: 5})
    message = str(error.value)
    assert f'leaf.py: option "{name}": nothing reads the key "{name}".' in message
    assert f"Set {PLACES[name]}=... instead." in message


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        ("data_rot = 'x'", 'Did you mean "data_root"'),
        ("train_pipelin = []", 'Did you mean "train_pipeline"'),
        ("my_thing = 1", "Use it in a section"),
        ("codec = 1", "Use it in a section"),
        ("my_thing = dict()\nmy_thing['a'] = 1", "Use it in a section"),
        ("a_value = 3\nb_value = a_value", '"b_value"'),
        ("cfg_name = {{_base_.data_root}}", '"cfg_name"'),
    ],
)
def test_hints(load, leaf, message):
    with pytest.raises(ConfigError, match=message):
        load(leaf)


def test_a_value_that_follows_from_the_base_must_be_used_above_it(load):
    leaf = "train_pipeline = [*{{_base_.train_pipeline}}, dict(type='Warp')]\n"
    with pytest.raises(ConfigError) as error:
        load(leaf)
    assert 'leaf.py: "train_pipeline" follows from {{_base_...}}' in str(error.value)
    assert "train_dataloader=dict(dataset=dict(pipeline=...))" in str(error.value)
    cfg = load(leaf + "train_dataloader = dict(dataset=dict(pipeline=train_pipeline))")
    assert len(cfg.train_dataloader.dataset.pipeline) == 2


@pytest.mark.parametrize(
    "leaf",
    [
        "seed = 3\nrandomness = dict(seed=seed)",
        "seeds = [3]\nrandomness = dict(seed=seeds[0])",
        "import math\nrandomness = dict(seed=int(math.sqrt(9)))",
        "def three():\n    return 3\nrandomness = dict(seed=three())",
        "for _ in range(3):\n    randomness = dict(seed=3)",
    ],
)
def test_what_is_used_is_free(load, leaf):
    assert load(leaf).randomness.seed == 3


def test_what_a_layer_above_takes_is_used(load, tmp_path):
    (tmp_path / "top.py").write_text(
        "_base_ = ['leaf.py']\nrandomness = dict(seed={{_base_.my_seed}})"
    )
    with pytest.raises(ConfigError, match="my_seed"):
        load("my_seed = 3")
    assert load_config(tmp_path / "top.py").randomness.seed == 3


def test_spent_variables_of_an_earlier_dump_are_let_pass(tmp_path):
    path = tmp_path / "dump.py"
    path.write_text("data_root = 'x'\nload_from = None\nrandomness = dict(seed=3)\n")
    assert load_config(path).to_dict() == {"load_from": None, "randomness": {"seed": 3}}
    path.write_text("randomness = dict(seed=3)\nload_from = None\ndata_root = 'x'\n")
    with pytest.raises(ConfigError, match="data_root"):
        load_config(path)


def test_other_kinds_of_files_take_no_variables(tmp_path):
    path = tmp_path / "cfg.json"
    path.write_text('{"data_root": "x", "randomness": {"seed": 3}}')
    assert load_config(path, {"randomness.seed": 4}).to_dict() == {
        "data_root": "x",
        "randomness": {"seed": 4},
    }
    with pytest.raises(ConfigError, match='option "data_root": nothing reads'):
        load_config(path, {"data_root": "y"})


@pytest.mark.parametrize("place", sorted(set(PLACES.values()) - KNOWN_KEYS))
def test_the_places_can_be_set(place, root):
    task = "pose/coco" if place == "model.metainfo" else "seg/lip"
    (path,) = (root / "configs" / task).glob("sapiens_1b_*.py")
    nodes = {node.path: node for node in typed_nodes(load_config(path))}
    nodes[""] = Node("", {}, None, Runner)
    parent, _, name = place.rpartition(".")
    while parent not in nodes:  # a plain dict in an argument, such as paramwise_cfg
        parent, _, name = parent.rpartition(".")
    node = nodes[parent]._replace(cfg={name: None})
    assert not list(unknown_arguments([node]))


class Open:
    def __init__(self, size=1, height=2, **kwargs):
        pass


@pytest.mark.parametrize(
    ("name", "meant"),
    [("sise", "size"), ("sido", None), ("heigth", "height"), ("depth", None)],
)
def test_a_constructor_that_takes_any_argument_may_mean_a_short_name(name, meant):
    said = list(unknown_arguments([Node("x", {name: 1, "type": "Open"}, None, Open)]))
    assert len(said) == bool(meant) and all(f'Did you mean "{meant}"?' in text for text in said)


def test_a_class_without_a_constructor_takes_nothing():
    bare = type("Bare", (), {})
    (said,) = unknown_arguments([Node("x", {"size": 1, "type": "Bare"}, None, bare)])
    assert said.startswith('x (Bare): nothing reads the key "size"')
