import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from engine.data import DataSample, geometry
from engine.errors import ConfigError
from pose.geometry import udp_matrix
from pose.models.heatmap_head import pck
from pose.registry import MODELS


@pytest.fixture
def recorded(golden):
    return golden("pose")


def config(meta, **head):
    channels = (meta["channels"],) * 2
    return dict(
        type="TopdownPoseEstimator",
        metainfo="coco",
        test_views=dict(flip=True),
        backbone=dict(
            type="pretrain.VisionTransformer",
            arch=meta["arch"],
            img_size=meta["img_size"],
            with_cls_token=False,
            out_type="featmap",
            patch_cfg=dict(padding=meta["padding"]),
        ),
        head=dict(
            type="HeatmapHead",
            deconv_out_channels=channels,
            conv_out_channels=channels,
            decoder=dict(type="UDPHeatmap", sigma=2),
            **head,
        ),
    )


@pytest.fixture
def model(recorded):
    model = MODELS.build(config(recorded.meta))
    model.load_state_dict(recorded.state_dict)
    return model.eval()


def people(batch_size=2, num_keypoints=17, **metainfo):
    """Data samples with keypoints in a 48x64 input."""
    keypoints = torch.rand(batch_size, 1, num_keypoints, 2) * torch.tensor([48.0, 64.0])
    return [
        DataSample(
            metainfo=metainfo,
            gt_instances=InstanceData(keypoints=xy, keypoints_visible=torch.ones(1, num_keypoints)),
        )
        for xy in keypoints
    ]


def test_heatmaps_equal_the_recorded_ones(model, recorded):
    with torch.no_grad():
        heatmaps = model(recorded["in/x"], mode="tensor")
    torch.testing.assert_close(heatmaps, recorded["out/heatmaps"], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("arch", "width", "num_layers"),
    [("0.3b", 1024, 24), ("0.6b", 1280, 32), ("1b", 1536, 40), ("2b", 1920, 48)],
)
@pytest.mark.parametrize("metainfo, k", [("coco", 17), ("coco_wholebody", 133), ("goliath", 308)])
def test_state_dict_is_the_released_one(arch, width, num_layers, metainfo, k):
    meta = dict(arch=f"sapiens_{arch}", img_size=(1024, 768), padding=2, channels=768)
    with torch.device("meta"):
        model = MODELS.build({**config(meta), "metainfo": metainfo})
    state = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    expected = {
        "head.deconv_layers.0.weight": (width, 768, 4, 4),
        "head.deconv_layers.3.weight": (768, 768, 4, 4),
        "head.conv_layers.0.weight": (768, 768, 1, 1),
        "head.conv_layers.0.bias": (768,),
        "head.conv_layers.3.weight": (768, 768, 1, 1),
        "head.conv_layers.3.bias": (768,),
        "head.final_layer.weight": (k, 768, 1, 1),
        "head.final_layer.bias": (k,),
    }
    assert {key: size for key, size in state.items() if key.startswith("head.")} == expected
    # Four tensors outside the layers, and the last norm's two; twelve a layer.
    assert len(state) - len(expected) == 5 + 12 * num_layers
    assert all(key.startswith("backbone.") for key in state.keys() - expected)
    assert state["backbone.pos_embed"] == (1, 64 * 48, width)
    assert model.head.decoder.input_size_wh == (768, 1024)
    assert model.head.decoder.heatmap_size_wh == (192, 256)
    assert sum(p.numel() for p in model.head.parameters()) == 12288 * width + 10_618_368 + 769 * k


def test_initial_weights_are_the_releases():
    head = MODELS.build(
        dict(
            type="HeatmapHead",
            in_channels=32,
            out_channels=3,
            decoder=dict(input_size=(48, 64), heatmap_size=(12, 16)),
        )
    )
    assert head.final_layer.bias.eq(0).all() and head.conv_layers[0].bias.eq(0).all()
    for layer in (head.deconv_layers[0], head.conv_layers[3]):
        assert layer.weight.std().item() == pytest.approx(1e-3, rel=0.02)


