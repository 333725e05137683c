"""Configs as those of other projects are read without being run, and translated."""

import re

import mmengine.registry
import pytest
from mmengine.registry import Registry

import pose
import pretrain
import seg
from engine.config import load_config
from engine.errors import ConfigError
from engine.foreign import COUNTERPARTS, SCOPES, advice
from mmsapiens.cli import dispatch
from mmsapiens.porting import read_foreign, translate
from mmsapiens.porting.translate import _unwrap_dataset
from tests.conftest import ROOT

RUNTIME = """
default_scope = 'mmseg'
visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=True)
tta_model = dict(type='SegTTAModel')
max_iters = 5
"""
COMMON = """
size = (64, 48)
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.1),
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(num_layers=2, layer_decay_rate=0.85,
                       custom_keys=dict(bias=dict(decay_multi=0.0))))
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
default_hooks = dict(visualization=dict(type='SegVisualizationHook', interval=7, max_samples=2))
backbone = dict(
    type='mmpretrain.VisionTransformer', arch='sapiens_0.3b', img_size=size, with_cls_token=False,
    out_type='featmap', patch_cfg=dict(padding=2))
sampler = dict(type='DefaultSampler', shuffle=True)
"""
SEG = (
    """
_base_ = ['runtime.py']
"""
    + COMMON
    + """
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', bgr_to_rgb=True, size=size, pad_val=0),
    backbone=backbone,
    decode_head=dict(type='VitHead', in_channels=1024, num_classes=20, channels=768,
                     norm_cfg=dict(type='SyncBN'),
                     loss_decode=dict(type='CrossEntropyLoss', class_weight=[0.1] + [1.0] * 19)),
    test_cfg=dict(mode='whole'))
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=size[::-1], ratio_range=(0.75, 1.25), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5, swap_seg_labels=[(14, 15), (16, 17), (18, 19)]),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=sampler,
    dataset=dict(type='CombinedDataset', metainfo=dict(from_file='lip.py'), pipeline=pipeline,
                 datasets=[dict(type='LIPDataset', data_root='lip', data_prefix=dict(a=1))]))
"""
)
DEPTH = (
    """
_base_ = ['runtime.py']
"""
    + COMMON
    + """
model = dict(
    type='DepthEstimator', backbone=backbone,
    decode_head=dict(type='VitDepthHead', num_classes=1, loss_decode=dict(type='SiLogLoss')))
pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomBackground', prob=0.5, root='.'),
    dict(type='RandomResize', scale=size[::-1], ratio_range=(0.2, 2.0)),
    dict(type='RandomDepthResizeCompensate'),
    dict(type='RandomDepthCrop', crop_size=size),
    dict(type='DepthRandomFlip', prob=0.5),
    dict(type='GenerateDepthTarget'),
    dict(type='PackDepthInputs'),
]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=sampler,
    dataset=dict(type='DepthGeneralDataset', data_root='depth', pipeline=pipeline))
"""
)
POSE = (
    """
default_scope = 'mmpose'
"""
    + COMMON
    + """
codec = dict(type='UDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=6)
model = dict(
    type='TopdownPoseEstimator', backbone=backbone,
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[1, 2, 3], std=[1, 2, 3]),
    head=dict(type='HeatmapHead', in_channels=1024, out_channels=17, decoder=codec,
              loss=dict(type='KeypointMSELoss', use_target_weight=True)),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomHalfBody', upper_prioritized_prob=0.7),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=sampler,
    dataset=dict(type='CocoDataset', data_root='data/coco', data_mode='topdown',
                 ann_file='annotations/a.json', data_prefix=dict(img='train2017/'),
                 bbox_file=f'data/coco/boxes.json', pipeline=pipeline))
"""
)


@pytest.fixture
def port(tmp_path, monkeypatch):
    """Runs the verb on a config; returns the code and the file that it wrote."""
    monkeypatch.chdir(tmp_path)

    def port(text):
        (tmp_path / "runtime.py").write_text(RUNTIME)
        (tmp_path / "theirs.py").write_text(text)
        return dispatch(["port", "theirs.py", "ours/ported.py"]), tmp_path / "ours" / "ported.py"

    return port


