"""What a config says once is filled in elsewhere."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, PARAM_SCHEDULERS

from engine.config import load_config
from engine.config.derive import fill_checkpointing, fill_schedule, fill_sizes
from engine.errors import ConfigError


def test_the_model_evaluates_in_the_precision_of_its_training(face_config):
    assert face_config().model.eval_dtype == "bfloat16"
    assert face_config(optim_wrapper__dtype="float32").model.eval_dtype == "float32"
    assert face_config(model__eval_dtype="float32").model.eval_dtype == "float32"


def test_who_loads_a_config_may_say_its_precision_of_evaluation(root):
    """As mmsapiens test does; what the config or an option says goes before."""
    for path in sorted((root / "configs").glob("*/*/sapiens_0.3b_*.py")):
        assert load_config(path, eval_dtype="float32").model.eval_dtype == "float32", path
        options = {"model.eval_dtype": "bfloat16"}
        assert load_config(path, options, eval_dtype="float32").model.eval_dtype == "bfloat16"


def test_the_model_knows_which_labels_a_mirror_exchanges(face_config):
    assert face_config().model.swap_seg_labels == ((3, 4), (5, 6), (7, 8))
    assert face_config(model__swap_seg_labels=[]).model.swap_seg_labels == []


def test_the_first_dataset_says_which_labels_a_mirror_exchanges(face_config):
    def own(pairs):
        return dict(classes=("Left_eye", "Right_eye", "Nose"), flip_pairs=pairs)

    splits = {"train": [("Left_eye", "Right_eye")], "val": [], "test": []}
    options = {
        f"{split}_dataloader__dataset__metainfo": own(pairs) for split, pairs in splits.items()
    }
    cfg = face_config(model__decode_head__num_classes=3, **options)
    assert cfg.model.swap_seg_labels == ((0, 1),)


def test_activation_checkpointing_reaches_every_part_that_has_it(face_config):
    cfg = face_config(activation_checkpointing=True)
    assert cfg.model.backbone.activation_checkpointing
    assert cfg.model.decode_head.activation_checkpointing
    assert "activation_checkpointing" not in cfg, "MMEngine reads another thing there"


def test_the_keypoint_set_is_said_once(root):
    name = "configs/pose/synthetic/sapiens_tiny_synthetic_goliath-192x144.py"
    cfg = load_config(root / name)
    assert cfg.train_dataloader.dataset.metainfo == "goliath" == cfg.val_evaluator.metainfo


def test_a_schedule_that_leaves_out_by_epoch_is_one_by_epoch():
    """As MMEngine takes it to be; what is by iteration keeps its own end."""
    schedules = [dict(type="PolyLR"), dict(type="LinearLR", by_epoch=False, end=5)]
    cfg = Config({"train_cfg": dict(max_epochs=7), "param_scheduler": schedules})
    fill_schedule(cfg)
    assert [schedule["end"] for schedule in cfg.param_scheduler] == [7, 5]
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = PARAM_SCHEDULERS.build({**cfg.param_scheduler[0], "optimizer": optimizer})
    assert scheduler.by_epoch and scheduler.end == 7


@pytest.mark.parametrize(
    "given", [dict(type="PolyLR"), (dict(type="PolyLR"),)], ids=["dict", "tuple"]
)
def test_a_schedule_ends_with_the_training_alone_and_in_a_tuple_too(given):
    cfg = Config({"train_cfg": dict(max_epochs=7), "param_scheduler": given})
    fill_schedule(cfg)
    schedule = cfg.param_scheduler if isinstance(given, dict) else cfg.param_scheduler[0]
    assert schedule["end"] == 7


def test_activation_checkpointing_without_a_part_that_has_it_is_an_error():
    cfg = Config({"model": {"type": "Linear"}, "activation_checkpointing": True})
    with pytest.raises(ConfigError, match=r"no part of Linear has this switch\. Remove the key"):
        fill_checkpointing(cfg, [])


def test_every_second_layer_may_be_recomputed_alone(face_config, count_calls):
    """A head, which has no list of layers, recomputes all."""
    cfg = face_config(activation_checkpointing=dict(every=2))
    assert cfg.model.backbone.activation_checkpointing == 2
    assert cfg.model.decode_head.activation_checkpointing is True
    backbone = MODELS.build({**cfg.model.backbone, "_scope_": "seg"})
    calls = count_calls(backbone.layers)
    backbone(torch.rand(1, 3, *cfg.input_size_hw))[0].sum().backward()
    assert calls == [2 - i % 2 for i in range(len(backbone.layers))]


@pytest.mark.parametrize("category", ["person", 0])
def test_the_metric_follows_the_category_of_its_dataset(root, category):
    name = "configs/pose/synthetic/sapiens_tiny_synthetic_coco-192x144.py"
    cfg = load_config(root / name, {"val_dataloader.dataset.category": category})
    assert cfg.val_evaluator.category == category and "category" not in cfg.test_evaluator
    options = {"val_dataloader.dataset.category": category, "val_evaluator.category": "dog"}
    assert load_config(root / name, options).val_evaluator.category == "dog"


@pytest.mark.parametrize("size", [(64, 0), (0, 48), (64, -1), (64, 48, 3), (64,), (64.0, 48), 0])
def test_an_input_size_that_is_none(size):
    cfg = Config({"input_size_hw": size})
    with pytest.raises(ConfigError, match=r"input_size_hw: expected \(height, width\) in pixels"):
        fill_sizes(cfg, [])


def test_an_input_size_may_be_one_number_or_not_be_given():
    fill_sizes(Config({}), [])
    fill_sizes(Config({"input_size_hw": 64}), [])
    fill_sizes(Config({"input_size_hw": (1, 1)}), [])
