"""Features as files, and pictures of attention."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import nn

from engine.config import load_config
from engine.data import DataSample
from engine.errors import ConfigError, DataError
from engine.image_files import write_rgb
from engine.infer import Failure, find_images, init_model, predict_images
from pretrain import FeatureExtractor, VisionTransformer
from pretrain.features import FeatureWriter, attention_maps, draw_attention

SMALL = {"embed_dims": 32, "num_layers": 2, "num_heads": 4, "feedforward_channels": 64}


def make(with_cls_token=True, out_type="featmap", **kwargs):
    torch.manual_seed(0)
    backbone = {
        "type": "VisionTransformer",
        "arch": SMALL,
        "img_size": (64, 64),
        "with_cls_token": with_cls_token,
        "out_type": out_type,
    }
    return FeatureExtractor(backbone, **kwargs).eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_features_are_the_backbones(images):
    model = make()
    samples = model(images, mode="predict")
    expected = model.backbone(images)[0]
    assert samples[1].features.data.shape == (32, 4, 4) and "attention" not in samples[1]
    assert torch.equal(torch.stack([s.features.data for s in samples]), expected)


@pytest.mark.parametrize("with_cls_token", [True, False])
def test_attention_is_the_row_of_the_softmax(images, with_cls_token):
    """Against torch's own attention, which gives whole matrices."""
    model = make(with_cls_token)
    block = model.backbone.layers[1]
    given = []
    block.attn.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    model(images)
    x = given[0]
    oracle = nn.MultiheadAttention(32, 4, batch_first=True)
    oracle.in_proj_weight.data = block.attn.qkv.weight.data
    oracle.in_proj_bias.data = block.attn.qkv.bias.data
    extra = int(with_cls_token)
    centre = extra + 2 * 4 + 2
    queries = {"centre": x[:, centre : centre + 1], "mean": x[:, extra:].mean(1, keepdim=True)}
    if with_cls_token:
        queries["cls_token"] = x[:, :1]
    for query, token in queries.items():
        weights = oracle(token, x, x, average_attn_weights=False)[1][:, :, 0, extra:]
        maps = attention_maps(block.attn, x, query, (4, 4))
        torch.testing.assert_close(maps, weights.unflatten(-1, (4, 4)))


@pytest.mark.parametrize(("layer", "heads"), [(-1, None), (0, [2, 0])])
def test_maps_are_of_the_layer_and_heads_asked_for(images, layer, heads):
    model = make(attention_query="cls_token", attention_layer=layer, attention_heads=heads)
    given = []
    model.backbone.layers[layer].attn.register_forward_pre_hook(lambda _, args: given.append(args))
    first, _ = model(images, mode="predict")
    maps = attention_maps(model.backbone.layers[layer].attn, given[0][0], "cls_token", (4, 4))
    assert torch.equal(first.attention.data, maps[0, heads or [0, 1, 2, 3]])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"out_type": "raw"}, "out_type is 'raw'; it must be 'featmap'"),
        ({"attention_query": "nose"}, "'nose' is none of cls_token, mean, centre"),
        ({"attention_query": "cls_token", "with_cls_token": False}, "with_cls_token=True"),
        ({"attention_query": "mean", "attention_layer": 2}, "attention_layer=2 .* 2 layers"),
        ({"attention_query": "mean", "attention_heads": [4]}, r"\[4\] are not among 4 heads"),
        ({"attention_query": "mean", "attention_heads": []}, "attention_heads"),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ConfigError, match=message):
        make(**kwargs)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_writer_writes_arrays_and_pictures(dtype, tmp_path):
    sample = DataSample()
    features = torch.randn(5, 4, 3)
    sample.features = PixelData(data=features)
    sample.attention = PixelData(data=torch.rand(3, 4, 3))
    FeatureWriter(dtype=dtype).write(sample, np.zeros((80, 60, 3), np.uint8), tmp_path / "a.b")
    written = np.load(tmp_path / "a.b.npy")
    assert written.dtype == dtype and np.array_equal(written, features.numpy().astype(dtype))
    assert (tmp_path / "a.b_attention.png").is_file()


