"""The schedule of the released pretraining, as the configs and the runner make it."""

import os
import signal

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import (
    HOOKS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    PARAM_SCHEDULERS,
    init_default_scope,
)

from engine.config import load_config
from engine.runner import Runner
from engine.signals import STOPPED_EXIT_CODE
from tests.pretrain.conftest import TINIEST

HUMANS = [f"humans/mae_sapiens_{arch}_humans-1024x1024" for arch in ("0.3b", "0.6b", "1b", "2b")]


def test_weights_decay_and_tokens_norms_and_biases_do_not(root):
    cfg = load_config(root / f"configs/pretrain/{HUMANS[0]}.py")
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.arch = TINIEST
    model = MODELS.build(cfg.model)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        {
            "type": cfg.optim_wrapper.constructor,
            "paramwise_cfg": cfg.optim_wrapper.paramwise_cfg,
            "optim_wrapper_cfg": {
                "type": "OptimWrapper",
                "optimizer": cfg.optim_wrapper.optimizer,
            },
        }
    )
    optimizer = constructor(model).optimizer
    names = {param: name for name, param in model.named_parameters()}
    seen = set()
    for group in optimizer.param_groups:
        assert group["lr"] == pytest.approx(1.5e-4) and group["betas"] == (0.9, 0.95)
        for param in group["params"]:
            seen.add(names[param])
            spared = any(k in names[param] for k in ("ln", "bias", "mask_token", "cls_token"))
            assert group["weight_decay"] == (0 if spared else 0.05), names[param]
    assert set(names.values()) - seen == {"backbone.pos_embed", "neck.decoder_pos_embed"}


@pytest.mark.parametrize("name", HUMANS)
def test_eight_processes_make_the_released_step_of_4096_images(name, root):
    cfg = load_config(root / f"configs/pretrain/{name}.py")
    images = 8 * cfg.train_dataloader.batch_size * cfg.optim_wrapper.accumulative_counts
    assert images == 4096
    assert cfg.optim_wrapper.optimizer.lr * images / cfg.auto_scale_lr.base_batch_size == 2.4e-3


@pytest.mark.parametrize(("batch_size", "counts"), [(2, 1), (2, 3), (6, 1)])
def test_learning_rate_is_that_of_the_images_a_step(batch_size, counts, mae_config, tmp_path):
    cfg = mae_config(
        auto_scale_lr__enable=True,
        train_dataloader__batch_size=batch_size,
        optim_wrapper__accumulative_counts=counts,
        optim_wrapper__optimizer__lr=1.5e-4,
    )
    cfg.work_dir, cfg.experiment_name = str(tmp_path / "work"), str(tmp_path)
    runner = Runner.from_cfg(cfg)
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(wrapper, runner.auto_scale_lr)
    for group in wrapper.optimizer.param_groups:
        assert group["lr"] == pytest.approx(1.5e-4 * batch_size * counts / 256)


def test_rates_warm_up_then_follow_the_cosine(root):
    """The schedulers of the config, over an epoch of 5 steps."""
    cfg = load_config(root / f"configs/pretrain/{HUMANS[0]}.py")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [
        PARAM_SCHEDULERS.build({**c, "epoch_length": 5}, default_args={"optimizer": optimizer})
        for c in cfg.param_scheduler
    ]
    rates = []
    for _ in range(1600 * 5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    warm_up, peak = 40 * 5, max(rates)
    assert rates[0] == pytest.approx(1e-4) and peak == pytest.approx(1, abs=1e-3)
    assert abs(rates.index(peak) - warm_up) <= 1
    middle = (warm_up + len(rates)) // 2
    assert rates[middle] == pytest.approx(0.5, abs=1e-2) and rates[-1] < 1e-4
    assert len(set(rates[warm_up + 5 : warm_up + 10])) == 5, "by iteration"


def test_a_shorter_training_has_a_shorter_cosine(root):
    path = root / f"configs/pretrain/{HUMANS[0]}.py"
    schedulers = load_config(path, {"train_cfg.max_epochs": 300}).param_scheduler
    assert [scheduler.end for scheduler in schedulers] == [40, 300]


@HOOKS.register_module()
class SignalHook(Hook):
    """Sends this process SIGTERM in an iteration, as a cluster does."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_stopped_by_a_signal_and_resumed_equals_an_uninterrupted_one(
    mae_config, images_dir, tmp_path
):
    """Crops, order, masks, momenta and rates included; an epoch has three iterations."""

    def train(work_dir, resume=False, hooks=()):
        cfg = mae_config(train_cfg__max_epochs=3, param_scheduler__0__end=3)
        cfg.train_dataloader.dataset.list_file = str(list_file)
        cfg.custom_hooks = list(hooks)
        cfg.work_dir = str(tmp_path / work_dir)
        cfg.experiment_name = f"{tmp_path / work_dir}-{resume}"
        cfg.resume = resume
        runner = Runner.from_cfg(cfg)
        runner.train()
        momenta = runner.optim_wrapper.state_dict()["state"]
        rates = torch.tensor(runner.optim_wrapper.get_lr()["lr"])
        return {
            **runner.model.state_dict(),
            **{f"{i}.{name}": x for i, state in momenta.items() for name, x in state.items()},
            "lr": rates,
        }

    list_file = tmp_path / "list.txt"
    list_file.write_text("\n".join(path.name for path in sorted(images_dir.iterdir())))
    whole = train("whole")
    with pytest.raises(SystemExit) as end:
        train("parts", hooks=[{"type": "SignalHook", "iteration": 5}])
    assert end.value.code == STOPPED_EXIT_CODE
    assert (tmp_path / "parts" / "iter_5.pth").is_file()
    resumed = train("parts", resume=True)
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key
