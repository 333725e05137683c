"""The training loop: exact resuming, stopping on a signal, evidence of non-finite numbers."""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import Any

import torch
from mmengine.dist import barrier, get_rank
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from engine.checkpoint.values import is_finite
from engine.errors import ConfigError, DataError, NonFiniteError
from engine.history import longest_window
from engine.hooks.checkpoint import STOPPED
from engine.launch import group_timeout
from engine.model.base import BaseModel
from engine.model.wrappers import unwrap
from engine.optim.autocast import AutocastOptimWrapper
from engine.parallel.shards import is_sharded
from engine.prefetch import prefetch
from engine.replay import losses_of, save_nan_batch, seed_iteration
from engine.resume import Position
from engine.stop import StopRequest


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs, which goes on exactly where a checkpoint was saved.

    * In the middle of an epoch the sampler skips what has been seen, without loading it; at its end
      the evaluation that follows is repeated unless the checkpoint says that it was done.
    * On SIGTERM, SIGUSR2 or Ctrl-C all ranks finish their step, save ``iter_N.pth`` and exit; see
      :mod:`engine.stop`.
    * A non-finite loss or gradient saves the batch at fault, of those that a step accumulates, to
      ``work_dir/nan_batch.pth`` before it stops.

    With gradient accumulation a resumed run is exact if the windows end with the epoch: gradients
    that have not become a step are not saved.

    Args:
        runner: The runner.
        dataloader: Config of the data loader, or the loader.
        max_epochs: Number of epochs.
        val_begin: First epoch after which is validated.
        val_interval: Epochs between validations.
        dynamic_intervals: See MMEngine.
    """

    _evaluated = False  # whether what follows the last epoch was done before the start

    def go_to(self, position: Position) -> None:
        """Starts where a checkpoint was saved.

        Raises:
            ConfigError: If that is behind the end.
        """
        if position.iteration > self.max_iters:
            raise ConfigError(
                f"train_cfg.max_epochs is {self.max_epochs}, but the checkpoint is in epoch "
                f"{math.ceil(position.iteration / len(self.dataloader))}: there is nothing left to "
                "train. Set more epochs, or start anew from its weights with --load-from."
            )
        if position.iteration == self.max_iters:
            self.runner.logger.warning(
                "The training is at its end: only more train_cfg.max_epochs would go on."
            )
        self._epoch, self._iter = position.epoch, position.iteration
        self._evaluated = position.evaluated

    def run(self) -> torch.nn.Module:
        """Trains until ``max_epochs``."""
        self.stop_request = StopRequest(group_timeout(self.runner.cfg))
        self.runner.message_hub.most = longest_window(self.runner)
        with self.stop_request.listening():
            # The batches of a step by iteration: of the one before, and of the present one.
            self._windows: list[dict[int, Any]] = [{}]
            self.runner.call_hook("before_train")
            if self._iter > 0 and self._batches_done() == 0 and not self._evaluated:
                self._validate()
            while self._epoch < self._max_epochs and not self.stop_training:
                self.run_epoch()
                self._validate()
            self.runner.call_hook("after_train")
        return self.runner.model

    def _validate(self) -> None:
        self._decide_current_val_interval()
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
        if self.runner.val_loop is not None and self._epoch >= self.val_begin and due:
            self.runner.val_loop.run()

    def _batches_done(self) -> int:
        """Batches of the current epoch that are behind us; not 0 after resuming in its middle."""
        return self._iter - self._epoch * len(self.dataloader)

    def run_epoch(self) -> None:
        """Runs the rest of the current epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._batches_done()
        if done and not hasattr(self.dataloader.sampler, "skip"):
            raise ConfigError(
                "Resuming in the middle of an epoch needs a sampler that can skip: set "
                'train_dataloader.sampler=dict(type="SeededSampler", shuffle=True).'
            )
        if done:
            self.dataloader.sampler.skip(done * self.dataloader.batch_size)
        model = unwrap(self.runner.model)
        batches = prefetch(self.dataloader, model.data_preprocessor.cast_data, model.device)
        for index, data_batch in enumerate(batches, start=done):
            self._stop_if_asked()  # where a rank without data makes the others wait on the CPU
            self.run_iter(index, data_batch)
        self._settle()
        self._stop_if_asked()
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Runs one iteration."""
        if self._begins_step():
            self._windows = [*self._windows[-1:], {}]
        self._windows[-1][self._iter] = data_batch
        seed_iteration(self.runner.seed, get_rank(), self._iter)
        try:
            super().run_iter(idx, data_batch)
        except NonFiniteError as error:
            raise self._with_evidence(error, self._iter) from error

    def _settle(self) -> None:
        """Waits until it is known how the last step went."""
        wrapper = self.runner.optim_wrapper
        try:
            if isinstance(wrapper, AutocastOptimWrapper):
                wrapper.settle()
        except NonFiniteError as error:
            raise self._with_evidence(error, self._iter - 1) from error

    def _begins_step(self) -> bool:
        """Whether no gradients of earlier iterations wait for the next step."""
        return self._iter % self.runner.optim_wrapper._accumulative_counts == 0

    def _with_evidence(self, error: NonFiniteError, done: int) -> NonFiniteError:
        """Saves the batch, and says where it is and which loss term, if one, is not finite.

        Args:
            error: Of a step, which may be known of late.
            done: The last iteration.
        """
        runner, seed, wrapper = self.runner, self.runner.seed, self.runner.optim_wrapper
        last = done - (wrapper._inner_count - wrapper.last_count)
        window = next(window for window in self._windows if last in window)
        model, iteration = unwrap(runner.model), last
        losses: dict[str, float] = {}
        try:
            iteration, losses, bad = self._find_bad(model, window)
            finding = _first_bad(losses, bad)
        except DataError as reason:
            finding = f"{reason} "
        except Exception as again:  # the batch is wanted all the more
            finding = f"its loss could not be computed again ({again!r}); "
        batch = window[iteration]
        try:
            path = save_nan_batch(runner.work_dir, model, batch, losses, seed, iteration)
            evidence = f"The batch is saved: run it again with --replay {path}."
        except (OSError, RuntimeError) as again:  # PyTorch reports a full disk as a RuntimeError
            evidence = f"The batch could not be saved ({str(again).splitlines()[0]})."
        return NonFiniteError(f"Iteration {iteration + 1}: {finding}{error} {evidence}")

    def _find_bad(
        self, model: BaseModel, window: dict[int, Any]
    ) -> tuple[int, dict[str, float], list[str]]:
        """Finds which batch of a step is at fault: by its losses, else by its gradients.

        Returns:
            Its iteration, the last one if none is at fault alone; its loss terms; and the names of
            the parameters whose gradients are not finite.

        Raises:
            DataError: If the targets of a batch are at fault.
        """
        losses: dict[int, dict[str, float]] = {}
        gradients: dict[int, list[str]] = {}
        # All batches on all ranks, as those of a sharded model compute together.
        for iteration, batch in window.items():
            again = partial(losses_of, model, self.runner.optim_wrapper, batch)
            position = (self.runner.seed, get_rank(), iteration)
            model.zero_grad()
            total, terms = again(*position)
            losses[iteration] = {name: float(value.detach()) for name, value in terms.items()}
            total.backward()
            gradients[iteration] = [
                name
                for name, p in model.named_parameters()
                if p.grad is not None and not is_finite(p.grad)
            ]
            if not all(map(math.isfinite, losses[iteration].values())) and not is_sharded(model):
                with torch.no_grad():  # losses look at their targets then
                    again(*position)
        bad = [i for i, found in losses.items() if not all(map(math.isfinite, found.values()))]
        bad += [i for i, found in gradients.items() if found]
        iteration = next(iter([*bad, max(window)]))
        return iteration, losses[iteration], gradients[iteration]

    def _stop_if_asked(self) -> None:
        """Saves and exits if a signal asks for it, unless gradients wait for their step."""
        exit_code = self.stop_request.agreed() if self._begins_step() else 0
        if not exit_code:
            return
        self._settle()
        name = self.runner.checkpoint_name(STOPPED.format(self._iter))
        self.runner.logger.warning(f"Stopping on a signal: saving {name}; --resume goes on here.")
        position = {"epoch": self._epoch, "iter": self._iter}
        position["evaluated"] = self._batches_done() == 0
        self.runner.save_checkpoint(self.runner.work_dir, name, meta=position)
        self.runner.finish_saving()
        barrier()  # no rank may leave, and end the job, before the file is written
        self.runner.call_hook("after_train")
        sys.exit(exit_code)


def _first_bad(losses: dict[str, float], gradients: list[str]) -> str:
    """Names the first term that is not finite; the sum of all, "loss", only if no term of it is.

    If all are, the first gradient that is not.
    """
    bad = {name: value for name, value in losses.items() if not math.isfinite(value)}
    if bad:
        name = next((name for name in bad if name != "loss"), "loss")
        return f"{name} is {bad[name]}; "
    found = ""
    if gradients:
        first = f", the first being that of {gradients[0]}"
        found = f" computed again, {len(gradients)} gradients are not finite{first};"
    return f"this batch's loss is finite on rank {get_rank()};{found} "
