"""Frozen backbones with and without low-rank adapters: what learns, what is saved and read."""

import copy
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

import mmsapiens
from engine.adapters import Adapter, LoRALinear, apply_adapter, held_dtype
from engine.checkpoint import load_weights, read_checkpoint
from engine.checkpoint.adapted import base_of, read_whole
from engine.config import load_config
from engine.errors import ConfigError, WeightsError
from engine.infer.predict import init_model
from engine.model.base import BaseModel, build_model
from engine.optim.layer_decay import LayerDecayOptimWrapperConstructor
from engine.runner import Runner
from mmsapiens.benchmarks.model import Variant, measure
from mmsapiens.cli import dispatch
from mmsapiens.evaluation import prepare
from pretrain.vision_transformer import VisionTransformer
from tests.conftest import BARE, ROOT, TINIEST_ARCH
from tests.sharded_trainings import Trained, make_config, train_ranks

LORA = {"type": "lora", "rank": 4, "alpha": 8}
FACE = ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"


class Model(BaseModel):
    """A backbone and a linear head."""

    def __init__(self, **backbone):
        super().__init__()
        options = {"img_size": (64, 48), "with_cls_token": False, "out_type": "featmap"}
        self.backbone = VisionTransformer(TINIEST_ARCH, **{**options, **backbone})
        self.head = nn.Conv2d(48, 5, 1)

    def forward_tensor(self, inputs):
        (features,) = self.backbone(inputs)
        return self.head(features)


def adapted(adapter=LORA, dtype=None, **backbone):
    torch.manual_seed(0)
    model = Model(**backbone)
    apply_adapter(model, Adapter(**adapter), dtype)
    return model


def stir(model):
    """Gives adapters an effect."""
    for module in model.modules():
        if isinstance(module, LoRALinear):
            nn.init.normal_(module.lora_b, std=0.1)


IMAGES = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))


def test_adapters_begin_as_the_base_and_it_stays_as_it_is():
    torch.manual_seed(0)
    plain = Model()
    model = adapted()
    assert torch.equal(model(IMAGES), plain(IMAGES))
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    model(IMAGES).square().mean().backward()
    optimizer.step()
    before, after = plain.state_dict(), model.state_dict()
    assert not torch.equal(model(IMAGES), plain(IMAGES))
    assert frozen == {name for name in before if torch.equal(before[name], after[name])}
    learning = after.keys() - frozen
    assert learning - before.keys() == {
        f"backbone.layers.{i}.{layer}.{part}"
        for i in range(2)
        for layer in ("attn.qkv", "attn.proj", "ffn.layers.0.0", "ffn.layers.1")
        for part in ("lora_a", "lora_b")
    }
    assert {"backbone.ln1.weight", "backbone.layers.0.ln2.bias", "head.weight"} <= learning


def test_adapters_compute_what_the_paper_says_in_training_and_merged():
    linear, x = nn.Linear(6, 5), torch.randn(3, 6)
    layer = LoRALinear(copy.deepcopy(linear), Adapter("lora", rank=2, alpha=6))
    nn.init.normal_(layer.lora_b)
    expected = linear(x) + 6 / 2 * (x @ layer.lora_a.T @ layer.lora_b.T)
    torch.testing.assert_close(layer(x), expected)
    dropping = LoRALinear(linear, Adapter("lora", rank=2, dropout=1.0))
    nn.init.normal_(dropping.lora_b)
    assert torch.equal(dropping(x), nn.Linear.forward(dropping, x))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_frozen_backbone_has_no_graph_and_drops_nothing_in_training(checkpointing):
    drops = {"drop_rate": 0.5, "drop_path_rate": 0.5}
    model = adapted({"type": "frozen"}, **drops, activation_checkpointing=checkpointing).train()
    (first,), (second,) = model.backbone(IMAGES), model.backbone(IMAGES)
    assert first.grad_fn is None
    assert torch.equal(first, second)
    assert model.head.training
    model(IMAGES).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is not None] == [
        "head.weight",
        "head.bias",
    ]


