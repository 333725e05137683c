"""Masked autoencoding: the recorded numbers, what is masked, gradients, weights, bad input."""

import numpy as np
import pytest
import torch

from engine.checkpoint import load_weights
from engine.data import DataSample
from engine.errors import ConfigError, WeightsError
from pretrain import MAE, MAEPretrainHead, MAEViT, VisionTransformer
from pretrain.position import sincos_positions

SMALL = {"embed_dims": 32, "num_layers": 2, "num_heads": 4, "feedforward_channels": 128}
DECODER = {"decoder_embed_dim": 32, "decoder_depth": 2, "decoder_num_heads": 4}


def make(arch=SMALL, img_size=64, mask_ratio=0.75, norm_pix=True, decoder=DECODER, **both) -> MAE:
    torch.manual_seed(0)
    loss = {"type": "PixelReconstructionLoss"}
    return MAE(
        {"type": "MAEViT", "arch": arch, "img_size": img_size, "mask_ratio": mask_ratio, **both},
        {"type": "MAEPretrainDecoder", **decoder, **both},
        {"type": "MAEPretrainHead", "norm_pix": norm_pix, "loss": loss},
    )


def noise_for(batch, num_patches=16):
    return torch.rand(batch, num_patches, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("norm_pix", "key"), [(True, "loss_norm_pix"), (False, "loss_raw")])
def test_mask_prediction_and_loss_equal_the_recorded_ones(norm_pix, key, golden):
    recorded = golden("mae")
    decoder = {f"decoder_{k}": v for k, v in recorded.meta["decoder"].items()}
    model = make(recorded.meta["arch"], norm_pix=norm_pix, decoder=decoder)
    model.load_state_dict(recorded.state_dict, strict=True)
    inputs, noise = recorded["in/x"], recorded["in/noise"]
    pred, mask = model(inputs, mode="tensor", noise=noise)
    assert torch.equal(mask, recorded["out/mask"])
    torch.testing.assert_close(pred, recorded["out/pred"], rtol=0, atol=1e-4)
    loss = model(inputs, mode="loss", noise=noise)["loss"]
    torch.testing.assert_close(loss, recorded[f"out/{key}"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("arch", "encoder", "trainable", "decoder"),
    [
        ("0.3b", 307_295_232, 303_099_904, 28_237_056),
        ("0.6b", 635_910_400, 630_666_240, 28_368_128),
        ("1b", 1_140_739_584, 1_134_446_592, 28_499_200),
        ("2b", 2_133_912_960, 2_126_046_720, 28_695_808),
    ],
)
def test_parameter_counts_are_the_published_ones(arch, encoder, trainable, decoder):
    with torch.device("meta"):
        model = make(arch, img_size=1024, decoder={})
    assert sum(p.numel() for p in model.backbone.parameters()) == encoder
    assert sum(p.numel() for p in model.backbone.parameters() if p.requires_grad) == trainable
    assert sum(p.numel() for p in model.neck.parameters()) == decoder
    assert not list(model.head.parameters())
    assert not model.neck.decoder_pos_embed.requires_grad


def test_the_decoder_is_as_wide_as_its_arguments_say():
    neck = make(decoder={**DECODER, "mlp_ratio": 3}).neck
    shapes = {name: tuple(p.shape) for name, p in neck.decoder_blocks[1].ffn.named_parameters()}
    assert shapes["layers.0.0.weight"] == (3 * 32, 32) and shapes["layers.1.weight"] == (32, 3 * 32)


def test_the_encoder_is_that_of_the_vision_transformer(images):
    encoder = make().backbone
    plain = VisionTransformer(SMALL, img_size=64)
    plain.load_state_dict(encoder.state_dict(), strict=True)
    plain.out_type = "raw"
    encoder.set_mask_ratio(0)
    in_order = torch.linspace(0, 1, 16).expand(2, -1)
    torch.testing.assert_close(encoder(images, in_order)[0], plain(images)[0])


def test_only_kept_patches_and_the_class_token_pass_through_the_encoder(images):
    model = make(mask_ratio=0.75)
    seen = {}
    for part in (model.backbone.layers[0], model.neck.decoder_blocks[0]):
        part.register_forward_pre_hook(lambda m, args: seen.update({m: args[0].shape}))
    model(images, mode="loss")
    assert seen[model.backbone.layers[0]] == (2, 1 + 4, 32)
    assert seen[model.neck.decoder_blocks[0]] == (2, 1 + 16, 32)


def test_kept_are_the_patches_with_the_smallest_noise(images):
    noise = noise_for(2)
    _, mask = make()(images, mode="tensor", noise=noise)
    assert mask.sum(dim=1).tolist() == [12, 12]
    for row, removed in zip(noise, mask.bool(), strict=True):
        assert row[~removed].max() < row[removed].min()


def test_removed_pixels_do_not_reach_the_prediction_and_kept_ones_not_the_loss(images):
    model, noise = make(norm_pix=False), noise_for(2)
    pred, mask = model(images, mode="tensor", noise=noise)
    loss = model(images, mode="loss", noise=noise)["loss"]
    removed = mask.bool()[..., None].expand_as(pred)
    target = model.head.patchify(images)
    expected = (pred - target)[removed].square().mean()
    torch.testing.assert_close(loss, expected)

    changed = model.head.unpatchify(torch.where(removed, target + 1, target), (4, 4))
    torch.testing.assert_close(model(changed, mode="tensor", noise=noise)[0], pred)


def test_masks_belong_to_the_samples(images):
    """The same keys give the same masks, wherever in a batch and whatever torch has drawn."""
    model = make()

    def masks(*keys):
        samples = [DataSample(metainfo={"sample_key": key}) for key in keys]
        predicted = model(images[: len(keys)], samples, mode="predict")
        return [sample.patch_mask.data for sample in predicted]

    first = masks((0, 0, 5), (0, 0, 6))
    torch.rand(3)
    second = masks((0, 0, 6), (0, 1, 5))
    assert torch.equal(first[1], second[0])
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[0], second[1])