def types(loader):
    return [step.type for step in loader.dataset.pipeline]


def test_segmentation(port, capsys):
    code, path = port(SEG)
    assert code == 0
    cfg = load_config(path)
    assert cfg.default_scope == "seg" and cfg.input_size_hw == (64, 48)
    assert cfg.model.backbone.type == "pretrain.VisionTransformer"
    assert cfg.model.backbone.patch_cfg.padding == 2, "what the weights need is kept"
    assert cfg.model.decode_head.loss_decode.class_weight == [0.1] + [1.0] * 19
    assert cfg.optim_wrapper.type == "AutocastOptimWrapper" and cfg.optim_wrapper.dtype == "float32"
    assert cfg.optim_wrapper.paramwise_cfg == {"layer_decay_rate": 0.85}
    assert cfg.train_cfg == {"type": "ResumableTrainLoop", "max_epochs": 2, "val_interval": 1}
    hook = {"type": "PicturesHook", "train_interval": 7, "num_samples": 2}
    assert cfg.default_hooks.visualization == hook
    assert cfg.train_dataloader.sampler == {"type": "SeededSampler", "shuffle": True}
    assert cfg.train_dataloader.dataset.type == "LIPDataset"
    assert types(cfg.train_dataloader) == [
        *("LoadImage", "LoadLabels", "RandomResize", "RandomFlip", "Warp"),
        *("PhotoMetricDistortion", "PackInputs"),
    ]
    assert cfg.visualizer.type == "SegVisualizer" and cfg.writer.type == "SegWriter"
    notes = capsys.readouterr().out
    for note in (
        "model.data_preprocessor: SegDataPreProcessor is DataPreprocessor",
        "train_dataloader.dataset.pipeline[5]: PackSegInputs is PackInputs",
        "model.decode_head.norm_cfg: left out, nothing reads it: {'type': 'SyncBN'}",
        "train_dataloader.dataset.data_prefix: left out",
        "tta_model: left out",
        'optim_wrapper: AutocastOptimWrapper, dtype="float32"; "bfloat16" is faster',
        "train_dataloader.dataset: LIPDataset alone",
        "it loads",
    ):
        assert note in notes
    pipeline, changed = "train_dataloader.dataset.pipeline", "default_hooks.visualization"
    assert [line.partition(": ")[0] for line in notes.splitlines() if line][:-1] == [
        *("tta_model", "backbone", "sampler", "visualizer"),
        *(changed, f"{changed}.interval", f"{changed}.max_samples", "model.data_preprocessor"),
        *("model.backbone", "train_dataloader.sampler", f"{pipeline}[0]", f"{pipeline}[1]"),
        *(f"{pipeline}[5]", pipeline, "model.backbone.img_size", "optim_wrapper"),
        *(f"optim_wrapper.paramwise_cfg.{key}" for key in ("num_layers", "custom_keys")),
        *(
            "train_cfg",
            "train_dataloader.dataset",
            "model.test_cfg",
            "model.data_preprocessor.size",
        ),
        *("model.data_preprocessor.pad_val", "model.decode_head.norm_cfg"),
        *("train_dataloader.dataset.data_prefix", f"{pipeline}[2].scale"),
        f"{pipeline}[2].keep_ratio",
    ]


@pytest.mark.parametrize(
    ("kind", "split", "ours"),
    [
        ("LIPDataset", "train", "train"),
        ("CIHPDataset", "val", "val"),
        ("LIPDataset", "test", "val"),
        ("FaceDataset", "val", None),
    ],
)
def test_the_split_of_a_dataset_is_that_of_its_loader(kind, split, ours):
    loader = {"dataset": {"type": kind, "data_root": "lip/", "ann_file": "lip/a.json"}}
    _unwrap_dataset(loader, split, [])
    expected = {"type": kind, "data_root": "lip/", "ann_file": "a.json"}
    assert loader["dataset"] == expected | ({"split": ours} if ours else {})


