"""A runner's checkpoints: what it reads of them, and how it writes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.runner import Runner as MMEngineRunner

from engine.checkpoint import (
    apply_weights,
    latest_checkpoint,
    model_meta,
    read_sharded,
    training_state,
)
from engine.checkpoint.adapted import check_adapter, read_whole
from engine.checkpoint.sharded import SUFFIX, is_sharded_checkpoint
from engine.errors import ConfigError, not_written
from engine.model.deferred import DeferredDraws
from engine.model.wrappers import unwrap
from engine.optim.autocast import AutocastOptimWrapper
from engine.parallel import is_sharded
from engine.parallel.saving import Saver
from engine.parallel.state import read_part, state_of
from engine.resume import position_of, restore
from engine.train_loop import ResumableTrainLoop


class CheckpointingRunner(MMEngineRunner):
    """MMEngine's, which reads checkpoints safely and writes them whole or not at all.

    * What a checkpoint of the whole model may lack is said by the config's top-level
      ``allow_missing``.
    * A resumed training has the settings of the config; what differs from before is logged.
    * Checkpoints carry what identifies the model (patch padding, position grid) and the place in
      the training, and appear under their name only when complete.
    """

    optim_wrapper: Any  # configs until they are built
    param_schedulers: Any
    _draws: DeferredDraws
    _saver: Saver  # of a sharded model
    _started: str

    def _complete_weights(self) -> None:
        """Draws what no file has replaced."""
        raise NotImplementedError

    def load_checkpoint(
        self, filename: str, map_location: Any = "cpu", strict: bool = False, **_: Any
    ) -> dict:
        """Loads the weights of a checkpoint into the model.

        Args:
            filename: A .pth or .safetensors file.
            map_location: Not used: files are read to the CPU, then copied into the model.
            strict: Whether nothing may be missing, whatever the config's ``allow_missing`` says;
                always so when resuming.

        Returns:
            The whole checkpoint; when resuming, what :func:`training_state` leaves of it.
        """
        checkpoint, model = self._read(filename), unwrap(self.model)
        if self._adapter is not None:
            check_adapter(checkpoint, filename, self._adapter, self._resume)
        if self._resume:
            checkpoint = training_state(checkpoint, filename, self)
            self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        allowed = () if strict or self._resume else self.cfg.get("allow_missing", ())
        with self._draws:
            apply_weights(model, checkpoint, source=filename, allow_missing=allowed)
        if not is_sharded(model):
            self._complete_weights()
        if not self._resume:  # hooks look for the model's own names, which a file need not have
            checkpoint = {**checkpoint, "state_dict": model.state_dict()}
            self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self._has_loaded = True
        return checkpoint

    def _read(self, path: str) -> dict:
        """Reads a checkpoint; to resume a sharded training, each process its own part."""
        if self._resume and is_sharded(self.model):
            return read_part(path, self)
        whole = self._resume and is_sharded_checkpoint(path)
        if whole:
            return read_sharded(path)
        adapter = self._adapter
        return read_whole(path, adapters=bool(adapter and (self._resume or adapter.type == "lora")))

    @cached_property
    def _checkpoint_to_load(self) -> str | None:
        """What to load or resume from; ``--resume`` alone takes the work dir's farthest one."""
        if self._resume and self._load_from is None:
            return latest_checkpoint(self.work_dir)
        return self._load_from

    def load_or_resume(self) -> None:
        """Loads weights, or restores the whole state, as the config asks; at most once."""
        path = None if self._has_loaded else self._checkpoint_to_load
        if path is not None and self._resume:
            self.resume(path)
        elif path is not None:
            self.load_checkpoint(path)
        elif self._resume and not self._has_loaded:
            self.logger.warning(
                f"Nothing to resume in {self.work_dir}: starting from the beginning."
            )

    def resume(self, filename: str, *_: Any, **__: Any) -> None:
        """Goes on from a checkpoint; settings of optimizer and schedule are the config's.

        Raises:
            ConfigError: If a setting has changed with which the training cannot go on.
            WeightsError: If a part of the file is missing, or does not fit the run.
        """
        self._resume = True  # load_checkpoint takes, and checks, more than the weights then
        self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
        if self.param_schedulers is not None:
            self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
        if not isinstance(self.train_loop, ResumableTrainLoop):
            raise ConfigError(
                f"train_cfg.type: a {type(self.train_loop).__name__} cannot go on where it was. "
                'Use "ResumableTrainLoop", or start anew from the weights with --load-from.'
            )
        checkpoint = self.load_checkpoint(filename)
        meta, loader = checkpoint["meta"], self.train_loop.dataloader
        position = position_of(meta, len(loader), self._samples_an_iteration())
        self.train_loop.go_to(position)
        if self._load_from is None:  # else it is a branch, newer than what the work dir holds
            self._started = meta.get("started", self._started)
        self._resume_seed(meta.get("seed", self.seed), in_epoch=position.iteration % len(loader))
        self.message_hub.load_state_dict(checkpoint["message_hub"])
        schedulers = self.param_schedulers or []
        changes = restore(self.optim_wrapper, schedulers, checkpoint, position, len(loader))
        if position.moved:
            changes.append(f"iterations: {meta['iter']} -> {position.iteration}")
        self.logger.info(f"resumed epoch: {self.epoch}, iter: {self.iter}")
        if changes:
            self.logger.warning(
                f"The config differs from what {filename} was trained with so far, and is followed "
                f"from here on: {'; '.join(changes)}."
            )

    def _samples_an_iteration(self) -> int:
        return (self.train_loop.dataloader.batch_size or 0) * self.world_size

    def _resume_seed(self, seed: int, in_epoch: int) -> None:
        """Goes on with the seed of a checkpoint, or from the end of an epoch with another."""
        own = self._randomness_cfg.get("seed")
        if own is None:
            self.set_randomness(**{**self._randomness_cfg, "seed": seed})
            self.train_loop.dataloader.sampler.seed = seed
        elif own != seed and in_epoch:
            raise ConfigError(
                f"randomness.seed is {own}, but the checkpoint, in the middle of an epoch, is "
                f"of seed {seed}: samples would be seen twice, and others not. Resume with that "
                "seed, or start anew from its weights with --load-from."
            )
        elif own != seed:
            self.logger.warning(f"The seed was {seed} so far, and is {own} from here on.")

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        *args: Any,
        meta: dict | None = None,
        then: Callable[[], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes a checkpoint under a temporary name, then renames it.

        That of a sharded model is a folder, which all ranks write while the training goes on.

        Args:
            out_dir: The folder for it.
            filename: Its name; of a folder the suffix is ``.dcp``.
            *args: See MMEngine.
            meta: Likewise.
            then: Called when it is there, by the first rank.
            **kwargs: See MMEngine.

        Raises:
            OutputError: If it, or the folder before it, cannot be written; checkpoints written
                before are untouched.
        """
        place = {
            "started": self._started,
            "epoch_iters": len(self.train_loop.dataloader),
            "batch_size": self._samples_an_iteration(),
        }
        meta = {**(meta or {}), **model_meta(self.model), **place}
        if isinstance(self.optim_wrapper, AutocastOptimWrapper):
            self.optim_wrapper.settle()  # on all ranks: of a file only the first asks for its state
        if is_sharded(self.model):
            path = Path(out_dir, self.checkpoint_name(filename))
            self._saver.save(state_of(self, meta, **kwargs), path, then)
        elif is_main_process():
            self._save_file(Path(out_dir, filename), *args, meta=meta, **kwargs)
            if then is not None:
                then()

    def checkpoint_name(self, filename: str) -> str:
        """Returns the name of a checkpoint, which is a folder of a sharded training."""
        return str(Path(filename).with_suffix(SUFFIX)) if is_sharded(self.model) else filename

    def _save_file(self, path: Path, *args: Any, **kwargs: Any) -> None:
        temporary = path.with_name(f"{path.name}.tmp")
        try:
            super().save_checkpoint(str(path.parent), temporary.name, *args, **kwargs)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:  # PyTorch reports a full disk as a RuntimeError
            temporary.unlink(missing_ok=True)
            raise not_written(path, error) from error
        temporary.replace(path)

    def finish_saving(self) -> None:
        """Waits until what was saved is written; a sharded training goes on meanwhile.

        Raises:
            OutputError: It cannot be.
        """
        if is_sharded(self.model):
            self._saver.wait()