def test_masks_and_crops_are_drawn_apart(images):
    """A mask that is made of the numbers of its sample's crop would depend on it."""
    keys = [(0, 0, index) for index in range(4)]
    samples = [DataSample(metainfo={"sample_key": key}) for key in keys]
    predicted = make()(images[:1].expand(4, -1, -1, -1), samples, mode="predict")
    masks = [sample.patch_mask.data.flatten() for sample in predicted]
    for key, mask in zip(keys, masks, strict=True):
        drawn = np.random.default_rng(key).random(16, np.float32)
        assert set(np.argsort(drawn)[:4].tolist()) != set((mask == 0).nonzero().flatten().tolist())


def test_masks_without_keys_are_drawn_by_torch(images):
    model = make()
    torch.manual_seed(3)
    first, second = (model(images, mode="tensor")[1] for _ in range(2))
    torch.manual_seed(3)
    assert torch.equal(model(images, mode="tensor")[1], first)
    assert not torch.equal(first, second)


def test_patches_are_rows_columns_channels_and_can_be_put_back():
    images = torch.arange(2 * 3 * 32 * 48.0).view(2, 3, 32, 48)
    head = MAEPretrainHead({"type": "PixelReconstructionLoss"})
    patches = head.patchify(images)
    assert patches.shape == (2, 6, 768)
    # Patch (1, 2), pixel (3, 4), channel 1.
    assert patches[1, 1 * 3 + 2, (3 * 16 + 4) * 3 + 1] == images[1, 1, 16 + 3, 32 + 4]
    assert torch.equal(head.unpatchify(patches, (2, 3)), images)


def test_an_oblong_image_is_put_together(images):
    oblong, head = images[..., :32], make(norm_pix=False).head
    assert torch.equal(head.reconstruct(head.patchify(oblong), oblong), oblong)


@pytest.mark.parametrize("norm_pix", [False, True])
def test_a_perfect_prediction_has_no_loss_and_is_the_image(norm_pix, images):
    head = make(norm_pix=norm_pix).head
    pred = head.patchify(images)
    if norm_pix:
        std, mean = torch.std_mean(pred, dim=-1, keepdim=True)
        pred = (pred - mean) / (std**2 + 1e-6).sqrt()
    assert head.loss(pred, images, torch.ones(2, 16))["loss"] < 1e-10
    torch.testing.assert_close(head.reconstruct(pred, images), images, rtol=0, atol=1e-5)