def test_values_beyond_float16_are_an_error(tmp_path):
    sample = DataSample()
    sample.features = PixelData(data=torch.full((2, 1, 1), 1e5))
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(DataError, match="not finite as float16"):
        FeatureWriter(dtype="float16").write(sample, image, tmp_path / "a")
    FeatureWriter().write(sample, image, tmp_path / "a")
    with pytest.raises(ConfigError, match="found 'int8'"):
        FeatureWriter(dtype="int8")


@pytest.mark.parametrize(("num", "grid_hw"), [(1, (1, 1)), (3, (2, 2)), (5, (2, 3)), (32, (6, 6))])
def test_all_heads_are_drawn(num, grid_hw):
    maps = np.zeros((num, 2, 2), np.float32)
    maps[:, 0, 0] = 0.5
    picture = draw_attention(np.zeros((40, 20, 3), np.uint8), maps, opacity=1.0)
    assert picture.shape == (40 * grid_hw[0], 20 * grid_hw[1], 3)
    panels = (
        picture.reshape(grid_hw[0], 40, grid_hw[1], 20, 3).swapaxes(1, 2).reshape(-1, 40, 20, 3)
    )
    assert sum(panel.any() for panel in panels) == num
    assert (panels[0][0, 0] == (253, 231, 37)).all(), "the end of viridis, where it looks most"


def test_files_of_mixed_sizes_through_the_config(root, tmp_path):
    cfg = load_config(
        root / "configs/pretrain/features/sapiens_tiny_features-256x256.py",
        {"input_size_hw": (64, 64), "model.attention_query": "mean"},
    )
    torch.save(
        VisionTransformer("tiny", img_size=64).state_dict(), tmp_path / "sapiens_tiny_clean.pth"
    )
    model, _ = init_model(cfg, tmp_path / "sapiens_tiny_clean.pth", "cpu")
    rng = np.random.default_rng(0)
    for name, size_hw in {"a": (64, 64), "b": (90, 50), "c": (20, 200)}.items():
        write_rgb(tmp_path / f"{name}.png", rng.integers(0, 256, (*size_hw, 3), np.uint8))
    (tmp_path / "d.png").write_bytes(b"no image")
    found = find_images(f"{tmp_path}/*.png")
    results = list(predict_images(model, cfg, found, batch_size=3, num_workers=0))
    assert isinstance(results.pop(), Failure) and len(results) == 3
    for image, sample, _ in results:
        assert sample.features.data.shape == (192, 4, 4)
        (alone,) = predict_images(model, cfg, [image], num_workers=0)
        torch.testing.assert_close(alone[1].features.data, sample.features.data)
        assert sample.attention.data.shape == (3, 4, 4)


@pytest.mark.parametrize("layer", [-2, 1])
def test_the_first_and_the_last_layer_may_be_asked_for(images, layer):
    (first, _) = make(attention_query="mean", attention_layer=layer)(images, mode="predict")
    assert first.attention.data.shape == (4, 4, 4)
    with pytest.raises(ConfigError, match="attention_layer=-3"):
        make(attention_query="mean", attention_layer=-3)


def test_features_are_averaged_over_views_at_the_grid_of_the_input(images):
    model = make(test_views=dict(flip=True, scales=(1.0, 0.5)))
    samples = model(images, mode="predict")
    total = 0
    for size_hw in ((64, 64), (32, 32)):
        view = images
        if size_hw != (64, 64):
            view = F.interpolate(images, size_hw, mode="bilinear", antialias=True)
        for mirrored in (False, True):
            features = model.backbone(view.flip(-1) if mirrored else view)[0]
            features = features.flip(-1) if mirrored else features
            if size_hw != (64, 64):
                features = F.interpolate(features, (4, 4), mode="bilinear")
            total = total + features / 4
    torch.testing.assert_close(torch.stack([s.features.data for s in samples]), total)


