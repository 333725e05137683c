"""Jobs side by side, one a device: even shares, what each reports, and how each ends."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from engine.errors import ConfigError
from mmsapiens.ranks import end_with_parent

if TYPE_CHECKING:
    from numpy.typing import NDArray

Items = TypeVar("Items", bound="Sequence | NDArray")


class Message(NamedTuple):
    """What a job says: anything it sends; or, at its end, its exit code."""

    job: int
    content: Any
    exit_code: int | None = None


def share_of(items: Items, part: int, num_parts: int) -> Items:
    """Returns one of consecutive shares whose sizes differ by one at most: 3, 3, 2, 2 of 10.

    Args:
        items: All of them.
        part: Which share, from 1.
        num_parts: How many there are.
    """
    size, larger = divmod(len(items), num_parts)
    start = (part - 1) * size + min(part - 1, larger)
    return items[start : start + size + (part <= larger)]  # type: ignore[return-value]


def parse_share(text: str) -> tuple[int, int]:
    """Reads a share such as ``3/8``, the third of eight; for argparse's ``type``.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"expected K/N, from 1/N to N/N; found {text!r}")
    return int(match[1]), int(match[2])


def device_names(text: str, num_gpus: int, jobs_per_device: int = 1) -> list[str]:
    """Reads ``--devices``: a device for each job.

    Args:
        text: ``all`` GPUs (the CPU if there is none), numbers of GPUs as ``0,1,3``, names as
            ``cuda:1,cpu``, or ``cpu:2`` for two jobs on the CPU.
        num_gpus: How many there are.
        jobs_per_device: Jobs on each of them.

    Raises:
        ConfigError: If it is none of these, or a GPU is not there.
    """
    if text == "all":
        names = [f"cuda:{i}" for i in range(num_gpus)] or ["cpu"]
    else:
        names = []
        for part in text.replace(" ", "").split(","):
            match = re.fullmatch(r"(?:cuda:)?(\d+)|(cpu)(?::([1-9]\d*))?", part)
            if match is None:
                raise ConfigError(
                    f"--devices {text}: expected all, numbers of GPUs as 0,1,3, or cpu:2 (two "
                    f"jobs on the CPU); found {part!r}."
                )
            if match[1] and int(match[1]) >= num_gpus:
                raise ConfigError(
                    f"--devices {text}: there is no GPU {match[1]}; found {num_gpus}."
                )
            names += [f"cuda:{match[1]}"] if match[1] else ["cpu"] * int(match[3] or 1)
    return [name for name in names for _ in range(jobs_per_device)]


def run_side_by_side(
    target: Callable[..., None], arguments: Sequence[tuple[Any, ...]]
) -> Iterator[Message]:
    """Runs ``target(send, *arguments[i])`` in a process for each i; yields what they say.

    A job that is killed ends like any other, with the negative number of the signal; when this
    process is killed, all of them end.

    Args:
        target: Of a module; ``send`` takes anything that can be pickled.
        arguments: Of each job.
    """
    spawn = multiprocessing.get_context("spawn")
    ours: dict[Connection, int] = {}
    processes = []
    for index, values in enumerate(arguments):
        receiver, sender = spawn.Pipe(duplex=False)
        how = multiprocessing.get_start_method()
        process = spawn.Process(target=_run, args=(sender, target, values, how))
        process.start()
        sender.close()  # so that its end is seen
        ours[receiver] = index
        processes.append(process)
    while ours:
        for connection in wait(list(ours)):
            assert isinstance(connection, Connection)
            try:
                yield Message(ours[connection], connection.recv())
            except (EOFError, OSError):
                index = ours.pop(connection)
                processes[index].join()
                yield Message(index, None, processes[index].exitcode)


def _run(
    sender: Connection, target: Callable[..., None], arguments: tuple[Any, ...], start_method: str
) -> None:
    end_with_parent()  # else it goes on to the end of a video before it has something to say
    # That of a spawned process is to spawn: each of its readers would import all that it has.
    multiprocessing.set_start_method(start_method, force=True)
    target(sender.send, *arguments)


@contextmanager
def interrupts_noted() -> Iterator[list[int]]:
    """Gives a list that grows by one with each Ctrl-C, which the jobs of a terminal get as well."""
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def threads_of_a_job(num_jobs: int) -> int:
    """Returns how many threads each of some jobs has on the CPUs of this machine."""
    return max(len(os.sched_getaffinity(0)) // num_jobs, 1)