@pytest.mark.parametrize("adapter", [LORA, {"type": "frozen"}])
def test_frozen_matrices_are_held_in_the_precision_of_the_run_with_the_same_result(adapter):
    held, plain = adapted(adapter, "bfloat16"), adapted(adapter)
    dtypes = {name: p.dtype for name, p in held.named_parameters()}
    for layer in ("patch_embed.projection", "layers.1.attn.qkv", "layers.0.ffn.layers.1"):
        assert dtypes[f"backbone.{layer}.weight"] == torch.bfloat16
    low = {name for name, dtype in dtypes.items() if dtype != torch.float32}
    assert not any(p.requires_grad for name, p in held.named_parameters() if name in low)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(held(IMAGES), plain(IMAGES))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiled_and_recomputed_adapters_learn_what_others_do(checkpointing):
    models = [adapted(), adapted(activation_checkpointing=checkpointing)]
    for model in models:
        torch.manual_seed(3)
        stir(model)
    for block in models[1].backbone.layers:
        block.compile(backend="aot_eager")
    for model in models:
        model(IMAGES).square().mean().backward()
    grads = [{n: p.grad for n, p in m.named_parameters() if p.grad is not None} for m in models]
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-5, atol=1e-7)


def test_layer_decay_gives_adapters_the_rate_of_their_layer():
    optimizer = {"type": "SGD", "lr": 1.0, "weight_decay": 0.1}
    wrapper = LayerDecayOptimWrapperConstructor({"optimizer": optimizer}, {"layer_decay_rate": 0.5})
    model = adapted()
    rates = {
        id(p): group["lr"]
        for group in wrapper(model).optimizer.param_groups
        for p in group["params"]
    }
    names = dict(model.named_parameters())
    assert len(rates) == sum(p.requires_grad for p in names.values())
    assert rates[id(names["backbone.layers.0.attn.qkv.lora_a"])] == 0.25
    assert rates[id(names["backbone.layers.1.ffn.layers.1.lora_b"])] == 0.5
    assert rates[id(names["head.weight"])] == 1.0


def test_layers_that_are_frozen_get_no_adapter():
    model = adapted(frozen_stages=1)
    assert not isinstance(model.backbone.layers[0].attn.qkv, LoRALinear)
    assert isinstance(model.backbone.layers[1].attn.qkv, LoRALinear)
    assert not any(p.requires_grad for p in model.backbone.layers[0].parameters())
    with pytest.raises(ConfigError, match="no layer gets one"):
        adapted(frozen_stages=2)


def test_targets_that_are_no_layers_are_named():
    with pytest.raises(ConfigError, match=r"k_proj names no linear layer.*qkv"):
        adapted({**LORA, "targets": ("qkv", "k_proj")})


@pytest.mark.parametrize(
    ("adapter", "more", "said"),
    [
        ({"type": "lora", "rang": 4}, {}, "rank"),
        ({"type": "lora", "rank": 0}, {}, "adapter.rank"),
        ({"type": "lora", "alpha": 0}, {}, "adapter.alpha"),
        ({"type": "lora", "dropout": 1.5}, {}, "adapter.dropout"),
        ({"type": "dora"}, {}, "adapter.type"),
        ({"rank": 4}, {}, "adapter"),
        ({"type": "frozen", "rank": 4}, {}, "nothing reads rank"),
        ({"type": "lora"}, {"sharding": {"type": "fsdp2"}}, "cannot be sharded"),
    ],
)
def test_configs_say_what_is_wrong_with_an_adapter(adapter, more, said):
    with pytest.raises(ConfigError, match=said):
        load_config(FACE, {"adapter": adapter, **more})


def test_a_misspelt_adapter_is_told():
    with pytest.raises(ConfigError, match='Did you mean "adapter"'):
        load_config(FACE, {"adaptor": LORA})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The file of a backbone as the release's are: flat, and of another input size."""
    torch.manual_seed(7)
    options = {"img_size": (64, 64), "with_cls_token": False, "out_type": "featmap"}
    path = tmp_path_factory.mktemp("base") / "tiny_epoch_1_clean.pth"
    torch.save(VisionTransformer(TINIEST_ARCH, **options).state_dict(), path)
    return path


