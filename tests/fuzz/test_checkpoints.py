"""Checkpoints and saved batches that are damaged: see ``--fuzz`` for more of them than usual."""

from __future__ import annotations

import io
import itertools
import random
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from safetensors.torch import save

from engine.checkpoint import load_weights
from engine.data.sample import DataSample
from engine.errors import NonFiniteError
from engine.infer import build_writer, init_model
from engine.model.base import build_model
from engine.replay import replay
from engine.runner import Runner
from mmsapiens.conversion import convert_checkpoint, describe_checkpoint
from tests.conftest import BARE, make_face_config
from tests.fuzz.mutants import BAD_ENDS, damage_bytes, damage_tree, odd_value, outcomes, summary
from tests.torchscript_files import rewrite, save_torchscript


def odd_tensor(value: Any, rng: random.Random) -> Any:
    """Another value; of a tensor mostly one of another kind, layout, shape or without meaning."""
    if not isinstance(value, torch.Tensor) or rng.random() < 0.2:
        tensors = (torch.tensor([]), torch.tensor(3), torch.full((2, 2), float("nan")))
        arrays = (np.array(["a"]), np.float64("nan"), np.arange(3), torch.float32)
        return rng.choice((*tensors, *arrays, *(odd_value(value, rng) for _ in range(7))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        makers = (
            lambda v: v.to(rng.choice((torch.int32, torch.bool, torch.complex64, torch.half))),
            lambda v: v.to(rng.choice((torch.float8_e4m3fn, torch.double, torch.bfloat16))),
            lambda v: v * rng.choice((float("nan"), float("inf"))),
            lambda v: v.flatten()[1:],
            lambda v: v[None],
            lambda v: torch.zeros(()).expand(v.shape),
            lambda v: torch.zeros(()).expand(2**40, 7),
            lambda v: v.to_sparse(),
            lambda v: v.to("meta"),
            lambda v: torch.quantize_per_tensor(v.float(), 0.1, 0, torch.qint8),
            lambda v: torch.nested.nested_tensor([v, v]),
        )
        return rng.choice(makers)(value.detach())


class Training:
    """A small training that was stopped after an epoch, and what it left."""

    def __init__(self, faces_dir: Path, folder: Path) -> None:
        self.cfg = make_face_config(faces_dir, folder / "run", train_cfg__max_epochs=1, **BARE)
        Runner.from_cfg(self.cfg).train()
        self.checkpoint = torch.load(folder / "run/epoch_1.pth", weights_only=False)
        self.weights = self.checkpoint["state_dict"]
        spoilt = {"model__decode_head__loss_decode__loss_weight": 1e300, **BARE}
        with pytest.raises(NonFiniteError):
            Runner.from_cfg(make_face_config(faces_dir, folder / "spoilt", **spoilt)).train()
        self.batch = torch.load(folder / "spoilt/nan_batch.pth", weights_only=False)
        # Built once; each case gets a copy with its process.
        cfg = make_face_config(faces_dir, folder / "resumed", **BARE)
        cfg.default_hooks.checkpoint.save_last = False
        self.runner = Runner.from_cfg(cfg)
        self.model = build_model(cfg.model)
        self.trained = build_model(cfg.model)
        self.trained.load_state_dict(self.weights)

    def differences(self, model: torch.nn.Module) -> str:
        """The names of weights that are not the checkpoint's, but for the precision of a half."""
        pairs = [(k, v, self.weights[k]) for k, v in model.state_dict().items()]
        bad = [
            key
            for key, a, b in pairs
            if not torch.allclose(a.float(), b.float(), rtol=0.01, atol=1e-3)
        ]
        return f"differs: {', '.join(bad)}" if bad else "same"

    # ---- what is done with a file

    def load(self, path: Path) -> str:
        load_weights(self.model, path)
        return self.differences(self.model)

    def convert(self, path: Path) -> str:
        describe_checkpoint(path)
        for suffix in (".pth", ".safetensors"):
            convert_checkpoint(path, path.with_suffix(f".converted{suffix}"))
        return "converted"

    def infer(self, path: Path) -> str:
        model, meta = init_model(self.cfg, str(path), "cpu")
        labels = torch.arange(64 * 48).reshape(1, 64, 48) % 19
        sample = DataSample()
        sample.pred_sem_seg = PixelData(data=labels.to(torch.uint8))
        image = np.zeros((64, 48, 3), np.uint8)
        build_writer(self.cfg, meta).write(sample, image, path.with_suffix(""))
        return self.differences(model)

    def resume(self, path: Path) -> str:
        init_default_scope("seg")  # which tests begin without
        self.runner._resume, self.runner._load_from = True, str(path)
        self.runner.train()
        return "trained"

    def replay(self, path: Path) -> str:
        wrapper = self.runner.build_optim_wrapper(self.runner.optim_wrapper)
        return replay(self.runner.model, wrapper, str(path))


def saved(content: Any, path: Path, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def with_damaged_pickle(path: Path, rng: random.Random) -> str:
    """Damages what is unpickled, under a checksum that is right."""
    with zipfile.ZipFile(path) as archive:
        records = {entry: archive.read(entry) for entry in archive.namelist()}
    name = next(name for name in records if name.endswith("data.pkl"))
    what, records[name] = damage_bytes(records[name], rng)
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in records.items():
            archive.writestr(entry, content)
    return what


def damaged_torchscript(model: torch.nn.Module, path: Path, rng: random.Random) -> str:
    """Writes a traced model that is damaged, in its pickle or anywhere."""
    whole = save_torchscript(model, path.with_suffix(".whole"), torch.zeros(1, 3, 64, 48))
    done = []

    def damage(name: str, content: bytes) -> bytes:
        if name != "data.pkl":
            return content
        what, content = damage_bytes(content, rng)
        done.append(what)
        return content

    if rng.random() < 0.7:
        rewrite(whole, path, damage)
    else:
        what, content = damage_bytes(whole.read_bytes(), rng)
        path.write_bytes(content)
        done.append(what)
    return done[0]


def damaged_file(training: Training, kind: str, stem: Path, rng: random.Random) -> tuple[str, Path]:
    """Writes a damaged file of a kind; returns what was done, and its path."""
    whole = training.batch if kind == "replay" else training.checkpoint
    if kind in ("load", "infer", "convert"):
        whole = {key: whole[key] for key in ("state_dict", "meta")}
    path = stem.with_suffix(".pth")
    if kind == "safetensors":
        path = stem.with_suffix(".safetensors")
        meta = {"patch_padding": "0", "grid_hw": "[4, 3]", "dataset_meta": '{"classes": ["a"]}'}
        what, content = damage_bytes(save(training.weights, meta), rng)
        path.write_bytes(content)
    elif kind in ("zip", "legacy"):
        buffer = io.BytesIO()
        torch.save(whole, buffer, _use_new_zipfile_serialization=kind == "zip")
        what, content = damage_bytes(buffer.getvalue(), rng)
        path.write_bytes(content)
    elif kind == "torchscript":
        what = damaged_torchscript(training.trained, path, rng)
    elif kind == "pickle":
        what = with_damaged_pickle(saved(whole, path), rng)
    else:
        what, content = damage_tree(whole, rng, odd_tensor)
        saved(content, path, zipped=rng.random() < 0.8)
    return what, path


KINDS = {  # of damage -> what is done with the file
    "load": Training.load,
    "resume": Training.resume,
    "zip": Training.load,
    "pickle": Training.load,
    "infer": Training.infer,
    "legacy": Training.load,
    "torchscript": Training.load,
    "replay": Training.replay,
    "safetensors": Training.load,
    "convert": Training.convert,
}
WITHOUT_CHECKSUMS = ("legacy", "safetensors")


@pytest.fixture(scope="module")
def training(faces_dir, tmp_path_factory):
    return Training(faces_dir, tmp_path_factory.mktemp("fuzz"))


def test_damaged_files_are_refused_or_read_as_they_were(training, tmp_path, pytestconfig):
    torch.set_num_threads(1)
    cases = []
    kinds = itertools.cycle(KINDS.items())
    for number, (kind, use) in zip(range(pytestconfig.getoption("fuzz")), kinds, strict=False):
        rng = random.Random(f"checkpoints {number}")
        what, path = damaged_file(training, kind, tmp_path / str(number), rng)
        cases.append((f"{kind} {number}: {what}", lambda path=path, use=use: use(training, path)))
    results = outcomes(cases)
    sys.stdout.write(summary(results))
    bad = [result for result in results if result.end in BAD_ENDS or not result.text]
    bad += [
        result
        for result in results
        if result.text.startswith("differs") and not result.name.startswith(WITHOUT_CHECKSUMS)
    ]
    assert not bad, "\n\n".join(f"{r.name}\n{r.end}: {r.text[-1500:]}" for r in bad)


def test_what_is_not_damaged_is_accepted_by_each_use(training, tmp_path):
    cases = []
    for kind, use in KINDS.items():
        content = training.batch if kind == "replay" else training.checkpoint
        path = saved(content, tmp_path / f"{kind}.pth")
        cases.append((kind, lambda path=path, use=use: use(training, path)))
    ends = {result.name: (result.end, result.text) for result in outcomes(cases)}
    assert {end for end, _ in ends.values()} == {"accepted"}, ends
    assert ends["load"][1] == ends["infer"][1] == "same" and "replayed" in ends["replay"][1]
