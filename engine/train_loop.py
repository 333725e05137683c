"""The training loop: exact resuming, stopping on a signal, evidence of non-finite numbers."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from mmengine.dist import barrier, get_rank
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from engine.errors import ConfigError, DataError, NonFiniteError
from engine.launch import group_timeout
from engine.model.wrappers import unwrap
from engine.replay import losses_of, save_nan_batch, seed_iteration
from engine.stop import StopRequest


@LOOPS.register_module()
class ResumableTrainLoop(EpochBasedTrainLoop):
    """MMEngine's loop over epochs, which goes on exactly where a checkpoint was saved.

    * In the middle of an epoch the sampler skips what has been seen, without loading it; at its end
      the evaluation that follows is repeated, since checkpoints are saved before it.
    * On SIGTERM, SIGUSR2 or Ctrl-C all ranks finish their iteration, save ``iter_N.pth`` and exit;
      see :mod:`engine.stop`.
    * A non-finite loss or gradient saves the batch to ``work_dir/nan_batch.pth`` before it stops.

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

    def run(self) -> torch.nn.Module:
        """Trains until ``max_epochs``."""
        self.stop_request = StopRequest(group_timeout(self.runner.cfg))
        self.stop_request.listen()
        self._check_resumed_position()
        if self._iter > 0 and self._batches_done() == 0:
            self._validate()
        self.runner.call_hook("before_train")
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

    def _check_resumed_position(self) -> None:
        batches = len(self.dataloader)
        if not 0 <= self._batches_done() <= batches:
            raise ConfigError(
                f"The checkpoint is at epoch {self._epoch}, iteration {self._iter}, which does not "
                f"fit {batches} batches an epoch. Resume with the batch size, the number of "
                "processes and the data that it was trained with, or start anew from its weights "
                "with --load-from."
            )

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
        for index, data_batch in enumerate(self.dataloader, start=done):
            self._stop_if_asked()  # where a rank without data makes the others wait on the CPU
            self.run_iter(index, data_batch)
        self._stop_if_asked()
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Runs one iteration."""
        seed_iteration(self.runner.seed, get_rank(), self._iter)
        try:
            super().run_iter(idx, data_batch)
        except NonFiniteError as error:
            raise self._with_evidence(error, data_batch) from error

    def _with_evidence(self, error: NonFiniteError, data_batch: Any) -> NonFiniteError:
        """Saves the batch, and says where it is and which loss term, if one, is not finite."""
        runner, seed = self.runner, self.runner.seed
        model, losses = unwrap(runner.model), {}
        try:
            with torch.no_grad():
                terms = losses_of(
                    model, runner.optim_wrapper, data_batch, seed, get_rank(), self._iter
                )[1]
            losses = {name: float(value) for name, value in terms.items()}
            finding = _first_bad(losses)
        except DataError as reason:
            finding = f"{reason} "
        except Exception as again:  # the batch is wanted all the more
            finding = f"its loss could not be computed again ({again!r}); "
        try:
            path = save_nan_batch(runner.work_dir, model, data_batch, losses, seed, self._iter)
            evidence = f"The batch is saved: run it again with --replay {path}."
        except (OSError, RuntimeError) as again:  # PyTorch reports a full disk as a RuntimeError
            evidence = f"The batch could not be saved ({str(again).splitlines()[0]})."
        return NonFiniteError(f"Iteration {self._iter + 1}: {finding}{error} {evidence}")

    def _stop_if_asked(self) -> None:
        """Saves and exits between two steps, if a signal asks for it."""
        ends_a_step = self._iter % self.runner.optim_wrapper._accumulative_counts == 0
        exit_code = self.stop_request.agreed() if ends_a_step else 0
        if not exit_code:
            return
        name = f"iter_{self._iter}.pth"
        self.runner.logger.warning(f"Stopping on a signal: saving {name}; --resume goes on here.")
        position = {"epoch": self._epoch, "iter": self._iter}
        self.runner.save_checkpoint(self.runner.work_dir, name, meta=position)
        barrier()  # no rank may leave, and end the job, before the file is written
        self.runner.call_hook("after_train")
        sys.exit(exit_code)


def _first_bad(losses: dict[str, float]) -> str:
    """Names the first term that is not finite; the sum of all, "loss", only if no term of it is."""
    bad = {name: value for name, value in losses.items() if not math.isfinite(value)}
    if bad:
        name = next((name for name in bad if name != "loss"), "loss")
        return f"{name} is {bad[name]}; "
    return f"this batch's loss is finite on rank {get_rank()}; "
