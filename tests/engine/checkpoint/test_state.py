"""The state of a training: a run takes it over whole, or says what is wrong with it."""

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR, MultiStepLR, ReduceOnPlateauLR
from mmengine.registry import init_default_scope

from engine.checkpoint import latest_checkpoint, read_checkpoint, training_state
from engine.checkpoint.state import _check_schedules, _is_like, _is_number
from engine.errors import WeightsError
from engine.runner import Runner
from mmsapiens.preflight.start import check_weights_exist
from tests.conftest import BARE, make_face_config


@pytest.fixture(scope="module")
def trained(faces_dir, tmp_path_factory):
    """A checkpoint after the first of two epochs."""
    work_dir = tmp_path_factory.mktemp("trained")
    cfg = make_face_config(faces_dir, work_dir, default_hooks__checkpoint__max_keep_ckpts=9, **BARE)
    Runner.from_cfg(cfg).train()
    return work_dir / "epoch_1.pth"


def resume_config(face_config, path, **options):
    cfg = face_config(resume=True, **BARE, **options)
    cfg.load_from = str(path)
    return cfg


def test_what_is_resumed_is_complete_whatever_may_be_missing_otherwise(
    trained, face_config, tmp_path
):
    checkpoint = torch.load(trained, weights_only=False)
    del checkpoint["state_dict"]["decode_head.conv_seg.bias"]
    torch.save(checkpoint, tmp_path / "epoch_1.pth")
    cfg = resume_config(face_config, tmp_path / "epoch_1.pth", allow_missing=("decode_head",))
    with pytest.raises(WeightsError, match=r"missing in the file: decode_head\.conv_seg\.bias"):
        Runner.from_cfg(cfg).load_or_resume()
    cfg.resume = False
    Runner.from_cfg(cfg).load_or_resume()


def test_resuming_a_file_does_not_need_the_pretrained_weights(trained, face_config):
    nowhere = {"type": "Pretrained", "checkpoint": "nowhere.pth"}
    cfg = resume_config(face_config, trained, model__backbone__init_cfg=nowhere)
    check_weights_exist(cfg)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 6)


