"""Saving checkpoints so that a kill at any line leaves one to go on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS

from engine.checkpoint.sharded import SUFFIX
from engine.config.keys import did_you_mean
from engine.errors import ConfigError
from engine.prune import keep_last, remove

STOPPED = "iter_{}.pth"
"""Name of the checkpoint of a run that stopped on a signal."""


@HOOKS.register_module(force=True)
class CheckpointHook(MMEngineCheckpointHook):
    """MMEngine's, with other rules of what is removed, and when.

    * The new file is whole before an old one goes.
    * Only files of these names, in the folder of the checkpoints, ever go; what a checkpoint that
      is resumed from says of others does not count.
    * ``max_keep_ckpts`` holds for ``epoch_N.pth`` and for the ``iter_N.pth`` of stopped runs each.
    * A checkpoint that is saved again since it is the best says that it was evaluated.

    The best ones hold weights only.

    Args:
        **kwargs: See MMEngine.

    Raises:
        ConfigError: For an unknown argument, or one that MMEngine refuses.
    """

    folder: Path | None = None  # outside of a training there is none

    def __init__(self, **kwargs: Any) -> None:
        try:
            super().__init__(**kwargs)
        except ValueError as error:  # nothing says whether more is better
            raise ConfigError(
                f"CheckpointHook: {error} Name a figure that the metrics report, and list it in "
                "greater_keys if more of it is better, else in less_keys."
            ) from error
        unread = [*self.args, *(["published_keys"] if self.published_keys else [])]
        if unread:
            raise ConfigError(
                f"CheckpointHook: nothing reads {', '.join(unread)}. To take the weights out of a "
                "checkpoint: mmsapiens convert."
            )

    def check_figures(self, names: Sequence[str]) -> None:
        """Checks that what decides which checkpoint is best will be reported.

        Args:
            names: All figures that the metrics report.

        Raises:
            ConfigError: If it will not, or nothing says whether more is better.
        """
        for key in self.save_best or ():
            if key == "auto" and names:
                try:
                    copy(self)._init_rule(self.rules, [names[0]])
                except ValueError as error:
                    raise ConfigError(f"default_hooks.checkpoint.save_best: {error}") from error
            elif key not in names:
                raise ConfigError(
                    f'default_hooks.checkpoint: nothing reports the save_best "{key}".'
                    f"{did_you_mean(key, names)} The metrics report {', '.join(names) or 'nothing'}"
                    "."
                )

    def before_train(self, runner: Any) -> None:
        """Finds the folder, and removes what a killed run has begun to write."""
        work_dir = Path(runner.work_dir)
        self.folder = work_dir if self.out_dir is None else Path(self.out_dir, work_dir.name)
        self.last_ckpt: Path | None = None
        if is_main_process():
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in [*self.folder.glob("*.pth.tmp"), *self.folder.glob(f"*{SUFFIX}*.tmp")]:
                remove(path)
            keep_last(runner.work_dir, STOPPED, self.max_keep_ckpts, runner.iter)
        resumed = self._path(self._progress(runner))
        if runner.iter and (resumed.is_file() or resumed.with_suffix(SUFFIX).is_dir()):
            self.last_ckpt = resumed
        runner.logger.info(f"Checkpoints will be saved to {self.folder}.")

    def _progress(self, runner: Any) -> int:
        return runner.epoch if self.by_epoch else runner.iter

    def _path(self, step: int) -> Path:
        assert self.folder is not None
        return self.folder / self.filename_tmpl.format(step)

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        self.last_ckpt = self._path(step)
        runner.save_checkpoint(
            str(self.folder),
            self.filename_tmpl.format(step),
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            then=lambda: self._keep_last(runner.work_dir, step, meta["iter"]),
        )

    def _keep_last(self, work_dir: str, step: int, iteration: int) -> None:
        assert self.folder is not None
        keep_last(self.folder, self.filename_tmpl, self.max_keep_ckpts, step)
        keep_last(work_dir, STOPPED, self.max_keep_ckpts, iteration)

    def _save_best_checkpoint(self, runner: Any, metrics: Mapping[str, Any]) -> None:
        if not self.save_best or self.folder is None:
            return
        if "auto" in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        step, meta = self._progress(runner), {"epoch": runner.epoch, "iter": runner.iter}
        rules = zip(self.key_indicators, self.rules, strict=True)
        better = [
            key for key, rule in rules if self._is_best(runner.message_hub, key, rule, metrics[key])
        ]
        for key in better:
            name = f"best_{key}_{self.filename_tmpl}".replace("/", "_")
            runner.save_checkpoint(
                str(self.folder),
                name.format(step),
                save_optimizer=False,
                save_param_scheduler=False,
                meta=dict(meta),
                then=partial(keep_last, self.folder, name, 1, step),
            )
            where = runner.checkpoint_name(name.format(step))
            runner.logger.info(f"{key} is best so far, {metrics[key]:.4f}: {where}.")
        if better and self.last_ckpt == self._path(step):  # it knows nothing of the new best yet
            self._save_checkpoint_with_step(runner, step, {**meta, "evaluated": True})

    def _is_best(self, hub: MessageHub, key: str, rule: str, score: float | None) -> bool:
        name = "best_score" if len(self.key_indicators) == 1 else f"best_score_{key}"
        best = hub.get_info(name, self.init_value_map[rule])
        if score is None or not self.is_better_than[key](score, best):
            return False
        hub.update_info(name, score)
        return True