def test_depth(port, capsys):
    code, path = port(DEPTH)
    assert "LoadMask and LoadDepth load what LoadImage loaded" in capsys.readouterr().out
    cfg = load_config(path)
    assert code == 0 and cfg.visualizer.type == "DepthVisualizer"
    assert types(cfg.train_dataloader) == [
        *("LoadImage", "LoadMask", "RandomBackground", "LoadDepth", "RandomResize", "RandomCrop"),
        *("RandomFlip", "Warp", "GenerateDepthTarget", "PackInputs"),
    ]


def test_pose(port):
    code, path = port(POSE)
    cfg = load_config(path)
    assert code == 0 and cfg.model.metainfo == "coco" == cfg.train_dataloader.dataset.metainfo
    assert cfg.model.head.decoder == {"type": "UDPHeatmap", "sigma": 6}
    assert cfg.model.test_cfg.flip_test is True
    steps = cfg.train_dataloader.dataset.pipeline
    assert [step.type for step in steps] == [
        *("LoadImage", "GetBBoxCenterScale", "RandomHalfBody", "TopdownAffine", "Warp"),
        *("PhotoMetricDistortion", "PackInputs"),
    ]
    assert steps[2] == {"type": "RandomHalfBody", "upper_prob": 0.7}
    assert cfg.train_dataloader.dataset.bbox_file == "boxes.json"


MAE = (
    """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['evil'])
"""
    + COMMON.replace("mmpretrain.VisionTransformer", "MAEViT")
    + """
optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
data_preprocessor = dict(type='SelfSupDataPreprocessor', mean=[1, 2, 3], std=[1, 2, 3], to_rgb=True)
model = dict(
    type='MAE', backbone=dict(type='MAEViT', arch='0.3b', img_size=64, mask_ratio=0.75),
    neck=dict(type='MAEPretrainDecoder', embed_dim=1024, patch_size=16),
    head=dict(type='MAEPretrainHead', norm_pix=True, patch_size=16,
              loss=dict(type='PixelReconstructionLoss', criterion='L2')))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=sampler,
    dataset=dict(type='CustomDataset', data_root='humans', with_label=False, pipeline=(
        dict(type='LoadImageFromFile'),
        dict(type='RandomResizedCrop', scale=64, crop_ratio_range=(0.2, 1.0), backend='pillow'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackInputs'))))
"""
)


def test_pretraining(port, tmp_path, capsys):
    (tmp_path / "evil.py").write_text("open('ran', 'w')")
    code, path = port(MAE)
    cfg = load_config(path)
    assert code == 0 and not (tmp_path / "ran").exists()
    assert "custom_imports: left out" in capsys.readouterr().out
    assert cfg.default_scope == "pretrain" and cfg.input_size_hw == 64 and "writer" not in cfg
    assert cfg.model.data_preprocessor == {
        **{"type": "DataPreprocessor", "mean": [1, 2, 3], "std": [1, 2, 3], "bgr_to_rgb": True}
    }
    assert cfg.optim_wrapper.type == "AutocastOptimWrapper" and "dtype" not in cfg.optim_wrapper
    assert cfg.train_dataloader.dataset.type == "ImageListDataset"
    assert types(cfg.train_dataloader) == [
        *("LoadImage", "RandomResizedCrop", "RandomFlip", "Warp", "PackInputs")
    ]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "model = 5",
            "model['backbone'] = 5",
            "model['decode_head'] = [1]",
            "optim_wrapper = [1]",
        ),
        *("train_dataloader = None", "train_dataloader['dataset'] = 'x'", "train_cfg = 'x'"),
        *("train_dataloader['dataset']['datasets'] = [5]", "default_hooks = [5]", "visualizer = 5"),
        *("train_dataloader['dataset']['pipeline'] = [5, [6]]", "model['data_preprocessor'] = 5"),
        *("train_dataloader['dataset']['metainfo'] = 'x'", "optim_wrapper['paramwise_cfg'] = 5"),
    ],
)
def test_values_of_another_kind_are_left_to_do(port, line, capsys):
    code, path = port(f"{SEG}\n{line}")
    assert path.is_file() and (code == 1) == ("left to be done" in capsys.readouterr().out)


