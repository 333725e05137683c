from copy import deepcopy

import pytest

from engine.config import load_config
from engine.errors import ConfigError

CONFIG = """
default_scope = "seg"
input_size_hw = (64, 48)
data_root = "{{$MY_DATA:data}}/faces"
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="RandomResize", ratio_range=(0.5, 2.0)),
    dict(type="RandomRotate", prob=0.5, degree=45),
    dict(type="Warp"),
    dict(type="PackInputs"),
]
model = dict(
    type="EncoderDecoder",
    backbone=dict(
        type="pretrain.VisionTransformer", arch="tiny", with_cls_token=False, out_type="featmap"
    ),
    decode_head=dict(
        type="VitHead",
        num_classes=19,
        loss_decode=dict(type="CrossEntropyLoss"),
    ),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="SeededSampler", shuffle=True),
    collate_fn=dict(type="collate_samples"),
    dataset=dict(type="FaceDataset", data_root=data_root, pipeline=train_pipeline),
)
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(
    type="AutocastOptimWrapper",
    dtype="bfloat16",
    constructor="LayerDecayOptimWrapperConstructor",
    paramwise_cfg=dict(layer_decay_rate=0.85, custom_keys=dict(ln=dict(decay_mult=0.0))),
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [dict(type="PolyLR", power=1.0, begin=0, end=2, convert_to_iter_based=True)]
val_evaluator = dict(type="IoUMetric")
default_hooks = dict(checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=2))
custom_hooks = [dict(type="ProgressHook", priority="LOW")]
visualizer = dict(type="SegVisualizer", vis_backends=[dict(type="LocalVisBackend")])
"""


@pytest.fixture
def load(tmp_path):
    """Writes the config above, followed by ``more``, and loads it."""

    def load(more="", options=None):
        path = tmp_path / "face.py"
        path.write_text(CONFIG + more)
        return load_config(path, options)

    return load


def test_sizes_are_written_once(load):
    cfg = load()
    assert cfg.model.backbone.img_size == (64, 48)
    pipeline = {t["type"]: t for t in cfg.train_dataloader.dataset.pipeline}
    assert pipeline["RandomResize"]["size_hw"] == (64, 48)
    assert "size_hw" not in pipeline["LoadImage"]


def test_sizes_reach_the_pipelines_of_wrapped_datasets(load):
    cfg = load(
        """
inner = train_dataloader["dataset"]
train_dataloader = dict(dataset=dict(type="ConcatDataset", datasets=[inner, inner]))
"""
    )
    for dataset in cfg.train_dataloader.dataset.datasets:
        assert dataset.pipeline[1].size_hw == (64, 48)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("model['backbone']['img_size'] = (48, 64)", "model.backbone.img_size"),
        ("model['backbone']['img_size'] = 64", "model.backbone.img_size"),
        (
            "train_pipeline[1]['size_hw'] = (32, 32)",
            "train_dataloader.dataset.pipeline[1].size_hw",
        ),
        ("input_size_hw = (64, 48, 3)", "input_size_hw"),
        ("input_size_hw = 'large'", "input_size_hw"),
    ],
)
def test_contradicting_sizes(load, more, place):
    with pytest.raises(ConfigError, match="input_size_hw") as error:
        load(more)
    assert f"face.py: {place}" in str(error.value)


def test_an_equal_size_is_no_contradiction(load):
    assert load("model['backbone']['img_size'] = [64, 48]").model.backbone.img_size == [64, 48]


