"""A value of a wrong type or range is an error when the config is loaded; all are said at once."""

import math
import re

import pytest

from engine.config import load_config
from engine.errors import ConfigError

FACE = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
POSE = "pose/synthetic/sapiens_tiny_synthetic_coco-192x144"
FLIP = {"type": "RandomFlip", "prob": 2}


@pytest.fixture
def load(root):
    def load(options, name=FACE):
        return load_config(root / f"configs/{name}.py", options)

    return load


def said(load, options, name=FACE):
    """What is said of a config with some options, without the file's name."""
    with pytest.raises(ConfigError) as error:
        load(options, name)
    return [text.split(".py: ", 1)[1] for text in error.value.args]


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("train_dataloader.batch_size", -1, "expected a whole number >= 1, found -1."),
        ("train_dataloader.batch_size", "4", "expected a whole number >= 1, found '4'."),
        ("train_dataloader.num_workers", -1, "expected a whole number >= 0, found -1."),
        ("train_dataloader.persistent_workers", 1, "expected True or False, found 1."),
        ("train_dataloader.sampler", 5, "expected a dict or None, found 5."),
        ("train_dataloader.dataset", "FaceDataset", "expected a dict, found 'FaceDataset'."),
        ("train_dataloader.dataset.val_ratio", 2, "expected a number in [0, 1], found 2."),
        ("train_dataloader.dataset.pipeline", 5, "expected a list, each item a dict, found 5."),
        ("train_cfg", 5, "expected a dict or None, found 5."),
        ("train_cfg.max_epochs", 0, "expected a whole number >= 1, found 0."),
        ("train_cfg.val_interval", "x", "expected a whole number >= 1, found 'x'."),
        ("optim_wrapper.optimizer.lr", "abc", "expected a number >= 0, found 'abc'."),
        ("optim_wrapper.optimizer.lr", math.nan, "expected a number >= 0, found nan."),
        ("optim_wrapper.optimizer.betas", [0.9], "expected (a number in [0, 1], "),
        ("optim_wrapper.accumulative_counts", 0, "expected a whole number >= 1, found 0."),
        ("optim_wrapper.paramwise_cfg", 5, "expected a dict or None, found 5."),
        ("optim_wrapper.paramwise_cfg.layer_decay_rate", True, "expected a number in [0, 1]"),
        ("optim_wrapper.paramwise_cfg.custom_keys", {"ln": 5}, None),
        ("optim_wrapper.clip_grad.max_norm", "a", "expected a number, found 'a'."),
        ("param_scheduler", [5], None),
        ("param_scheduler.0.begin", -5, "expected a whole number >= 0, found -5."),
        ("randomness.seed", "abc", "expected a whole number in [0, 4294967295] or None"),
        ("randomness.seed", -1, "expected a whole number in [0, 4294967295] or None"),
        ("default_hooks.timer", 5, "expected a dict or None, found 5."),
        ("default_hooks.logger.interval", 0, "expected a whole number >= 1, found 0."),
        ("custom_hooks", 5, "expected a list, each item a dict or None, found 5."),
        ("model.backbone", "sapiens", "expected a dict, found 'sapiens'."),
        ("model.decode_head.dropout_ratio", 1.5, "expected a number in [0, 1], found 1.5."),
        ("model.decode_head.num_classes", 0, "expected a whole number >= 1 or None, found 0."),
        ("input_size_hw", [64], "expected a whole number >= 1 or (a whole number >= 1, a whole "),
        ("log_level", "info", "expected one of 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', "),
        ("resume", "yes", "expected True or False, found 'yes'."),
        ("env_cfg.mp_cfg.mp_start_method", "thread", "expected one of 'fork', 'spawn', "),
        ("custom_hooks.0.priority", "FIRST", "expected one of 'HIGHEST', 'highest', "),
        ("compile", "yes", "expected True or False or a dict, found 'yes'."),
    ],
)
def test_a_wrong_value(load, option, value, text):
    (found,) = said(load, {option: value})
    option = re.sub(r"\.(\d+)", r"[\1]", option)
    assert found.startswith(f"{option}: {text}" if text else option)