def test_what_is_left_to_do_is_listed(port, capsys):
    strange = SEG.replace("'PhotoMetricDistortion'", "'MyOwnTransform'").replace(
        "prob=0.5", "prob=5"
    )
    code, path = port(strange)
    out = capsys.readouterr().out
    assert code == 1 and path.is_file()
    assert 'pipeline[5].type: "MyOwnTransform" is not registered' in out
    assert "pipeline[3].prob: expected a number in [0, 1], found 5" in out


def test_a_base_does_not_see_the_names_above_it(tmp_path):
    (tmp_path / "base.py").write_text("n = 1\nx = dict(n=n)")
    (tmp_path / "top.py").write_text("_base_ = 'base.py'\nn = 2\ny = {{_base_.x}}")
    assert read_foreign(tmp_path / "top.py") == {"n": 2, "x": {"n": 1}, "y": {"n": 1}}


VALUES = """
a = [i + 1 for i in range(3) if i]
b = dict(x=f"{len(a)}", **{'y': (1, 2)})
b.update(z=max(a))
for i in a:
    b[str(i)] = i
c = 'a/b'.split('/')[-1] if a else None
"""


def test_what_makes_values_is_read(tmp_path):
    (tmp_path / "a.py").write_text(VALUES)
    found = read_foreign(tmp_path / "a.py")
    assert found["b"] == {"x": "2", "y": (1, 2), "z": 3, "2": 2, "3": 3} and found["c"] == "b"


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "open('ran', 'w')",
        "x = __import__('os')",
        "_base_ = [open('ran', 'w').name]",
        "x = (lambda: 1)()",
        "x = ().__class__",
        "x = (i for i in ()).gi_frame",
        "x = __builtins__['open']",
        "x = sorted(['ran'], key=__builtins__['eval'])",
        "dict = 5",
        "def f():\n    pass",
        "while True:\n    pass",
        "x = '{0.__class__}'.format(1)",
        "with open('ran', 'w'):\n    pass",
    ],
)
def test_what_may_do_more_is_refused(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(f"default_scope = 'mmseg'\n{line}")
    with pytest.raises(ConfigError, match=r"a\.py, line 2"):
        read_foreign(tmp_path / "a.py")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("scope", "message"), [("mmdet", "'mmdet'; expected one of mmseg"), ("seg", "'seg'")]
)
def test_projects_that_are_not_known(scope, message):
    with pytest.raises(ConfigError, match=message):
        translate({"default_scope": scope})


def test_files_that_cannot_be_ported(tmp_path):
    (tmp_path / "a.py").write_text("_base_ = 'nothing.py'")
    for name, message in (
        ("a.json", "no Python config"),
        ("b.py", "no Py"),
        ("a.py", "nothing.py"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_foreign(tmp_path / name)


def test_a_file_is_not_overwritten_unasked(port, capsys):
    _, path = port(SEG)
    path.write_text("mine")
    with pytest.raises(ConfigError, match="--overwrite"):
        port(SEG)
    assert path.read_text() == "mine"


def test_the_page_shows_the_table():
    page = (ROOT / "docs" / "porting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`|) ?\| (.*?) ?\|$", page, re.MULTILINE)
    assert {name: (ours, note) for name, ours, note in rows} == COUNTERPARTS
    assert all(f"`{theirs}.` | `{ours}.`" in page for theirs, ours in SCOPES.items())


def test_our_side_of_the_table_exists():
    packages = (pose.registry, pretrain.registry, seg.registry, mmengine.registry)
    found = [r for package in packages for r in vars(package).values() if isinstance(r, Registry)]
    known = {name for registry in found for name in registry.module_dict}
    for name, (ours, note) in COUNTERPARTS.items():
        assert ours in known or (note and not ours), f"{name}: there is no {ours}"
        assert advice(f"mmseg.{name}").startswith(" Here that ")