@pytest.fixture
def train(face_config, base):
    """Trains with an adapter; the config of a run, the runner, and its last checkpoint."""

    def run(work_dir=None, **options):
        init_cfg = {"type": "Pretrained", "checkpoint": str(base)}
        options = {"adapter": LORA, "model__backbone__init_cfg": init_cfg, **BARE, **options}
        cfg = face_config(randomness__seed=5, **options)
        cfg.work_dir = str(work_dir or cfg.work_dir)
        runner = Runner.from_cfg(cfg)
        runner.train()
        return cfg, runner, f"{cfg.work_dir}/epoch_{runner.epoch}.pth"

    return run


FLOAT32 = {"optim_wrapper__dtype": "float32"}


def test_a_checkpoint_holds_what_learns_and_refers_to_the_base(train, base):
    cfg, runner, path = train()
    saved = read_checkpoint(path)
    frozen = {name for name, p in runner.model.named_parameters() if not p.requires_grad}
    whole = runner.model.state_dict()
    # The positions were resized, so the base's file does not hold them as they are.
    assert saved["state_dict"].keys() == whole.keys() - frozen | {"backbone.pos_embed"}
    assert {t.dtype for t in saved["state_dict"].values()} == {torch.float32}
    assert saved["meta"]["adapter"]["base"]["path"] == str(base)
    groups = saved["optimizer"]["param_groups"]
    assert frozen.isdisjoint(name for group in groups for name in group["param_names"])
    model, _ = init_model(cfg, path, "cpu")
    assert not any(isinstance(module, LoRALinear) for module in model.modules())
    assert model.state_dict().keys() == {k for k in whole if "lora_" not in k}


def test_read_merged_or_converted_it_predicts_what_the_training_did(train, tmp_path):
    cfg, runner, path = train(**FLOAT32)
    stirred = torch.load(path, weights_only=False)  # more than two epochs give
    for name, tensor in stirred["state_dict"].items():
        if name.endswith("lora_b"):
            nn.init.normal_(tensor, std=0.1)
    torch.save(stirred, path)
    runner.model.load_state_dict(read_whole(path, adapters=True)["state_dict"])
    with torch.no_grad():
        expected = runner.model.eval()(IMAGES)
    merged = tmp_path / "merged.safetensors"
    dispatch(["convert", path, str(merged), "--merge"])
    assert "adapter" not in read_checkpoint(merged)["meta"]
    light = tmp_path / "light.safetensors"
    dispatch(["convert", path, str(light)])
    assert light.stat().st_size < merged.stat().st_size
    for file in (path, str(merged), str(light)):
        model, _ = init_model(cfg, file, "cpu")
        with torch.no_grad():
            torch.testing.assert_close(model(IMAGES), expected, rtol=1e-5, atol=1e-5)


def test_the_base_is_found_by_its_content_or_what_is_wrong_is_said(
    train, base, tmp_path, monkeypatch
):
    cfg, _, path = train(train_cfg__max_epochs=1)
    monkeypatch.setenv("SAPIENS_CHECKPOINT_ROOT", str(tmp_path / "root"))
    saved = torch.load(path, weights_only=False)
    saved["meta"]["adapter"]["base"]["path"] = f"elsewhere/{base.name}"
    torch.save(saved, path)
    with pytest.raises(WeightsError, match=r"not the weights of their base.*ROOT"):
        init_model(cfg, path, "cpu")
    there = tmp_path / "root" / "pretrain" / base.name
    there.parent.mkdir(parents=True)
    torch.save({k: v + 1 for k, v in torch.load(base).items()}, there)
    with pytest.raises(WeightsError, match="SHA-256 is another than"):
        init_model(cfg, path, "cpu")
    there.write_bytes(base.read_bytes())
    init_model(cfg, path, "cpu")