def test_loss_draws_the_targets_itself(model):
    samples, inputs = people(), torch.randn(2, 3, 64, 48)
    losses = model(inputs, samples, mode="loss")
    keypoints = torch.cat([sample.gt_instances.keypoints for sample in samples])
    target, weight = model.head.decoder.encode(keypoints, torch.ones(2, 17))
    expected = ((model(inputs) - target).square() * weight[..., None, None]).mean()
    torch.testing.assert_close(losses["loss_kpt"], expected)
    losses["loss_kpt"].backward()
    assert model.head.final_layer.weight.grad.abs().sum() > 0
    assert not losses["acc_pose"].requires_grad


def test_accuracy_counts_keypoints_that_occur(model):
    codec = model.head.decoder  # 12x16 heatmaps
    pixels = torch.tensor([[[2.0, 3.0], [6.0, 8.0], [9.0, 9.0]]] * 2)
    keypoints = pixels * torch.tensor(codec.stride_xy)
    heatmaps, weight = codec.encode(keypoints, torch.ones(2, 3))
    assert pck(heatmaps, keypoints, weight, codec) == 1
    heatmaps[1, 1] = heatmaps[1, 1].roll(1, dims=-1)  # a twelfth of the width away
    weight[:, 2] = 0
    shares = [pck(heatmaps, keypoints, weight, codec, at).item() for at in (0.05, 0.07, 0.1)]
    assert shares == [0.75, 0.75, 1]
    assert pck(heatmaps, keypoints, torch.zeros(2, 3), codec) == 0
    heatmaps[1, 1] = heatmaps[0, 1].roll(1, dims=-2)  # a sixteenth of the height
    at_it, above = (pck(heatmaps, keypoints, weight, codec, 0.0625 + e) for e in (0, 1e-6))
    assert (at_it, above) == (0.75, 1), "a distance at the threshold is not near"


def test_a_batch_whose_every_keypoint_is_invisible_has_no_loss(model):
    inputs = torch.randn(2, 3, 64, 48)
    keypoints = torch.full((2, 17, 2), 20.0)
    losses = model.head.loss(model(inputs), keypoints, torch.zeros(2, 17))
    losses["loss_kpt"].backward()
    assert losses["loss_kpt"] == 0 and losses["acc_pose"] == 0
    assert model.head.final_layer.weight.grad.eq(0).all()


def test_accuracy_of_a_keypoint_outside_asks_for_the_border(model):
    keypoints = torch.tensor([[[60.0, 30.0]]])
    heatmaps, weight = model.head.decoder.encode(keypoints, torch.ones(1, 1))
    assert pck(heatmaps, keypoints, weight, model.head.decoder) == 1


def test_predictions_go_back_through_the_crops_matrix(model):
    inputs = torch.randn(2, 3, 64, 48)
    matrices = udp_matrix([(100, 80), (30, 40)], [(75, 100), (60, 80)], (48, 64), [0, 25])
    samples = [DataSample(metainfo={"warp_matrix": matrix}) for matrix in matrices]
    with torch.no_grad():
        in_crop = model(inputs, mode="predict")
        in_image = model(inputs, samples, mode="predict")
    for here, there, matrix in zip(in_crop, in_image, matrices, strict=True):
        assert there.pred_instances.keypoints.shape == (1, 17, 2)
        assert there.pred_instances.keypoint_scores.shape == (1, 17)
        np.testing.assert_allclose(
            geometry.transform_points(there.pred_instances.keypoints.double().numpy(), matrix),
            here.pred_instances.keypoints,
            atol=1e-3,
        )


def test_flip_test_treats_both_sides_alike(model):
    """A mirrored input gives the mirrored heatmaps, left and right exchanged."""
    inputs = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        straight, mirrored = (
            [sample.pred_instances for sample in model(x, mode="predict")]
            for x in (inputs, inputs.flip(-1))
        )
        model.test_views.flip = False
        single = model(inputs, mode="predict")[0].pred_instances
    swap = list(model.metainfo.keypoint_swap_indices)
    for a, b in zip(straight, mirrored, strict=True):
        torch.testing.assert_close(a.keypoint_scores, b.keypoint_scores[:, swap])
    assert not torch.allclose(straight[0].keypoint_scores, single.keypoint_scores)


