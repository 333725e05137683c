"""The logged figures of a run: read from the device late, and no more remembered than needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.logging import HistoryBuffer, MessageHub

LEAST = 100
_MOST_WAITING = 1000


class LateMessageHub(MessageHub):
    """MMEngine's, which reads figures of a device when they are asked for, all of them at once.

    MMEngine's reads each figure of each iteration at once, and every time the device, which has
    been given no further work, waits for the host.

    Attributes:
        most: How many values of a figure are remembered, by its name; None for MMEngine's million,
            all of which are copied to add one.
        ask_first: Called before all figures are read; adds what it knows.
    """

    most: Callable[[str], int] | None = None
    ask_first: Callable[[], object] | None = None

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._waiting: list[tuple[str, torch.Tensor, int]] = []

    def update_scalar(self, key: str, value: Any, count: int = 1, resumed: bool = True) -> None:
        """Adds a value: a number, or a tensor of one, which is not read yet."""
        self._set_resumed_keys(key, resumed)
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
            self._read(key)
            self._add(key, self._get_valid_value(value), count)
            return
        self._log_scalars.setdefault(key, HistoryBuffer())  # its place in a line of the log
        self._waiting.append((key, value.detach().clone(), count))
        if len(self._waiting) > _MOST_WAITING:
            self._read()

    def _read(self, key: str | None = None) -> None:
        """Takes over what waits, if something of the key does; None for any."""
        if key is None and self.ask_first is not None:
            self.ask_first()
        if not self._waiting or key not in (None, *(name for name, *_ in self._waiting)):
            return
        waiting, self._waiting = self._waiting, []
        values = torch.stack([value.reshape(()) for _, value, _ in waiting]).tolist()
        for (name, _, count), number in zip(waiting, values, strict=True):
            self._add(name, number, count)

    def _add(self, key: str, value: float, count: int) -> None:
        buffer = self._log_scalars.setdefault(key, HistoryBuffer())
        if self.most is not None:
            buffer.max_length = self.most(key)
        buffer.update(value, count)

    @property
    def log_scalars(self) -> Any:
        """All figures."""
        self._read()
        return super().log_scalars

    def get_scalar(self, key: str) -> HistoryBuffer:
        """Returns a figure; other ones are not read."""
        self._read(key)
        if key not in self._log_scalars:
            raise KeyError(f"{key} has not been logged.")
        return self._log_scalars[key]

    def last_read(self, key: str) -> float | None:
        """Returns the last value of a figure that was read, and reads none; None for none."""
        buffer = self._log_scalars.get(key)
        return float(buffer.current()) if buffer is not None and len(buffer.data[0]) else None

    def state_dict(self) -> dict:
        """Returns what a checkpoint holds of it."""
        self._read()
        return super().state_dict()


# The class keeps its instances by name. Whoever asks MMEngine's for the latest gets one of ours.
LateMessageHub._instance_dict = MessageHub._instance_dict  # type: ignore[attr-defined]


def longest_window(runner: Any) -> Callable[[str], int] | None:
    """Returns how many values of each figure the log may average over.

    Args:
        runner: With built loops. All the logger's windows are kept, and as many values as ``LEAST``
            anyway; everything, None, if one of them is ``"global"``.
    """
    processor = runner.log_processor
    windows = [processor.window_size, *(c.get("window_size") for c in processor.custom_cfg)]
    if "global" in windows:
        return None
    longest = max(LEAST, *(window for window in windows if isinstance(window, int)))
    # The times of an evaluation are averaged over all of it.
    epochs = {"val": runner.val_loop} | ({"train": runner.train_loop} if "epoch" in windows else {})
    lengths = {mode: len(loop.dataloader) for mode, loop in epochs.items() if loop is not None}
    return lambda name: max(longest, lengths.get(name.split("/")[0], 0))