def test_what_is_damaged_in_a_reference_or_an_adapter_is_said(train, tmp_path):
    _, _, path = train(train_cfg__max_epochs=1)
    layer = "backbone.layers.0.attn.qkv"
    for key, value in (("path", ""), ("sha256", 3), ("names", ["backbone.none"]), ("names", 3)):
        damaged = torch.load(path, weights_only=False)
        damaged["meta"]["adapter"]["base"][key] = value
        torch.save(damaged, file := tmp_path / f"{key}_{value}.pth")
        with pytest.raises(WeightsError, match=r"of which base it is|no backbone\.none"):
            read_whole(file)
    for name, value in ((f"{layer}.lora_b", torch.ones(3, 4)), (f"{layer}.lora_b", 3)):
        damaged = torch.load(path, weights_only=False)
        damaged["state_dict"][name] = value
        torch.save(damaged, file := tmp_path / "adapter.pth")
        with pytest.raises(WeightsError, match=f"{layer} has no adapter and weight that fit"):
            read_whole(file)
        file.unlink()


@pytest.mark.parametrize("adapter", [LORA, {"type": "frozen"}])
def test_a_resumed_training_ends_as_an_uninterrupted_one(train, tmp_path, adapter):
    ema = [{"type": "EMAHook", "momentum": 0.1}]
    options = {"adapter": adapter, "custom_hooks": ema}
    _, whole, path = train(tmp_path / "a", **options)
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "epoch_1.pth", tmp_path / "b")
    _, resumed, other = train(tmp_path / "b", **options, resume=True)
    a, b = (torch.load(file, weights_only=False) for file in (path, other))
    for part in ("state_dict", "ema_state_dict"):
        torch.testing.assert_close(a[part], b[part], rtol=0, atol=0)
    torch.testing.assert_close(a["optimizer"]["state"], b["optimizer"]["state"], rtol=0, atol=0)
    frozen = {name for name, p in whole.model.named_parameters() if not p.requires_grad}
    left_out = frozen - {"backbone.pos_embed"}
    assert left_out.isdisjoint(a["state_dict"])
    assert {f"module.{name}" for name in left_out}.isdisjoint(a["ema_state_dict"])
    torch.testing.assert_close(whole.model.state_dict(), resumed.model.state_dict(), rtol=0, atol=0)


def test_an_adapter_without_a_base_is_refused(train):
    with pytest.raises(ConfigError, match="frozen as it was drawn"):
        train(model__backbone__init_cfg=None)


def test_a_training_goes_on_only_with_its_adapter(train, tmp_path):
    train(tmp_path / "run", train_cfg__max_epochs=1)
    with pytest.raises(ConfigError, match=r"\('lora', 4, 4\), those of .* \('lora', 4, 8\)"):
        train(tmp_path / "run", adapter={**LORA, "alpha": 4}, resume=True)


def test_an_evaluation_is_of_the_merged_weights(train):
    cfg, runner, path = train(**FLOAT32, train_cfg__max_epochs=1, train_cfg__val_interval=1)
    trained = runner.message_hub.get_scalar("val/mIoU").current()
    prepare(cfg, path, graph=False)
    cfg.experiment_name += "-test"
    tester = Runner.from_cfg(cfg)
    assert tester.test()["mIoU"] == pytest.approx(trained, abs=0.05)
    assert not any(isinstance(module, LoRALinear) for module in tester.model.modules())
    with mmsapiens.load((f"{cfg.work_dir}/{Path(cfg.filename).name}", path)) as predictor:
        weights = predictor.model.state_dict()
    torch.testing.assert_close(weights, tester.model.state_dict(), rtol=0, atol=0)


def test_a_benchmark_is_of_a_step_with_adapters():
    options = {"input_size_hw": (64, 48), "adapter": {**LORA, "targets": ("k_proj",)}}
    variant = Variant(str(FACE), options, 1, "float32", "cpu", 1, False)
    with pytest.raises(ConfigError, match="k_proj names no linear layer"):
        measure(variant)


