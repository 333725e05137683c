"""A training never waits for the device in a step: what it reads is of an earlier step, or logged.

Counted on a CPU, by the operations that wait on a GPU.
"""

from contextlib import contextmanager

import pytest
import torch
from mmengine.registry import init_default_scope
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from engine.config import load_config
from engine.model.base import build_model
from engine.optim.autocast import AutocastOptimWrapper
from engine.optim.verdict import Verdict
from engine.runner import Runner
from engine.train_loop import ResumableTrainLoop
from tests.conftest import ROOT

CONFIGS = [
    "seg/synthetic_parts/sapiens_tiny_synthetic_parts-192x144",
    "depth/synthetic/sapiens_tiny_synthetic_depth-192x144",
    "normal/synthetic/sapiens_tiny_synthetic_normal-192x144",
    "pose/synthetic/sapiens_tiny_synthetic_coco-192x144",
    "pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256",
]
ATEN = torch.ops.aten
READS = torch.Tag.data_dependent_output  # .item(), bool(), equal(), ...
SIZES = torch.Tag.dynamic_output_shape  # nonzero(), masked_select(), ...
INDEXING = (ATEN.index, ATEN.index_put, ATEN.index_put_, ATEN._unsafe_index)
CONSTANT = 64  # numbers; on a CPU a heatmap of zeros is also taken from NumPy


class Copies(TorchFunctionMode):
    """Lists methods that copy from the device, which are no operations on a CPU."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu):
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    """Lists operations that wait for the device, or copy constants from the CPU."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        packet = func.overloadpacket
        if packet in INDEXING:
            tensors = [x for x in tree_leaves(args[1]) if isinstance(x, torch.Tensor)]
            waits = any(x.dtype in (torch.bool, torch.uint8) for x in tensors)  # counts them
        elif packet is ATEN.lift_fresh:
            waits = args[0].numel() <= CONSTANT
        else:
            waits = READS in func.tags or SIZES in func.tags
        if waits:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@contextmanager
def waits():
    """Gives the list of what waits for the device within."""
    found = []
    with Copies(found), Operations(found):
        yield found


@pytest.mark.parametrize(
    "code, operation",
    [
        (lambda x: x.tolist(), "tolist"),
        (lambda x: x.cpu(), "cpu"),
        (lambda x: x.numpy(), "numpy"),
        (lambda x: x.sum().item(), "aten._local_scalar_dense.default"),
        (lambda x: bool((x > 0).all()), "aten._local_scalar_dense.default"),
        (lambda x: x[x > 0], "aten.index.Tensor"),
        (lambda x: x.nonzero(), "aten.nonzero.default"),
        (lambda x: x.masked_select(x > 0), "aten.masked_select.default"),
        (lambda x: x.clone().__setitem__(x > 0, x[:1]), "aten.index_put_.default"),
        (lambda x: torch.equal(x, x), "aten.equal.default"),
        (lambda x: x.new_tensor((1.0, 2.0)), "aten.lift_fresh.default"),
        (lambda x: torch.tensor([1, 2]), "aten.lift_fresh.default"),
    ],
)
def test_what_waits_is_found(code, operation):
    with waits() as found:
        code(torch.arange(3.0))
    assert found == [operation]


@pytest.mark.parametrize(
    "code",
    [
        lambda x: x[torch.arange(2)],
        lambda x: torch.where(x > 0, x, 0).sum(),
        lambda x: torch.full((), 2.0),
    ],
)
def test_what_does_not_wait_is_not(code):
    with waits() as found:
        code(torch.arange(3.0))
    assert not found


@pytest.fixture
def verdicts(monkeypatch):
    """Lists of which steps it was read how they went; that is no waiting, as they are behind."""
    read, of_steps = Verdict.read, []

    def late(verdict):
        with torch._C.DisableTorchFunction(), _disable_current_modes():
            of_steps.append(verdict.count)
            return read(verdict)

    monkeypatch.setattr(Verdict, "read", late)
    return of_steps


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("scaler", [False, True])
def test_a_step_of_every_task_waits_for_nothing(name, scaler, verdicts):
    cfg = load_config(ROOT / f"configs/{name}.py")
    init_default_scope(cfg.default_scope)
    model = build_model(cfg.model).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)  # as on a GPU
    wrapper = AutocastOptimWrapper(optimizer, accumulative_counts=2, clip_grad={"max_norm": 1.0})
    if scaler:
        wrapper.scaler = torch.amp.GradScaler("cpu")  # as float16 has one on a GPU
    inputs = torch.randint(256, (2, 3, *cfg.input_size_hw), dtype=torch.uint8)
    targets = model.synthetic_targets(inputs.float())
    batch = {"inputs": inputs, "targets": targets, "data_samples": None}
    before = [p.detach().clone() for p in model.parameters()]
    with waits() as found:
        for _ in range(4):
            model.train_step(batch, wrapper)
    assert not found and verdicts == [2]  # of the first step, in the second
    after = list(model.parameters())
    assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "it stepped"


def test_an_optimizer_that_is_not_fused_waits_once(verdicts):
    model = torch.nn.Linear(2, 1)
    wrapper = AutocastOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with waits() as found:
        for _ in range(2):
            wrapper.update_params(model(torch.ones(1, 2)).sum())
    assert not found and verdicts == [1, 2]


def test_a_training_with_all_its_hooks_waits_where_it_logs(face_config, monkeypatch, verdicts):
    cfg = face_config(train_dataloader__batch_size=1, default_hooks__logger__interval=4)
    cfg.optim_wrapper.optimizer.fused = True
    runner, run_iter, by_iteration = Runner.from_cfg(cfg), ResumableTrainLoop.run_iter, {}

    def watched(loop, index, batch):
        with waits() as found:
            run_iter(loop, index, batch)
        by_iteration[loop.iter] = found

    monkeypatch.setattr(ResumableTrainLoop, "run_iter", watched)
    runner.train()
    assert len(by_iteration) == 24
    assert {i for i, found in by_iteration.items() if found} == {4, 8, 12, 16, 20, 24}
    assert by_iteration[8] == ["tolist"]
