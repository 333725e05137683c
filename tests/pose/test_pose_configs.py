"""The released recipes of pose."""

import pytest

from engine.config import load_config
from pose.registry import DATASETS

# Size -> layer decay of each dataset.
DECAY = {
    "coco": {"0.3b": 0.85, "0.6b": 0.85, "1b": 0.85, "2b": 0.85},
    "coco_wholebody": {"0.3b": 0.75, "0.6b": 0.75, "1b": 0.85, "2b": 0.85},
    "goliath": {"0.3b": 0.85, "0.6b": 0.85, "1b": 0.95, "2b": 0.85},
}
HARDEST = {("goliath", "0.3b"), ("goliath", "1b")}


@pytest.mark.parametrize("dataset", DECAY)
@pytest.mark.parametrize("size", ["0.3b", "0.6b", "1b", "2b"])
def test_recipes_are_the_releases(root, dataset, size):
    cfg = load_config(root / f"configs/pose/{dataset}/sapiens_{size}_{dataset}-1024x768.py")
    assert cfg.model.backbone.arch == f"sapiens_{size}" and cfg.model.metainfo == dataset
    assert cfg.model.backbone.init_cfg.allow_patch_padding_change
    wrapper = cfg.optim_wrapper
    assert wrapper.optimizer.lr == (5e-5 if dataset == "goliath" else 5e-4)
    assert wrapper.paramwise_cfg.layer_decay_rate == DECAY[dataset][size]
    hardest = dict(type="KeypointOHKMMSELoss", topk=128)
    plain = dict(type="KeypointMSELoss")
    assert cfg.model.head.loss == (hardest if (dataset, size) in HARDEST else plain)
    assert cfg.auto_scale_lr.enable == ((dataset, size) == ("coco_wholebody", "1b"))
    warmup, steps = cfg.param_scheduler
    assert (warmup.end, warmup.start_factor, steps.milestones) == (500, 1e-3, [170, 200])
    assert cfg.train_cfg.max_epochs == 210 and cfg.train_dataloader.batch_size == 64
    required = next(
        step for step in cfg.train_dataloader.dataset.pipeline if step.type == "RequireKeypoints"
    )
    assert required.num_keypoints == (4 if dataset == "coco" else 8)
    for split in ("train", "val", "test"):
        dataset = DATASETS.build({**cfg[f"{split}_dataloader"].dataset, "lazy_init": True})
        assert dataset.metainfo["name"] == cfg.model.metainfo
    (colours,) = (
        step
        for step in cfg.train_dataloader.dataset.pipeline
        if step.type == "PhotoMetricDistortion"
    )
    assert colours.channel_shuffle_prob == 0.5
    assert cfg.test_dataloader.dataset.pipeline[-2].interpolation == "fixed_point"
