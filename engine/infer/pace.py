"""What a run of predictions spends its time with: the model, or waiting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch

from engine.model.base import BaseModel


class Pace:
    """Measures the time from now on, and how much of it models work.

    Args:
        *models: Those whose ``forward`` counts, and that of their ``data_preprocessor``.
    """

    def __init__(self, *models: BaseModel) -> None:
        self._start = perf_counter()
        self._model_s = self._writing_s = 0.0
        parts = [part for model in models for part in (model, model.data_preprocessor)]
        for part in parts:  # one after the other in a step
            part.register_forward_pre_hook(self._before)
            part.register_forward_hook(self._after)

    def _before(self, *_: Any) -> None:
        self._began = perf_counter()

    def _after(self, *_: Any) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        self._model_s += perf_counter() - self._began

    @contextmanager
    def of_writing(self) -> Iterator[None]:
        """What is done inside counts as waiting for results to be written."""
        start = perf_counter()
        yield
        self._writing_s += perf_counter() - start

    def summary(self, num: int) -> str:
        """Says how fast ``num`` images were done, and what held the model up."""
        total_s = perf_counter() - self._start
        reading_s = total_s - self._model_s - self._writing_s
        reading, writing = (f"{s / total_s:.0%}" for s in (reading_s, self._writing_s))
        return (
            f"{num / total_s:.3g} images a second; of the time {reading} went by waiting for "
            f"images to be read, {writing} for results to be written."
        )
