import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData

from engine.config import load_config
from engine.data.sample import DataSample
from engine.errors import ConfigError
from pretrain.vision_transformer import VisionTransformer
from seg.registry import MODELS

TASKS = pytest.mark.parametrize("task", ["depth", "normal"])
LAYERS = {"depth": (4, 2), "normal": (3, 3)}


def build(task, arch, img_size, channels, patch_padding, **options):
    deconvs, convs = LAYERS[task]
    return MODELS.build(
        dict(
            type="DepthEstimator",
            backbone=dict(
                type="pretrain.VisionTransformer",
                arch=arch,
                img_size=img_size,
                with_cls_token=False,
                out_type="featmap",
                patch_cfg=dict(padding=patch_padding),
            ),
            decode_head=dict(
                type=f"Vit{task.capitalize()}Head",
                deconv_out_channels=(channels,) * deconvs,
                conv_out_channels=(channels,) * convs,
            ),
            **options,
        )
    )


@pytest.fixture
def load(golden):
    def load(task, **options):
        recorded = golden(task)
        meta = recorded.meta
        padding = meta.get("padding", 0)
        model = build(task, meta["arch"], meta["img_size"], meta["channels"], padding, **options)
        model.load_state_dict(recorded.state_dict)
        return model.eval(), recorded

    return load


@TASKS
def test_raw_output_equals_the_recorded_one(load, task):
    model, recorded = load(task)
    with torch.no_grad():
        raw = model(recorded["in/x"])
    torch.testing.assert_close(raw, recorded["out/raw"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", ["0.3b", "0.6b", "1b", "2b"])
@TASKS
def test_keys_are_the_releases(root, task, size):
    cfg = load_config(root / f"configs/{task}/general/sapiens_{size}_{task}_general-1024x768.py")
    with torch.device("meta"):
        model = MODELS.build(cfg.model)
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items() if "decode_head" in k}
    deconvs, convs = LAYERS[task]
    channels, out = {"depth": (384, 1), "normal": (768, 3)}[task]
    width = model.backbone.embed_dims
    expected = {
        f"decode_head.deconv_layers.{3 * i}.weight": (channels if i else width, channels, 4, 4)
        for i in range(deconvs)
    }
    for i in range(convs):
        expected[f"decode_head.conv_layers.{3 * i}.weight"] = (channels, channels, 1, 1)
        expected[f"decode_head.conv_layers.{3 * i}.bias"] = (channels,)
    expected["decode_head.conv_seg.weight"] = (out, channels, 1, 1)
    expected["decode_head.conv_seg.bias"] = (out,)
    assert shapes == expected
    num_layers = model.backbone.arch["num_layers"]
    assert len(model.state_dict()) == 5 + 12 * num_layers + len(expected)


@TASKS
def test_predictions_are_resized_through_the_input_to_the_image(load, task):
    model, recorded = load(task)
    samples = [DataSample(metainfo={"ori_size_hw": size}) for size in ((100, 40), (64, 48))]
    with torch.no_grad():
        predicted = model(recorded["in/x"], samples, mode="predict")
        raw = model(recorded["in/x"])
    maps = [sample.get(f"pred_{task}_map").data for sample in predicted]
    channels = raw.shape[1]
    assert [m.shape for m in maps] == [(channels, 100, 40), (channels, 64, 48)]
    expected = F.interpolate(raw[:1], (64, 48), mode="bilinear")
    expected = F.interpolate(expected, (100, 40), mode="bilinear")[0]
    if task == "normal":
        expected = F.normalize(expected, dim=0)
        torch.testing.assert_close(maps[0].norm(dim=0), torch.ones(100, 40))
    torch.testing.assert_close(maps[0], expected)


@TASKS
def test_flip_averaging_commutes_with_flipping(load, task):
    """Without patch padding, what is averaged is the same for an image and its mirror image."""
    options = dict(test_views=dict(flip=True))
    recorded = load(task)[1]
    meta = recorded.meta
    torch.manual_seed(0)
    model = build(task, meta["arch"], meta["img_size"], 8, 0, **options).eval()
    name = f"pred_{task}_map"
    with torch.no_grad():
        upright = model(recorded["in/x"], mode="predict")[0].get(name).data
        mirrored = model(recorded["in/x"].flip(-1), mode="predict")[0].get(name).data
    expected = upright.flip(-1)
    if task == "normal":
        expected[0] *= -1
    torch.testing.assert_close(mirrored, expected, atol=1e-5, rtol=1e-5)


@TASKS
def test_losses_have_the_releases_names_and_reach_every_parameter(load, task):
    model, recorded = load(task)
    model.train()
    targets = model.synthetic_targets(recorded["in/x"])
    losses = model(recorded["in/x"], mode="loss", targets=targets)
    names = {"depth": ["loss_silog"], "normal": ["loss_cosine_sim", "loss_l1"]}[task]
    assert list(losses) == [f"decode.{name}" for name in names]
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_losses_are_taken_at_the_resolution_of_the_target(load):
    model, recorded = load("normal")
    target = F.normalize(torch.randn(2, 3, 64, 48), dim=1)
    samples = [DataSample() for _ in target]
    for sample, values in zip(samples, target, strict=True):
        sample.gt_normal_map = PixelData(data=values)
    with torch.no_grad():
        loss = model(recorded["in/x"], samples, mode="loss")["decode.loss_l1"]
        pred = F.interpolate(model(recorded["in/x"]), (64, 48), mode="bilinear")
    torch.testing.assert_close(loss, (pred - target).abs().sum(1).mean())


@TASKS
def test_another_number_of_channels_is_an_error(task):
    head = f"Vit{task.capitalize()}Head"
    with pytest.raises(ConfigError, match=f"{head}: num_classes=28"):
        MODELS.build(dict(type=head, in_channels=8, num_classes=28))


def test_one_loss_or_several():
    head = dict(type="VitNormalHead", in_channels=8, deconv_out_channels=(8,) * 3)
    layers = dict(conv_out_channels=(8,) * 3)
    one = MODELS.build({**head, **layers, "loss_decode": dict(type="L1Loss", loss_weight=2.0)})
    assert [loss.loss_weight for loss in one.loss_decode] == [2.0]
    assert len(MODELS.build({**head, **layers}).loss_decode) == 2


def test_the_backbone_is_the_shared_one(load):
    assert isinstance(load("depth")[0].backbone, VisionTransformer)