@pytest.mark.parametrize(
    ("more", "place", "meant"),
    [
        ("train_dataloder = dict()", "train_dataloder", '"train_dataloader"'),
        ("input_size_wh = (48, 64)", "input_size_wh", '"input_size_hw"'),
        ("optim_wraper = dict()", "optim_wraper", '"optim_wrapper"'),
        ("custom_hook = []", "custom_hook", '"custom_hooks"'),
        (
            "train_dataloader['batchsize'] = 4",
            "train_dataloader",
            '"batch_size"',
        ),
        (
            "train_pipeline[2] = dict(type='RandomRotat')",
            "train_dataloader.dataset.pipeline[2].type",
            '"RandomRotate"',
        ),
        (
            "train_pipeline[2]['degre'] = 45",
            "train_dataloader.dataset.pipeline[2] (RandomRotate)",
            '"degree"',
        ),
        (
            "train_dataloader['dataset']['data_rot'] = 'x'",
            "train_dataloader.dataset (FaceDataset)",
            '"data_root"',
        ),
        ("train_dataloader['sampler']['shufle'] = 1", "train_dataloader.sampler", '"shuffle"'),
        ("model['backbone']['archs'] = '1b'", "model.backbone", '"arch"'),
        (
            "model['backbone']['type'] = 'VisionTransformer'",
            "model.backbone.type",
            '"pretrain.VisionTransformer"',
        ),
        (
            "model['backbone']['type'] = 'pretrain.VisionTransformr'",
            "model.backbone.type",
            '"pretrain.VisionTransformer"',
        ),
        (
            "model['backbone']['type'] = 'mmpretrain.VisionTransformer'",
            "model.backbone.type",
            '"pretrain.VisionTransformer"',
        ),
        (
            "model['backbone']['init_cfg'] = dict(type='Pretrain')",
            "model.backbone.init_cfg.type",
            '"Pretrained"',
        ),
        (
            "model['decode_head']['loss_decode']['type'] = 'CrossEntropyLos'",
            "model.decode_head.loss_decode.type",
            '"CrossEntropyLoss"',
        ),
        ("val_evaluator = [dict(type='IouMetric')]", "val_evaluator[0].type", '"IoUMetric"'),
        (
            "val_evaluator = dict(metrics=[dict(type='IouMetric')])",
            "val_evaluator.metrics[0].type",
            '"IoUMetric"',
        ),
        ("custom_hooks = [dict(type='ProgresHook')]", "custom_hooks[0].type", '"ProgressHook"'),
        (
            "default_hooks['chekpoint'] = dict(interval=2)",
            "default_hooks",
            '"checkpoint"',
        ),
        ("default_hooks['visual'] = dict(type='IterTimerHok')", "visual.type", '"IterTimerHook"'),
        (
            "default_hooks['checkpoint']['max_keep_ckpt'] = 2",
            "default_hooks.checkpoint (CheckpointHook)",
            '"max_keep_ckpts"',
        ),
        ("optim_wrapper['dtyp'] = 'float16'", "optim_wrapper", '"dtype"'),
        ("optim_wrapper['optimizer']['wieght_decay'] = 0", "optimizer (AdamW)", '"weight_decay"'),
        (
            "optim_wrapper['constructor'] = 'LayerDecayOptimWrapperConstrutor'",
            "optim_wrapper.constructor",
            '"LayerDecayOptimWrapperConstructor"',
        ),
        (
            "optim_wrapper['paramwise_cfg']['layer_decay_rat'] = 0.9",
            "optim_wrapper.paramwise_cfg",
            '"layer_decay_rate"',
        ),
        (
            "optim_wrapper['paramwise_cfg']['custom_keys']['ln'] = dict(decay_multi=0)",
            "optim_wrapper.paramwise_cfg.custom_keys.ln",
            '"decay_mult"',
        ),
        (
            "optim_wrapper.pop('constructor')\n"
            "optim_wrapper['paramwise_cfg'] = dict(norm_decay_multi=0.0)",
            "optim_wrapper.paramwise_cfg",
            '"norm_decay_mult"',
        ),
        ("param_scheduler[0]['powr'] = 2", "param_scheduler[0] (PolyLR)", '"power"'),
        ("train_cfg['max_epoch'] = 2", "train_cfg", '"max_epochs"'),
        ("model['decode_head']['nm_clases'] = 3", "decode_head (VitHead)", '"num_classes"'),
        ("randomness = dict(sed=0)", "randomness", '"seed"'),
        ("visualizer['vis_backends'][0]['type'] = 'LocalBackend'", "vis_backends[0].type", ""),
        ("default_scope = 'segm'", "default_scope", '"seg"'),
    ],
)
def test_misspellings(load, more, place, meant):
    with pytest.raises(ConfigError) as error:
        load(more)
    message = str(error.value)
    assert "face.py: " in message
    assert place in message
    if meant:
        assert f"Did you mean {meant}?" in message