@pytest.mark.parametrize(
    ("option", "text", "name"),
    [
        ("auto_scale_lr.enabel", 'Did you mean "enable"?', POSE),
        ("env_cfg.cudnn_benchmarks", 'Did you mean "cudnn_benchmark"?', FACE),
        ("env_cfg.mp_cfg.opencv_num_thread", 'Did you mean "opencv_num_threads"?', FACE),
        ("env_cfg.dist_cfg.backends", 'Did you mean "backend"?', FACE),
        ("randomness.sed", 'Did you mean "seed"?', FACE),
        ("train_dataloader.dataset.metainfo.clases", 'Did you mean "classes"?', FACE),
        ("train_dataloader.dataset.data_prefix.image", "Accepted here: img.", POSE),
        ("custom_imports.import", 'Did you mean "imports"?', FACE),
        ("optim_wrapper.clip_grad.max_nrm", 'Did you mean "max_norm"?', FACE),
    ],
)
def test_a_misspelt_key_of_a_plain_dict(load, option, text, name):
    place, _, key = option.rpartition(".")
    found = said(load, {option: 1}, name)[0]
    assert found.startswith(f'{place}: nothing reads the key "{key}".') and text in found


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"train_cfg": {"_delete_": True, "max_epochs": 3}}, "train_cfg: it gives no type, "),
        ({"train_cfg.by_epoch": True}, 'nothing reads the key "by_epoch"'),
        ({"auto_scale_lr": {"enable": True}}, "auto_scale_lr: base_batch_size is missing"),
        ({"randomness": {"_delete_": True}}, "randomness: seed is missing"),
        ({"custom_hooks": [{}]}, "custom_hooks[0]: it gives no type, the name of a hook."),
        ({"param_scheduler": [{}]}, "param_scheduler[0]: it gives no type"),
        ({"train_dataloader.sampler": {"_delete_": True}}, "sampler: it gives no type"),
        ({"train_dataloader.dataset.pipeline.0": {"_delete_": True}}, "[0]: it gives no type"),
        (
            {"train_dataloader.dataset.pipeline.0": {"_delete_": True, "type": "RandomFlip"}},
            "pipeline[0]: prob is missing, a number.",
        ),
        ({"optim_wrapper.optimizer": None}, "optim_wrapper.optimizer: expected a dict, found None"),
        ({"model": {"_delete_": True, "type": "EncoderDecoder"}}, "model: backbone is missing"),
        ({"custom_imports": {"imports": ["no.such.module"]}}, "no.such.module"),
    ],
)
def test_what_is_missing(load, options, text):
    assert text in said(load, options)[0]


@pytest.mark.parametrize("name", ["Normalize", "LoadImageFromFile", "Pad", "RandomChoice"])
def test_transforms_of_mmcv_are_refused(load, name):
    (found,) = said(
        load, {"train_dataloader.dataset.pipeline.5": {"type": name, "_delete_": True}}
    )[-1:]
    assert "pipeline[5]: " in found and f"MMCV's {name} changes pixels at once" in found
    advice = {"Normalize": "model.data_preprocessor normalises", "LoadImageFromFile": '"LoadImage"'}
    assert advice.get(name, "Here that ") in found


def test_a_sampler_that_repeats_the_first_epoch_is_refused(load):
    sampler = {"train_dataloader.sampler": {"type": "DefaultSampler", "_delete_": True}}
    (found,) = said(load, sampler)
    assert (
        'each epoch would repeat what is random in the first. Here that is "SeededSampler"' in found
    )


def test_all_errors_are_said_at_once(load):
    options = {
        "lrr": 5,
        "train_dataloder.batch_size": 2,
        "train_dataloader.batch_size": -1,
        "train_dataloader.dataset.pipeline.1.type": "LoadLabel",
        "train_dataloader.dataset.pipeline.2.rato": 1,
        "train_dataloader.dataset.pipeline.6": FLIP,
        "optim_wrapper.optimizer.lr": "abc",
        "model.head": {},
        "resume": 5,
        "custom_hooks.0.type": "PictureHook",
    }
    with pytest.raises(ConfigError) as error:
        load(options)
    for place in (
        *('"lrr"', '"train_dataloder"', "train_dataloader.batch_size", "pipeline[1].type"),
        *('"rato"', "pipeline[6].prob", "optimizer.lr", '"head"', "resume", '"PicturesHook"'),
    ):
        assert sum(place in text for text in error.value.args) == 1, place
    lines = str(error.value).splitlines()
    assert lines[0] == "10 errors:" and all(line.startswith("  * ") for line in lines[1:])


def test_all_contradicting_sizes_are_said(load):
    options = {
        f"{split}_dataloader.dataset.pipeline.1.size_hw": (9, 9) for split in ("val", "test")
    }
    assert len(said(load, options)) == 2


@pytest.mark.parametrize("value", [1000, 5, -2])
def test_stages_beyond_the_depth_cannot_be_frozen(face_config, value):
    from seg.registry import MODELS

    cfg = face_config(model__backbone__frozen_stages=value)
    with pytest.raises(ConfigError, match=r"frozen_stages is in -1\.\.2"):
        MODELS.build(cfg.model)