def test_a_run_with_an_average_of_the_weights_resumes_it(faces_dir, face_config, tmp_path):
    average = dict(type="EMAHook", momentum=0.5)
    options = {**BARE, "custom_hooks": [average]}
    Runner.from_cfg(make_face_config(faces_dir, tmp_path / "whole", **options)).train()
    path = tmp_path / "whole/epoch_1.pth"
    cfg = make_face_config(faces_dir, tmp_path / "parts", resume=True, **options)
    cfg.load_from = str(path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    whole, parts = (torch.load(tmp_path / run / "epoch_2.pth", weights_only=False)
                    for run in ("whole", "parts"))  # fmt: skip
    for key in ("state_dict", "ema_state_dict"):
        torch.testing.assert_close(whole[key], parts[key], rtol=0, atol=0)

    with pytest.raises(WeightsError, match=r"an average of the weights.*EMAHook"):
        Runner.from_cfg(resume_config(face_config, path)).load_or_resume()
    checkpoint = torch.load(path, weights_only=False)
    checkpoint["ema_state_dict"]["module.decode_head.conv_seg.bias"] *= NAN
    torch.save(checkpoint, tmp_path / "nan.pth")
    with pytest.raises(WeightsError, match="ema_state_dict holds numbers that are infinite or not"):
        runner.resume(str(tmp_path / "nan.pth"))


def test_an_average_begins_with_the_weights_that_are_loaded(trained, face_config, tmp_path):
    weights = torch.load(trained, weights_only=False)["state_dict"]
    torch.save({f"module.{key}": value for key, value in weights.items()}, tmp_path / "flat.pth")
    cfg = face_config(**{**BARE, "custom_hooks": [dict(type="EMAHook")]})
    cfg.load_from = str(tmp_path / "flat.pth")
    runner = Runner.from_cfg(cfg)
    runner.call_hook("before_run")
    runner.load_or_resume()
    (hook,) = (hook for hook in runner.hooks if hasattr(hook, "ema_model"))
    torch.testing.assert_close(dict(hook.ema_model.module.state_dict()), dict(weights))


@pytest.mark.filterwarnings("ignore:Detected call")
def test_schedules_of_all_kinds_are_taken_over(bare_runner):
    wrapper = bare_runner.optim_wrapper
    schedules = [
        LinearLR(wrapper, start_factor=0.1, begin=0, end=4, by_epoch=False),
        CosineAnnealingLR(wrapper, T_max=4, begin=4, end=8),
        MultiStepLR(wrapper, milestones=[2, 3]),
        ReduceOnPlateauLR(wrapper, monitor="loss", rule="less", patience=0),
    ]
    for _ in range(10):
        _check_schedules([schedule.state_dict() for schedule in schedules], "a.pth")
        for schedule in schedules[:3]:
            schedule.step()
        schedules[3].step({"loss": 1.0})


NAN = float("nan")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("optimizer",), None, "has no optimizer: it holds weights only"),
        (("optimizer",), torch.ones(3), r"its optimizer is tensor\(\[1., 1., 1.\]\). Expected val"),
        (
            ("optimizer", "param_groups"),
            [],
            r"\['param_groups'\] is \[\]. Expected a list",
        ),
        (("optimizer", "param_groups", 0, "lr"), NAN, r"\[0\]\['lr'\] is nan. Expected such as"),
        (("optimizer", "param_groups", 0, "lr"), -0.1, r"\[0\]\['lr'\] is -0.1. Expected such as"),
        (("optimizer", "param_groups", 0, "betas"), (0.9,), r"\['betas'\] is \(0.9,\). Expected s"),
        (("optimizer", "param_groups", 0, "amsgrad"), True, r"\['amsgrad'\] is True. Expected suc"),
        (
            ("optimizer", "param_groups", 1, "params"),
            [1.5, 2],
            r"is \[1.5, 2\]. Expected a list of",
        ),
        (("optimizer", "param_groups", 1, "params"), [1, 1], "does not say which parameters"),
        (("optimizer", "base_param_settings", "lr"), "x", r"\['base_param_settings'\]\['lr'\] is"),
        (("optimizer", "state"), {99: {}}, r"\['state'\] is {99: {}}. Expected a dict by the ids"),
        (("optimizer", "state", 0), {}, "holds other things of one parameter than of others"),
        (("optimizer", "state", 0, "step"), torch.tensor(-5.0), r"\[0\]\['step'\] is tensor\(-5"),
        (("optimizer", "state", 2, "exp_avg_sq"), torch.ones(48) * -1, r"\['exp_avg_sq'\] is te"),
        (("optimizer", "state", 0, "exp_avg"), torch.ones(48), r"\[0\]\['exp_avg'\] is tensor\("),
        (("optimizer", "state", 2, "exp_avg"), torch.ones(48) * NAN, r"\[2\]\['exp_avg'\] is te"),
        (("optimizer", "state", 2, "step"), "x", r"\[2\]\['step'\] is 'x'. Expected finite, of \("),
        (("param_schedulers",), {}, "its param_schedulers is {}. Expected a list"),
        (("param_schedulers", 0), 3, r"its param_schedulers\[0\] is 3"),
        (
            ("param_schedulers", 0, "last_step"),
            1.5,
            r"\[0\] is \[0, 2, 3, 1.5\]. Expected to ",
        ),
        (("param_schedulers", 0, "last_step"), 9, r"\['last_step'\] is 9. Expected what 3 steps l"),
        (
            ("param_schedulers", 1, "base_values"),
            [NAN],
            r"\['base_values'\] is \[nan\]. Expecte",
        ),
        (("optimizer", "skipped"), "x", r"\['skipped'\] is 'x'. Expected two numbers"),
        (("meta", "epoch_iters"), -1, r"meta\['epoch_iters'\] is -1. Expected a whole number"),
        (("message_hub",), "x", "its message_hub is 'x'"),
        (("message_hub", "log_scalars"), [1], r"\['log_scalars'\] is \[1\]"),
        (("message_hub", "log_scalars", "train/loss"), 3.0, "train/loss is 3.0. Expected a log"),
        (("message_hub", "runtime_info", "best_score"), "x", "best_score is 'x'. Expected a num"),
        (("meta", "epoch"), None, r"meta\['epoch'\] is None. Expected a whole number"),
        (("meta", "iter"), -1, r"meta\['iter'\] is -1"),
        (("param_schedulers", 1, "power"), torch.ones(2), "Expected numbers, texts and lists of"),
        (("meta", "seed"), 2**32, r"meta\['seed'\] is 4294967296"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_training_state_that_is_not_the_runs_is_refused(
    trained, bare_runner, place, value, message
):
    checkpoint = node = torch.load(trained, weights_only=False)
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    with pytest.raises(WeightsError, match=rf"^a\.pth.*{message}"):
        training_state(checkpoint, "a.pth", bare_runner)


@pytest.fixture(scope="module")
def bare_runner(trained, faces_dir, tmp_path_factory):
    runner = Runner.from_cfg(make_face_config(faces_dir, tmp_path_factory.mktemp("bare"), **BARE))
    runner.resume(str(trained))
    return runner


def test_weights_alone_cannot_be_resumed(trained, bare_runner):
    (best,) = trained.parent.glob("best_*.pth")
    with pytest.raises(WeightsError, match="has no optimizer, param_schedulers: it holds"):
        training_state(read_checkpoint(best), str(best), bare_runner)


def test_weights_that_are_not_finite_are_not_resumed(trained, bare_runner, tmp_path):
    checkpoint = torch.load(trained, weights_only=False)
    checkpoint["state_dict"]["decode_head.conv_seg.bias"] *= NAN
    torch.save(checkpoint, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"infinite or not .*: decode_head\.conv_seg\.bias"):
        bare_runner.resume(str(tmp_path / "a.pth"))


def test_how_an_optimizer_computes_is_said_by_the_run(trained, bare_runner, tmp_path):
    checkpoint = torch.load(trained, weights_only=False)
    how = {"capturable": True, "differentiable": torch.ones(2)}
    checkpoint["optimizer"]["param_groups"][0].update(how)
    checkpoint["optimizer"]["base_param_settings"].update(how)
    torch.save(checkpoint, tmp_path / "a.pth")
    bare_runner.resume(str(tmp_path / "a.pth"))
    group = bare_runner.optim_wrapper.param_groups[0]
    assert group["capturable"] is group["differentiable"] is False


def change_optimizer(cfg):
    cfg.optim_wrapper.optimizer = dict(type="SGD", lr=0.1, weight_decay=0.1)


def change_groups(cfg):
    cfg.optim_wrapper.constructor = "DefaultOptimWrapperConstructor"
    cfg.optim_wrapper.paramwise_cfg = {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_optimizer, r"\['(momentum|dampening)'\] is None"),
        (change_groups, r"\['exp_avg'\] is tensor.* Expected finite, of \(1, 12, 48\)"),
    ],
)
def test_another_optimizer_is_refused(trained, face_config, change, message):
    cfg = resume_config(face_config, trained)
    change(cfg)
    with pytest.raises(WeightsError, match=rf"{message}.*resume with the config of the training"):
        Runner.from_cfg(cfg).load_or_resume()