def test_the_grid_of_an_oblong_input_is_oblong(images):
    model = make(test_views=dict(flip=True))
    (sample,) = model(images[:1, ..., :32], mode="predict")
    assert sample.features.data.shape == (32, 4, 2)


def test_the_precision_of_an_evaluation_is_the_configs():
    assert make().eval_dtype == "float32" and make(eval_dtype="bfloat16").eval_dtype == "bfloat16"
    with pytest.raises(ConfigError, match=r"model.eval_dtype: .*found \"int8\""):
        make(eval_dtype="int8")


@pytest.mark.parametrize("save", [None, ["features"], ["attention"]])
def test_what_of_features_is_saved(save, tmp_path):
    sample = DataSample()
    sample.features = PixelData(data=torch.randn(5, 4, 3))
    writer = FeatureWriter(save=save)
    image = np.zeros((8, 6, 3), np.uint8)
    if save != ["attention"]:
        writer.write(sample, image, tmp_path / "plain")
        assert [path.name for path in tmp_path.iterdir()] == ["plain.npy"]
        assert writer.sure_suffixes == (".npy",)
    sample.attention = PixelData(data=torch.rand(3, 4, 3))
    writer.write(sample, image, tmp_path / "a")
    written = {path.name for path in tmp_path.glob("a*")}
    names = {"features": "a.npy", "attention": "a_attention.png"}
    assert written == {names[name] for name in save or names}


@pytest.mark.parametrize("opacity", [0.0, 0.25])
def test_the_opacity_of_attention_is_the_writers(opacity):
    sample = DataSample()
    with pytest.raises(ConfigError, match='attention_query="centre"'):
        FeatureWriter().picture(sample, np.zeros((8, 6, 3), np.uint8))
    sample.attention = PixelData(data=torch.ones(1, 2, 2))
    image = np.full((8, 6, 3), (80, 60, 20), np.uint8)
    picture = FeatureWriter(opacity=opacity).picture(sample, image[..., ::-1])
    expected = (1 - opacity) * image[0, 0] + opacity * np.array([253, 231, 37])
    assert abs(picture - expected).max() <= 1


@pytest.mark.parametrize(("size_hw", "panel_hw"), [((256, 9), (256, 9)), ((512, 1), (256, 1))])
def test_panels_of_attention_are_256_high_or_wide_at_most(size_hw, panel_hw):
    picture = draw_attention(np.zeros((*size_hw, 3), np.uint8), np.zeros((1, 2, 2), np.float32))
    assert picture.shape[:2] == panel_hw


def test_heads_without_a_bias_attend_as_those_with_a_bias_of_zero(images):
    with_bias, without = make().backbone.layers[0].attn, make().backbone.layers[0].attn
    nn.init.zeros_(with_bias.qkv.bias)
    without.qkv.bias = None
    x = torch.randn(1, 17, 32)
    maps = [attention_maps(attention, x, "mean", (4, 4)) for attention in (with_bias, without)]
    torch.testing.assert_close(*maps)


def test_attention_does_not_flicker_in_a_video():
    """A patch is as bright as the attention it gets, whatever others get meanwhile."""
    image = np.zeros((8, 8, 3), np.uint8)
    draw = FeatureWriter(opacity=1.0).frame_drawer()
    samples = []
    for highest in (0.4, 0.8, 0.4):
        sample = DataSample()
        maps = torch.tensor([[[highest, 0.2], [0.2, 0.2]]])
        sample.attention = PixelData(data=maps)
        samples.append(sample)
    first, second, third = (draw(sample, image) for sample in samples)
    assert (first[0, 0] == (253, 231, 37)).all() and (second[0, 0] == first[0, 0]).all()
    np.testing.assert_array_equal(third[-1, -1], second[-1, -1])
    assert (third[-1, -1] != first[-1, -1]).any()
