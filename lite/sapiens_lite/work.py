"""Images through a model: processes read ahead and write behind, and each error is kept."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from sapiens_lite.console import LiteError, report, say
from sapiens_lite.images import (
    Item,
    check_results,
    find_items,
    make_writable,
    output_folder,
    share_of,
)


class Prepared(NamedTuple):
    """What is read of an image.

    Attributes:
        inputs: (N, 3, H, W) uint8 RGB: the image, or its N people.
        info: What :meth:`Task.finish` needs besides.
        problems: Sentences on what is left out, such as a box beyond the image.
    """

    inputs: NDArray[np.uint8]
    info: Any = None
    problems: Sequence[str] = ()


class Task(Protocol):
    """What is read and written for a model; it goes to the processes, so it must be picklable."""

    @property
    def suffixes(self) -> Sequence[str]:
        """Of the files that are written for an image."""

    def prepare(self, item: Item) -> Prepared:
        """Reads an image, in a process."""

    def reduce(self, raw: NDArray[np.float32]) -> Any:
        """Makes what goes to the writing process of the raw output (N, C, h, w)."""

    def finish(self, item: Item, result: Any, info: Any) -> None:
        """Writes the results of an image, in a process."""


class DenseTask:
    """A task whose raw output goes to the writing process as it is, one map an image."""

    def reduce(self, raw: NDArray[np.float32]) -> Any:
        """The map (C, h, w)."""
        return raw[0]


def items_of(args: Any) -> tuple[list[Item], Path]:
    """Returns the images of the command line, and the folder of their results."""
    out_dir = args.output_root or output_folder(args.input)
    items = find_items(args.input, out_dir)
    make_writable(out_dir)
    return items, out_dir


def run(
    task: Task,
    items: Sequence[Item],
    out_dir: Path,
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    args: Any,
) -> int:
    """Does images, or the share that ``args.shard`` says.

    Args:
        task: What is read and written.
        items: The images.
        out_dir: Folder of the results.
        predict: Maps (B, 3, H, W) uint8 to raw output (B, C, h, w).
        args: Of the command line: ``batch_size``, ``num_workers`` and ``shard``.

    Returns:
        The exit code: 1 if anything failed, which was said.
    """
    check_results(items, out_dir, task.suffixes)
    mine = share_of(items, *args.shard) if args.shard else items
    pool = _pool(min(args.num_workers, len(mine)))
    work = _Work(task, predict, args.batch_size, pool, 2 * args.num_workers)
    try:
        work.do(mine)
    except BrokenProcessPool:
        say("A process that reads or writes was killed; is there too little memory? Lower "
            "--num_workers.")  # fmt: skip
        work.problems += 1
    finally:
        pool.shutdown(cancel_futures=True)
    report(f"{work.done} of {len(mine)} images done; the results are in {out_dir}")
    return int(work.problems > 0)


class _Work:
    """A run.

    Args:
        task: See :func:`run`.
        predict: Likewise.
        batch_size: Images or people at once.
        pool: What reads and writes.
        ahead: Images that may wait for the model besides a batch, or to be written.
    """

    def __init__(
        self, task: Task, predict: Callable, batch_size: int, pool: Executor, ahead: int
    ) -> None:
        self.task, self.predict, self.batch_size = task, predict, batch_size
        self.pool, self.ahead = pool, ahead
        self.writing: deque[tuple[Item, Future]] = deque()
        self.done = self.problems = 0

    def do(self, items: Sequence[Item]) -> None:
        """Does all images."""
        waiting: list[tuple[Item, Prepared]] = []
        for item, future in self._read_ahead(items):
            if self._has_failed(item, future):
                continue
            prepared: Prepared = future.result()
            for problem in prepared.problems:
                self._fail(item, problem)
            waiting.append((item, prepared))
            people = sum(len(prepared.inputs) for _, prepared in waiting)
            if max(people, len(waiting)) >= self.batch_size:
                self._flush(waiting)
                waiting = []
        self._flush(waiting)
        self._settle(0)

    def _read_ahead(self, items: Sequence[Item]) -> Iterator[tuple[Item, Future]]:
        reading: deque[tuple[Item, Future]] = deque()
        for item in items:
            reading.append((item, self.pool.submit(self.task.prepare, item)))
            if len(reading) > self.ahead:
                yield reading.popleft()
        yield from reading

    def _flush(self, waiting: Sequence[tuple[Item, Prepared]]) -> None:
        """Predicts images together, or each by itself if that fails, and sends them to writing."""
        if not waiting:
            return
        inputs = np.concatenate([prepared.inputs for _, prepared in waiting])
        try:
            raw = self._in_batches(inputs)
        except Exception as error:  # memory, a model that takes another batch
            if len(waiting) == 1:
                self._fail(waiting[0][0], error)
            else:
                for one in waiting:
                    self._flush([one])
            return
        start = 0
        for item, prepared in waiting:
            own = raw[start : start + len(prepared.inputs)]
            start += len(prepared.inputs)
            if not np.isfinite(own).all():
                self._fail(item, "the prediction holds NaN or infinity.")
                continue
            result = self.task.reduce(own)
            written = self.pool.submit(self.task.finish, item, result, prepared.info)
            self.writing.append((item, written))
            self._settle(self.ahead)

    def _in_batches(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not len(inputs):
            return np.zeros((0, 1, 1, 1), np.float32)
        starts = range(0, len(inputs), self.batch_size)
        return np.concatenate([self.predict(inputs[i : i + self.batch_size]) for i in starts])

    def _settle(self, left: int) -> None:
        """Waits until no more than so many images are being written."""
        while len(self.writing) > left:
            self.done += not self._has_failed(*self.writing.popleft())

    def _has_failed(self, item: Item, future: Future) -> bool:
        """Waits for what a process does; whatever is wrong with a file must not stop the others."""
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            raise error
        if error is not None:
            self._fail(item, error)
        return error is not None

    def _fail(self, item: Item, reason: object) -> None:
        known = isinstance(reason, str | LiteError)
        say(f"{item.name}: {reason if known else f'{type(reason).__name__}: {reason}'}")
        self.problems += 1


class _Here(Executor):
    """Does at once what it is given, in this process."""

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        """See base class."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _pool(num_workers: int) -> Executor:
    """Processes that know nothing of this one's GPU and threads; none are needed for one image."""
    if num_workers == 0:
        return _Here()
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(num_workers, context, initializer=_start_worker)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    cv2.setNumThreads(1)