@pytest.mark.parametrize("name", ["codec", "val_pipeline", "data_mode", "num_epochs", "dist_cfg"])
def test_variables_are_free(load, name):
    cfg = load(f"{name} = 1\nrandomness = dict(seed={name})")
    assert cfg.randomness.seed == 1 and name not in cfg


def test_a_hook_can_be_switched_off(load):
    assert load("default_hooks['timer'] = None").default_hooks.timer is None


def test_too_few_classes(load):
    with pytest.raises(ConfigError) as error:
        load(options={"model.decode_head.num_classes": 17})
    message = str(error.value)
    assert "is 17" in message and "has 19 classes" in message
    assert "train_dataloader.dataset (FaceDataset)" in message


def test_classes_given_in_the_config_count(load):
    more = """
train_dataloader = dict(dataset=dict(
    type="SegFolderDataset", data_root=data_root, img_dir="images", seg_dir="labels",
    classes=["background", "person"], pipeline=train_pipeline))
"""
    with pytest.raises(ConfigError, match="has 2 classes"):
        load(more)
    assert load(more + "model['decode_head']['num_classes'] = 2")


def test_options_override(load):
    cfg = load(options={"train_dataloader.batch_size": 8, "input_size_hw": (32, 32)})
    assert cfg.train_dataloader.batch_size == 8
    assert cfg.model.backbone.img_size == (32, 32)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("data_rot", 'Did you mean "data_root"'),
        ("train_dataloadr.batch_size", 'Did you mean "train_dataloader"'),
        ("train_dataloader.dataset.pipeline.9.prob", "the list has 5 items"),
    ],
)
def test_options_that_nothing_would_read(load, option, message):
    with pytest.raises(ConfigError, match=message):
        load(options={option: 1})


def test_bases_may_share_keys(tmp_path):
    (tmp_path / "head.py").write_text(
        "default_scope = 'seg'\n"
        "model = dict(type='EncoderDecoder', decode_head=dict(type='VitHead', num_classes=3))\n"
        "default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))"
    )
    (tmp_path / "backbone.py").write_text(
        "depth = 'tiny'\nmodel = dict(backbone=dict(type='pretrain.VisionTransformer', arch=depth))"
        "\ndefault_hooks = dict(checkpoint=dict(interval=5))"
    )
    (tmp_path / "leaf.py").write_text(
        "_base_ = ['head.py', 'backbone.py']\n"
        "seed = len({{_base_.depth}})\nrandomness = dict(seed=seed)\n"
        "model = dict(decode_head=dict(num_classes=len(_base_.depth)))"
    )
    cfg = load_config(tmp_path / "leaf.py")
    assert cfg.model.backbone.arch == "tiny" and cfg.randomness.seed == 4
    assert cfg.model.decode_head == {"type": "VitHead", "num_classes": 4}
    assert cfg.default_hooks.checkpoint == {"type": "CheckpointHook", "interval": 5}


def test_missing_file_names_its_neighbours(tmp_path):
    (tmp_path / "sapiens_1b_face-1024x768.py").touch()
    with pytest.raises(ConfigError, match=r"Did you mean sapiens_1b_face-1024x768\.py\?"):
        load_config(tmp_path / "sapiens_1b_face.py")
    with pytest.raises(ConfigError, match=r"folder .* does not exist"):
        load_config(tmp_path / "nowhere" / "face.py")


def test_missing_base(tmp_path):
    (tmp_path / "leaf.py").write_text("_base_ = ['bse.py']")
    with pytest.raises(ConfigError, match=r"bse\.py.*_base_"):
        load_config(tmp_path / "leaf.py")


def test_the_text_follows_what_is_changed_later(load):
    cfg = load()
    assert "num_classes=19" in cfg.pretty_text
    copy = deepcopy(cfg)
    cfg.model.decode_head.num_classes = 7
    assert "num_classes=7" in cfg.pretty_text
    assert "num_classes=19" in copy.pretty_text
