"""Damaged copies of what a program reads, and what becomes of each in a process of its own."""

from __future__ import annotations

import multiprocessing
import random
import signal
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from engine.errors import MMSapiensError

BAD_ENDS = ("traceback", "crash", "hang")


class Outcome(NamedTuple):
    """How a case ended: "refused", "accepted", "traceback", "crash" or "hang", and its words."""

    name: str
    end: str
    text: str


def outcomes(cases: Iterable[tuple[str, Callable[[], Any]]], seconds: float = 60) -> list[Outcome]:
    """Runs each case in a fork of this process, which one that crashes does not end."""
    return [_outcome(name, case, seconds) for name, case in cases]


def _outcome(name: str, case: Callable[[], Any], seconds: float) -> Outcome:
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_run, args=(case, sender))
    process.start()
    sender.close()
    try:
        end, text = receiver.recv() if receiver.poll(seconds) else ("hang", f"{seconds} s")
    except EOFError:
        process.join()
        end, text = "crash", signal.Signals(-process.exitcode).name
    process.kill()
    process.join()
    return Outcome(name, end, text)


def _run(case: Callable[[], Any], sender: Any) -> None:
    try:
        sender.send(("accepted", str(case())))
    except MMSapiensError as error:
        sender.send(("refused", str(error)))
    except BaseException:
        sender.send(("traceback", traceback.format_exc()))


def damage_bytes(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Returns what was done to the bytes, and the result."""
    start = rng.randrange(len(content))
    length = min(rng.choice((1, 1, 4, 100)), len(content) - start)
    kind = rng.choice(("flip", "flip", "flip", "cut", "zeros", "insert", "remove"))
    damaged = bytearray(content)
    if kind == "flip":
        for i in range(start, start + length):
            damaged[i] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del damaged[start:]
    elif kind == "zeros":
        damaged[start : start + length] = bytes(length)
    elif kind == "insert":
        damaged[start:start] = rng.randbytes(length)
    else:
        del damaged[start : start + length]
    return f"{kind} {length} at {start} of {len(content)}", bytes(damaged)


def damage_tree(
    tree: Any, rng: random.Random, odd: Callable[[Any, random.Random], Any]
) -> tuple[str, Any]:
    """Changes one thing in nested dicts and lists.

    Args:
        tree: Left as it is.
        rng: Decides.
        odd: Makes another value of one; it knows more types than containers and numbers.

    Returns:
        What was done, and the copy.
    """
    if not isinstance(tree, dict | list | tuple) or not tree or rng.random() < 0.2:
        value = odd(tree, rng)
        return f" = {value!r:.60}", value
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    key = rng.choice(keys)
    pairs = dict(tree) if isinstance(tree, dict) else dict(enumerate(tree))
    if rng.random() < 0.2:
        value, action = pairs.pop(key), rng.choice(("removed", "renamed", "twice"))
        if action != "removed":
            pairs[rng.choice((f"{key}x", 7, None, ""))] = value
        if action == "twice":
            pairs[key] = value
        what = f"[{key!r:.40}] {action}"
    else:
        what, pairs[key] = damage_tree(tree[key], rng, odd)
        what = f"[{key!r:.40}]{what}"
    return what, pairs if isinstance(tree, dict) else type(tree)(pairs.values())


def odd_value(value: Any, rng: random.Random) -> Any:
    """Returns a value of another type, or out of range."""
    numbers = (-1, 0, 2**40, 10**60, 0.5, float("nan"), float("inf"), 1j, True)
    return rng.choice((None, "", "x", b"x", [], {}, (), [1, "x"], {"a": 1}, {3: None}, *numbers))


def summary(results: Iterable[Outcome]) -> str:
    """Returns how many cases of each kind, the first word of a name, ended in which way."""
    counts: dict[str, dict[str, int]] = {}
    for result in results:
        row = counts.setdefault(result.name.split()[0], {})
        row[result.end] = row.get(result.end, 0) + 1
    return "\n".join(f"{kind}: {row}" for kind, row in sorted(counts.items()))
