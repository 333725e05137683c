import pytest
import torch
from mmengine.registry import init_default_scope

from engine.compile import compilable_blocks, compile_blocks
from engine.errors import ConfigError
from seg.registry import MODELS

ARCH = {"embed_dims": 24, "num_layers": 2, "num_heads": 2, "feedforward_channels": 48}


def make_model(checkpointing=False):
    torch.manual_seed(0)
    init_default_scope("seg")
    backbone = dict(
        type="pretrain.VisionTransformer",
        arch=ARCH,
        img_size=(32, 48),
        with_cls_token=False,
        out_type="featmap",
        activation_checkpointing=checkpointing,
    )
    head = dict(
        type="VitHead",
        num_classes=3,
        deconv_out_channels=(16,),
        deconv_kernel_sizes=(4,),
        conv_out_channels=(16,),
        conv_kernel_sizes=(1,),
        activation_checkpointing=checkpointing,
    )
    return MODELS.build(dict(type="EncoderDecoder", backbone=backbone, decode_head=head))


def loss_and_gradients(model, batch_size=2):
    torch.manual_seed(1)
    inputs = torch.randn(batch_size, 3, 32, 48)
    loss = model(inputs, mode="loss", targets=model.synthetic_targets(inputs))["decode.loss_ce"]
    loss.backward()
    return {"loss": loss.detach()} | {n: p.grad for n, p in model.named_parameters()}


@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiled_models_compute_the_same(checkpointing):
    plain, model = make_model(), make_model(checkpointing)
    assert compile_blocks(model, dict(backend="aot_eager")) == 2 + 2
    assert list(model.state_dict()) == list(plain.state_dict())
    expected, found = loss_and_gradients(plain), loss_and_gradients(model)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dropout, batch_size", [(0.0, 2), (0.5, 1)])
def test_checkpointing_computes_the_same(dropout, batch_size):
    """One image with dropout, too: what is computed again is dropped again."""
    plain, model = make_model(), make_model(checkpointing=True)
    for some in (plain, model):
        some.decode_head.dropout.p = dropout
    expected = loss_and_gradients(plain, batch_size)
    torch.testing.assert_close(
        loss_and_gradients(model, batch_size), expected, atol=1e-6, rtol=1e-4
    )


def test_checkpointing_keeps_little_but_the_inputs_of_layers():
    def kept_bytes(model):
        inputs = torch.randn(4, 3, 32, 48)
        given = {x.untyped_storage().data_ptr() for x in (inputs, *model.parameters())}
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
            model(inputs)
        storages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in kept}
        return sum(size for pointer, size in storages.items() if pointer not in given)

    plain, model = make_model(), make_model(checkpointing=True)
    assert kept_bytes(model) < kept_bytes(plain) / 4


def test_blocks_are_the_layers_and_the_norms():
    model = make_model()
    head = model.decode_head
    norms = [head.deconv_layers[1], head.conv_layers[1]]
    assert compilable_blocks(model) == [*model.backbone.layers, *norms]


def test_compiling_can_be_off():
    model = make_model()
    assert compile_blocks(model, False) == 0
    assert model.backbone.layers[0]._compiled_call_impl is None


@pytest.mark.parametrize("options, message", [("inductor", "found 'inductor'"), (1, "found 1")])
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        compile_blocks(make_model(), options)


def test_models_without_blocks():
    with pytest.raises(ConfigError, match=r"Linear.*Remove the key"):
        compile_blocks(torch.nn.Linear(2, 2))