def test_the_releases_name_of_the_flip_still_loads(recorded):
    cfg = config(recorded.meta)
    del cfg["test_views"]
    for test_cfg, flips in ((None, False), (dict(flip_test=True), True), (dict(), True)):
        assert MODELS.build({**cfg, "test_cfg": test_cfg}).test_views.flip == flips
    views = {"test_views": dict(flip=True, scales=(1.0, 2.0)), "test_cfg": dict(flip_test=False)}
    built = MODELS.build({**cfg, **views}).test_views
    assert (built.flip, built.scales) == (False, (1.0, 2.0)), "the release's word is the later one"


def test_resized_views_are_averaged_at_the_size_of_the_heatmaps(recorded):
    cfg = {**config(recorded.meta), "test_views": dict(scales=(0.5, 1.0))}
    model = MODELS.build(cfg).eval()
    with torch.no_grad():
        (person,) = model(torch.randn(1, 3, 64, 48), mode="predict")
    assert person.pred_instances.keypoints.shape == (1, 17, 2)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_checkpointing_changes_no_gradient(recorded, checkpointing):
    model = MODELS.build(config(recorded.meta, activation_checkpointing=checkpointing))
    model.load_state_dict(recorded.state_dict)
    inputs = torch.ones(2, 3, 64, 48)
    targets = {
        "keypoints": torch.full((2, 17, 2), 20.0),
        "keypoints_visible": torch.ones(2, 17),
    }
    model(inputs, mode="loss", targets=targets)["loss_kpt"].backward()
    expected = MODELS.build(config(recorded.meta))
    expected.load_state_dict(recorded.state_dict)
    expected(inputs, mode="loss", targets=targets)["loss_kpt"].backward()
    for (name, p), q in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=name)


def test_a_dataset_with_other_keypoints_is_an_error(model):
    with pytest.raises(ConfigError, match="gives 133 keypoints, but the head has out_channels=17"):
        model(torch.randn(2, 3, 64, 48), people(num_keypoints=133), mode="loss")


@pytest.mark.parametrize(
    ("head", "change", "message"),
    [
        (dict(out_channels=133), {}, "out_channels is 133, but coco has 17"),
        ({}, dict(test_views=dict(scales=())), "factors > 0"),
        ({}, dict(test_cfg=dict(flip_tset=True)), 'nothing reads the key "flip_tset"'),
        ({}, dict(test_cfg=dict(shift_heatmap=True)), "shift_heatmap=True"),
        ({}, dict(test_views=True), r"test_views: expected dict\(flip=True"),
        ({}, dict(test_views=dict(flipp=True)), 'test_views: .*"flipp".*Did you mean "flip"'),
        ({}, dict(test_views=dict(flip="yes")), "test_views.flip: expected True or False"),
        ({}, dict(test_views=dict(scales=("1.0",))), "test_views.scales: expected factors"),
        ({}, dict(test_views=dict(scales=1.0)), "test_views.scales: expected factors"),
        ({}, dict(eval_dtype="bf16"), 'model.eval_dtype: expected one of .* found "bf16"'),
    ],
)
def test_contradictions_are_errors(recorded, head, change, message):
    with pytest.raises(ConfigError, match=message):
        MODELS.build({**config(recorded.meta, **head), **change})


@pytest.mark.parametrize(
    ("key", "size", "expected"),
    [("input_size", (64, 48), (48, 64)), ("heatmap_size", (16, 12), (12, 16))],
)
def test_decoder_sizes_must_be_the_models(recorded, key, size, expected):
    cfg = config(recorded.meta)
    cfg["head"]["decoder"][key] = expected
    MODELS.build(cfg)
    cfg["head"]["decoder"][key] = size
    with pytest.raises(ConfigError, match=f"decoder.{key} is .*width, height"):
        MODELS.build(cfg)
