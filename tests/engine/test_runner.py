import json
import re
from pathlib import Path

import cv2
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from engine.config import load_config
from engine.errors import WeightsError
from engine.runner import Runner
from tests.conftest import BARE


def train(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def losses(cfg):
    (scalars,) = Path(cfg.work_dir).glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def weights(runner):
    return {name: tensor.clone() for name, tensor in runner.model.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_bf16_training_on_the_cpu_lowers_the_loss(face_config):
    cfg = face_config(train_cfg__max_epochs=10, optim_wrapper__optimizer__lr=5e-3)
    runner = train(cfg)
    assert cfg.optim_wrapper.dtype == "bfloat16"
    assert all(p.dtype == torch.float32 for p in runner.model.parameters())
    values = losses(cfg)
    assert len(values) == 30
    assert sum(values[-3:]) < 0.9 * sum(values[:3])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_same_seed_gives_the_same_run(face_config, num_workers):
    """With other workers, too: randomness belongs to the sample."""
    first = train(face_config())
    second = train(face_config(train_dataloader__num_workers=num_workers))
    assert_same(weights(first), weights(second))


def test_another_seed_gives_another_run(face_config):
    first, second = train(face_config()), train(face_config(randomness__seed=1))
    head = "decode_head.conv_seg.weight"
    assert not torch.equal(weights(first)[head], weights(second)[head])


def test_checkpoints_hold_what_identifies_the_model(face_config):
    cfg = face_config(train_cfg__max_epochs=3)
    train(cfg)
    names = sorted(path.name for path in Path(cfg.work_dir).glob("*.pth*"))
    assert re.fullmatch(r"best_mIoU_epoch_[23]\.pth", names[0])
    assert names[1:] == ["epoch_2.pth", "epoch_3.pth"]
    meta = torch.load(Path(cfg.work_dir, "epoch_3.pth"), weights_only=False)["meta"]
    assert meta["patch_padding"] == 0 and tuple(meta["grid_hw"]) == (4, 3)
    assert len(meta["dataset_meta"]["classes"]) == 19


def test_pictures_go_to_disk_and_tensorboard(face_config):
    cfg = face_config(custom_hooks__0__train_interval=2)
    train(cfg)
    pictures = {p.name: p for p in Path(cfg.work_dir).glob("*/vis_data/vis_image/*.png")}
    drawn = {f"train_{i}_{step}.png" for i in range(4) for step in (2, 4, 6)}
    drawn |= {f"val_{i:06d}_6.png" for i in range(4)}
    assert set(pictures) == drawn | {"confusion_matrix_6.png"}
    height, width = cv2.imread(str(pictures["train_0_2.png"])).shape[:2]
    assert height == 64 and width > 3 * 48  # image, truth, prediction, and the classes
    (events,) = Path(cfg.work_dir).rglob("events.out.tfevents*")
    logged = EventAccumulator(str(events)).Reload().Tags()
    assert {"train_0", "val_000000"} <= set(logged["images"])
    assert {"loss", "mIoU"} <= set(logged["scalars"])


def test_load_from_takes_weights_only(face_config):
    first = face_config()
    train(first)
    cfg = face_config(train_cfg__max_epochs=1)
    cfg.load_from = str(Path(first.work_dir, "epoch_2.pth"))
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    saved = torch.load(cfg.load_from, weights_only=False)["state_dict"]
    assert_same(weights(runner), saved)


def test_head_of_another_dataset_must_be_allowed(face_config, tmp_path):
    first = face_config()
    train(first)
    checkpoint = torch.load(Path(first.work_dir, "epoch_2.pth"), weights_only=False)
    for key in ("weight", "bias"):
        key = f"decode_head.conv_seg.{key}"
        checkpoint["state_dict"][key] = checkpoint["state_dict"][key][:17]
    path = tmp_path / "seventeen.pth"
    torch.save(checkpoint, path)

    cfg = face_config()
    cfg.load_from = str(path)
    with pytest.raises(WeightsError, match=r"conv_seg.*17.*19"):
        Runner.from_cfg(cfg).load_or_resume()
    cfg = face_config(allow_missing="decode_head.conv_seg")
    cfg.load_from = str(path)
    Runner.from_cfg(cfg).load_or_resume()


def test_evaluation_runs_in_the_precision_of_the_training(face_config):
    cfg = face_config()
    runner = Runner.from_cfg(cfg)
    seen = []
    runner.model.decode_head.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    runner.load_or_resume()
    runner.test()
    assert seen and set(seen) == {torch.bfloat16}
    (written,) = Path(cfg.work_dir).glob("*.py")
    assert load_config(written).model == cfg.model


@pytest.mark.parametrize(
    "switch", [dict(activation_checkpointing=True), dict(compile=dict(backend="aot_eager"))]
)
def test_switches_change_how_a_run_computes_and_not_what(face_config, switch):
    exact = dict(train_cfg__max_epochs=2, optim_wrapper__dtype="float32")
    plain, cfg = face_config(**exact), face_config(**exact, **switch)
    train(plain)
    train(cfg)
    assert losses(cfg) == pytest.approx(losses(plain), abs=1e-4)


def test_a_checkpoint_may_be_required_to_be_complete(face_config, tmp_path):
    runner = Runner.from_cfg(face_config(allow_missing="decode_head", **BARE))
    state = runner.model.state_dict()
    torch.save({k: v for k, v in state.items() if "conv_seg" not in k}, tmp_path / "a.pth")
    runner.load_checkpoint(str(tmp_path / "a.pth"))
    with pytest.raises(WeightsError, match=r"missing in the file: decode_head\.conv_seg"):
        runner.load_checkpoint(str(tmp_path / "a.pth"), strict=True)
