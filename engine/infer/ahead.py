"""Work done in a thread, a few items ahead of who wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Iterates over something in a thread, which is at most ``num`` items ahead.

    An exception there is raised here, after the items before it. Leaving the context ends the
    thread, whether or not all items were taken; it may be entered once.

    Args:
        items: What is iterated over, by the thread alone.
        num: Items that may wait.
    """

    def __init__(self, items: Iterable[T], num: int = 4) -> None:
        self._items = items
        self._slots = Semaphore(num)
        self._done: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._is_left = False
        self._thread = Thread(target=self._work, name="ahead", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._take()

    def __exit__(self, *_: object) -> None:
        self._is_left = True
        self._slots.release()  # it may wait for one
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        try:
            items = iter(self._items)
            while self._slots.acquire() and not self._is_left:
                self._done.put((next(items), None))
        except BaseException as error:  # StopIteration, too: the end
            self._done.put((None, error))

    def _take(self) -> Iterator[T]:
        while True:
            item, error = self._done.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
            self._slots.release()
