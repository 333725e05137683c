"""How much of the logged figures a run, and with it each checkpoint, remembers."""

from __future__ import annotations

from typing import Any

LEAST = 100


def bound_history(runner: Any) -> None:
    """Lets the message hub forget what no line of the log will average over.

    MMEngine's remembers a million values of each figure and copies them all to add one.

    Args:
        runner: With built loops. All the logger's windows are kept, and as many values as ``LEAST``
            anyway; everything, if one of them is ``"global"``.
    """
    processor = runner.log_processor
    windows = [processor.window_size, *(c.get("window_size") for c in processor.custom_cfg)]
    if "global" in windows:
        return
    longest = max(LEAST, *(window for window in windows if isinstance(window, int)))
    # The times of an evaluation are averaged over all of it.
    epochs = {"val": runner.val_loop} | ({"train": runner.train_loop} if "epoch" in windows else {})
    lengths = {mode: len(loop.dataloader) for mode, loop in epochs.items() if loop is not None}
    for name, buffer in runner.message_hub.log_scalars.items():
        buffer.max_length = max(longest, lengths.get(name.split("/")[0], 0))