def test_predictions_are_pictures(images):
    model = make().eval()
    (sample, _) = model(images, mode="predict", noise=noise_for(2))
    assert sample.reconstruction.data.shape == (3, 64, 64)
    assert sample.reconstruction.data.dtype == torch.uint8
    assert sample.patch_mask.data.shape == (1, 4, 4)
    assert sample.patch_mask.data.sum() == 12


def test_activation_checkpointing_gives_the_same_gradients(images):
    gradients = []
    for checkpointing in (False, True):
        model = make(activation_checkpointing=checkpointing)
        model(images, mode="loss", noise=noise_for(2))["loss"].backward()
        gradients.append({k: p.grad for k, p in model.named_parameters() if p.requires_grad})
    assert all(gradient is not None for gradient in gradients[0].values())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-5)


def test_activation_checkpointing_computes_encoder_and_decoder_twice(images, count_calls):
    model = make(activation_checkpointing=True)
    calls = count_calls([*model.backbone.layers, *model.neck.decoder_blocks])
    model(images, mode="loss", noise=noise_for(2))["loss"].backward()
    assert set(calls) == {2}


def test_initial_weights_are_redrawn_and_positions_kept():
    model = make()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.init_weights()
    same = {key for key, value in model.state_dict().items() if torch.equal(value, before[key])}
    assert {"backbone.pos_embed", "neck.decoder_pos_embed"} <= same
    assert not same & {"backbone.cls_token", "neck.mask_token", "neck.decoder_embed.weight"}


def test_learns_under_bfloat16(images):
    model, noise = make(), noise_for(2)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    losses = []
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(images, mode="loss", noise=noise)["loss"]
        assert loss.dtype == torch.float32
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def facebook_order(positions):
    rows, columns = positions.chunk(2, dim=-1)
    return torch.cat((columns, rows), dim=-1)


@pytest.mark.parametrize("key", ["backbone.pos_embed", "neck.decoder_pos_embed"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (facebook_order, "It is facebook/mae's, which has columns before rows"),
        (lambda p: p + 0.02 * torch.randn_like(p), "likely cause is facebook/mae's order"),
    ],
    ids=["facebook", "learnt"],
)
def test_other_positions_than_the_table_are_not_loaded(key, change, message, tmp_path):
    model = make()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state[key] = change(state[key])
    torch.save(state, tmp_path / "mae.pth")
    with pytest.raises(WeightsError, match=f"mae.pth: {key} is not the fixed .*4x4.*{message}"):
        load_weights(model, tmp_path / "mae.pth")
    with pytest.raises(WeightsError, match=key):
        model.load_state_dict(state)


def test_half_precision_files_are_loaded():
    model = make()
    state = {key: value.bfloat16() for key, value in model.state_dict().items()}
    other = make()
    other.load_state_dict(state)
    weight, loaded = (some.backbone.layers[0].attn.qkv.weight for some in (model, other))
    assert torch.equal(loaded, weight.bfloat16().float()), "positions are compared within rounding"


def test_weights_of_another_size_get_the_table_of_the_new_one(tmp_path):
    torch.save(make(img_size=64).backbone.state_dict(), tmp_path / "backbone.pth")
    encoder = make(img_size=96).backbone
    load_weights(encoder, tmp_path / "backbone.pth")
    assert torch.equal(encoder.pos_embed, sincos_positions((6, 6), 32))

    state = make(img_size=64).backbone.state_dict()
    state["pos_embed"] = facebook_order(state["pos_embed"])
    torch.save(state, tmp_path / "backbone.pth")
    with pytest.raises(WeightsError, match=r"backbone.pth: pos_embed is not the fixed .*4x4"):
        load_weights(encoder, tmp_path / "backbone.pth")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"img_size": (64, 48)}, "equal sides.*found 64x48"),
        ({"img_size": 60}, "multiples of 16.*found 60x60"),
        ({"img_size": 64, "patch_cfg": {"padding": 2}}, "padding 2"),
        ({"img_size": 64, "mask_ratio": 0.95}, "mask_ratio=0.95 keeps none of 16 patches"),
        ({"img_size": 64, "mask_ratio": 1.0}, "keeps none"),
        ({"img_size": 64, "mask_ratio": -0.5}, "negative"),
    ],
)
def test_bad_arguments_of_the_encoder(kwargs, message):
    with pytest.raises(ConfigError, match=message):
        MAEViT(SMALL, **kwargs)