def test_a_training_from_adapters_goes_on_with_them_or_with_all_weights(train, base):
    _, first, path = train(**FLOAT32)
    _, further, last = train(**FLOAT32, load_from=path, optim_wrapper__optimizer__lr=0.0)
    torch.testing.assert_close(first.model.state_dict(), further.model.state_dict(), rtol=0, atol=0)
    references = [read_checkpoint(file)["meta"]["adapter"]["base"] for file in (path, last)]
    assert references[0] == references[1]
    _, full, last = train(**FLOAT32, load_from=path, adapter=None, optim_wrapper__optimizer__lr=0.0)
    whole = read_checkpoint(last)
    assert "adapter" not in whole["meta"]
    with torch.no_grad():
        torch.testing.assert_close(full.model.eval()(IMAGES), first.model.eval()(IMAGES))


def test_a_base_is_one_file_as_it_was_read(base, tmp_path):
    model = adapted()
    load_weights(model.backbone, base)
    found = base_of(base, model)
    assert "backbone.patch_embed.projection.weight" in found["names"]
    assert "backbone.pos_embed" not in found["names"]  # it was resized
    with torch.no_grad():
        model.backbone.patch_embed.projection.weight += 1
    assert "backbone.patch_embed.projection.weight" not in base_of(base, model)["names"]
    (folder := tmp_path / "epoch_1.dcp").mkdir()
    (folder / ".metadata").touch()
    with pytest.raises(ConfigError, match=r"is a folder.*mmsapiens convert"):
        base_of(folder, model)


def test_two_ranks_train_as_one_process(base, faces_dir, tmp_path):
    init_cfg = {"type": "Pretrained", "checkpoint": str(base)}
    lora = {"adapter": LORA, "model__backbone__init_cfg": init_cfg, "randomness__seed": 5}
    low = {**lora, "optim_wrapper__dtype": "bfloat16"}
    two = train_ranks(2, tmp_path, faces_dir, {"lora": lora, "low": low})
    one = Trained(make_config(faces_dir, tmp_path / "one", 1, **lora))
    assert one.error is None and [rank.error for rank in (*two["lora"], *two["low"])] == [None] * 4
    for name, tensor in one.weights.items():
        if "conv_layers.0.bias" not in name:  # without effect, see the tests of sharding
            torch.testing.assert_close(two["lora"][0].weights[name], tensor, rtol=0, atol=1e-5)
    for name, tensor in two["low"][0].weights.items():
        assert torch.equal(tensor, two["low"][1].weights[name])
    saved = read_checkpoint(tmp_path / "low" / "epoch_2.pth")
    assert "backbone.layers.0.attn.qkv.weight" not in saved["state_dict"]


@pytest.mark.parametrize("task", ["seg/face", "depth/general", "pose/coco"])
def test_the_recipe_fits_finetunings_of_full_size(task, tmp_path):
    leaf = next((ROOT / "configs" / task).glob("sapiens_0.3b_*.py"))
    recipe = ROOT / "configs/_base_/adapters/lora.py"
    config = tmp_path / "own.py"
    config.write_text(f'_base_ = ["{leaf}", "{recipe}"]')
    cfg = load_config(config)
    init_default_scope(cfg.default_scope)
    with torch.device("meta"):
        model = build_model(cfg.model)
        apply_adapter(model, Adapter(**cfg.adapter), held_dtype(cfg))
    learning = sum(p.numel() for p in model.backbone.parameters() if p.requires_grad)
    assert learning == 24 * (16 * 1024 * (1 + 3 + 1 + 1 + 1 + 4 + 4 + 1) + 4 * 1024) + 2 * 1024
    held = {p.dtype for p in model.backbone.parameters() if p.ndim > 1 and not p.requires_grad}
    assert held == {torch.bfloat16, torch.float32}  # positions stay as they are
    settings = {"type": "OptimWrapper", "optimizer": cfg.optim_wrapper.optimizer}
    constructor = LayerDecayOptimWrapperConstructor(settings, cfg.optim_wrapper.paramwise_cfg)
    wrapper = constructor(model)
    rates = {group["lr"] for group in wrapper.optimizer.param_groups}
    assert rates == {1e-3}