def test_a_checkpoint_does_not_say_what_a_schedule_does(trained, bare_runner, tmp_path):
    checkpoint = torch.load(trained, weights_only=False)
    settings = {"_get_value": 1, "optimizer": None, "power": 1e9, "param_name": "x", "end": 10**60}
    checkpoint["param_schedulers"][1].update(settings)
    torch.save(checkpoint, tmp_path / "a.pth")
    init_default_scope("seg")
    schedule = bare_runner.param_schedulers[1]
    own = {key: getattr(schedule, key) for key in settings}
    bare_runner.resume(str(tmp_path / "a.pth"))
    assert {key: getattr(schedule, key) for key in settings} == own
    assert schedule.last_step == bare_runner.iter == 3
    assert all(isinstance(value, float) for value in schedule._get_value())


def test_states_that_the_optimizer_lacks_are_said(trained, bare_runner, capsys):
    checkpoint = torch.load(trained, weights_only=False)
    del checkpoint["optimizer"]["state"][5]
    training_state(checkpoint, "a.pth", bare_runner)
    assert "has nothing of 1 of 35 parameters: they start anew" in capsys.readouterr().out


def test_the_farthest_checkpoint_is_found_whatever_a_file_says_of_its_start(trained, tmp_path):
    checkpoint = torch.load(trained, weights_only=False)
    for number in (1, 2):
        checkpoint["meta"].update(started=torch.ones(2), epoch=number)
        torch.save(checkpoint, tmp_path / f"epoch_{number}.pth")
    assert latest_checkpoint(tmp_path) == str(tmp_path / "epoch_2.pth")


@pytest.mark.parametrize(
    ("value", "is_number"),
    [(0, True), (-1.5, True), (9e299, True), (1e300, False), (-1e300, False), (True, False),
     (float("nan"), False), ("1", False), (None, False), (torch.tensor(2.0), True),
     (torch.tensor([2.0]), True), (torch.tensor([1.0, 2.0]), False), (torch.tensor(1), False),
     (torch.tensor(float("inf")), False)],
)  # fmt: skip
def test_what_is_one_finite_number(value, is_number):
    assert _is_number(value) == is_number


@pytest.mark.parametrize(
    ("saved", "ours", "is_like"),
    [(1, 2.5, True), (0, 5, True), (-1, 5, False), (-1, -5, True), (5, -1, True), ("a", "a", True),
     ("a", "b", False), (True, True, True), (1, True, False), (None, None, True), (0, None, False),
     ((0.9, 0.99), (0.5, 0.5), True), ([0.9, 0.99], (0.5, 0.5), True), ((0.9,), (0.5, 0.5), False),
     ((0.9, None), (0.5, 0.5), False), (0.9, (0.5, 0.5), False)],
)  # fmt: skip
def test_settings_of_the_same_kind(saved, ours, is_like):
    assert _is_like(saved, ours) == is_like