def test_unknown_criterion():
    with pytest.raises(ConfigError, match="L1, L2; found 'L3'"):
        MAEPretrainHead({"type": "PixelReconstructionLoss", "criterion": "L3"})


def test_no_mask_is_possible_and_has_no_loss(images):
    assert make(mask_ratio=0)(images, mode="loss")["loss"] == 0


def test_noise_of_another_shape_is_an_error():
    encoder = MAEViT(SMALL, img_size=64)
    with pytest.raises(ValueError, match=r"one number for each patch, \(2, 16\); found \(2, 11\)"):
        encoder(torch.zeros(2, 3, 64, 64), noise=torch.rand(2, 11))


@pytest.mark.parametrize("size_hw", [(64, 48), (48, 64)])
def test_images_of_another_size_are_an_error(size_hw):
    said = f"images are {size_hw[0]}x{size_hw[1]} .*model is for 64x64"
    with pytest.raises(ConfigError, match=said):
        make()(torch.zeros(1, 3, *size_hw), mode="loss")


@pytest.mark.parametrize(("size", "num_patches"), [(8, 64), (32, 4)])
def test_patches_of_another_size_reach_decoder_and_head(images, size, num_patches):
    loss = {"type": "PixelReconstructionLoss"}
    model = MAE(
        {"type": "MAEViT", "arch": SMALL, "img_size": 64, "patch_size": size, "mask_ratio": 0.5},
        {"type": "MAEPretrainDecoder", **DECODER},
        {"type": "MAEPretrainHead", "loss": loss},
    )
    pred, mask = model(images, mode="tensor", noise=noise_for(2, num_patches))
    assert pred.shape == (2, num_patches, size * size * 3)
    assert mask.sum(dim=1).tolist() == [num_patches / 2] * 2
    assert torch.equal(model.head.reconstruct(model.head.patchify(images), images), images)
    (sample, _) = model(images, mode="predict")
    assert sample.patch_mask.data.shape == (1, 64 // size, 64 // size)


def test_images_of_one_channel():
    loss = {"type": "PixelReconstructionLoss", "criterion": "L1"}
    model = MAE(
        {"type": "MAEViT", "arch": SMALL, "img_size": 64, "in_channels": 1},
        {"type": "MAEPretrainDecoder", **DECODER, "in_chans": 1},
        {"type": "MAEPretrainHead", "loss": loss},
    )
    images, noise = torch.randn(1, 1, 64, 64), noise_for(1)
    pred, mask = model(images, mode="tensor", noise=noise)
    removed = mask[0].bool()
    expected = (pred - model.head.patchify(images))[0, removed].abs().mean()
    torch.testing.assert_close(model(images, mode="loss", noise=noise)["loss"], expected)


@pytest.mark.parametrize(("ratio", "num_kept"), [(0, 16), (0.5, 8), (0.9375, 1), (0.74, 4)])
def test_what_is_kept_is_at_least_one(ratio, num_kept):
    assert MAEViT(SMALL, img_size=64, mask_ratio=ratio).num_kept == num_kept
    with pytest.raises(ConfigError, match="keeps none of 16 patches"):
        MAEViT(SMALL, img_size=64, mask_ratio=0.94)


def test_masks_of_samples_of_which_one_has_no_key_are_drawn(images):
    model = make()
    samples = [DataSample(metainfo={"sample_key": (0, 0, i)}) for i in range(2)]
    noise = model._noise(samples, images.device)
    assert torch.equal(noise, model._noise(samples, images.device)) and noise.shape == (2, 16)
    assert model._noise([samples[0], DataSample()], images.device) is None
    assert model._noise(None, images.device) is None and model._noise([], images.device) is None
