"""Pretraining in several processes, and by command lines that are wrong."""

import json
import os
import re
import runpy
import subprocess
import sys

import pytest

from tests.pretrain.conftest import TINIEST

RECORDER = '''
import json
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RecordHook(Hook):
    """Notes which samples each rank trains on."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        keys = [(s.sample_key, s.img_path) for s in data_batch["data_samples"]]
        with open(f"{runner.work_dir}/rank{get_rank()}.jsonl", "a") as file:
            file.write(json.dumps(keys) + "\\n")
'''


@pytest.fixture
def small_config(root, images_dir, tmp_path):
    """Path of a config for the six images."""
    base = root / "configs/pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256.py"
    path = tmp_path / "small.py"
    path.write_text(
        f"_base_ = [{str(base)!r}]\n"
        "input_size_hw = (32, 32)\n"
        f"backbone = dict(_delete_=True, type='MAEViT', arch={TINIEST!r}, mask_ratio=0.75)\n"
        "model = dict(backbone=backbone)\n"
        f"data_root = {str(images_dir)!r}\n"
        "train_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(data_root=data_root))\n"
        "custom_hooks = []\n"
    )
    return path


def test_ranks_share_each_epoch_without_overlap(root, small_config, images_dir, tmp_path):
    """Two real processes with two data workers each, over a list of four images."""
    (tmp_path / "list.txt").write_text("0.png\n1.png\n4.png\n5.png\n")
    (tmp_path / "recorder.py").write_text(RECORDER)
    options = [
        "train_cfg.max_epochs=2",
        "train_dataloader.num_workers=2",
        f"train_dataloader.dataset.list_file={tmp_path / 'list.txt'}",
    ]
    with small_config.open("a") as file:
        file.write("custom_imports = dict(imports=['recorder'])\n")
        file.write("custom_hooks.append(dict(type='RecordHook'))\n")
    python_path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    tool = [root / "tools/train.py", small_config, "--work-dir", tmp_path, "--launcher", "pytorch"]
    done = subprocess.run(
        [sys.executable, *launch, *map(str, tool), "--cfg-options", *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = {}
    for rank in range(2):
        lines = (tmp_path / f"rank{rank}.jsonl").read_text().splitlines()
        for (_, epoch, _), path in (item for line in lines for item in json.loads(line)):
            seen.setdefault((epoch, rank), []).append(path)
    paths = sorted(str(images_dir / name) for name in ("0.png", "1.png", "4.png", "5.png"))
    assert seen.keys() == {(epoch, rank) for epoch in range(2) for rank in range(2)}
    for epoch in range(2):
        assert sorted(seen[epoch, 0] + seen[epoch, 1]) == paths, "each exactly once"
    assert any(seen[0, rank] != seen[1, rank] for rank in range(2)), "the order is drawn anew"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["train_dataloader.dataset.list_file=empty.txt"], "DataError: .*'empty.txt' is empty"),
        (["train_dataloader.dataset.list_file=gone.txt"], "1 of 2 files of the list .*9.png"),
        (
            [
                "train_dataloader.dataset.pipeline.1.min_size=64",
                "train_dataloader.dataset.on_corrupt=raise",
            ],
            r"DataError: .*\.png is 40x40 pixels .*shorter than RandomResizedCrop's min_size=64",
        ),
        (
            ["train_dataloader.dataset.pipeline.1.min_size=64"],
            "samples cannot be read; .* allows 1%.*is 40x40 pixels",
        ),
        (["input_size_hw=(32,48)"], "ConfigError: .*square images .* found 32x48"),
        (["model.backbone.mask_ratio=0.9"], "mask_ratio=0.9 keeps none of 4 patches"),
    ],
    ids=["empty list", "missing files", "too small", "all too small", "not square", "all masked"],
)
def test_wrong_input_ends_in_one_sentence(
    options, message, root, small_config, tmp_path, monkeypatch, capsys
):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "gone.txt").write_text("0.png\n9.png\n")
    monkeypatch.chdir(tmp_path)
    command = ["train.py", str(small_config), "--work-dir", "work", "--cfg-options", *options]
    # Runners of one process share loggers by this name, which is the time in seconds by default.
    monkeypatch.setattr(sys, "argv", [*command, f"experiment_name={tmp_path.name}"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(root / "tools/train.py"), run_name="__main__")
    printed = capsys.readouterr().err
    assert end.value.code == 2, printed
    assert re.search(message, printed.replace("\n", " ")) and "Traceback" not in printed
