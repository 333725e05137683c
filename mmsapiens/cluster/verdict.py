"""What the ends of the ranks say of a start of a job, and whether another follows."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.signals import INTERRUPTED_EXIT_CODE, LOST_RANK_EXIT_CODE, STOPPED_EXIT_CODE

FINISHED, STOPPED, LOST, KILLED = "finished", "stopped", "lost", "killed"
INTERRUPTED, FAILED = "interrupted", "failed"
AGAIN = (STOPPED, LOST, KILLED)
"""What a job does not end of; the cluster did it."""
BY_WEIGHT = (FAILED, KILLED, INTERRUPTED, STOPPED, LOST)
"""Which of several ends is the cause of the others, where nothing says which was the first."""

_BY_CODE = {
    0: FINISHED,
    STOPPED_EXIT_CODE: STOPPED,
    LOST_RANK_EXIT_CODE: LOST,
    INTERRUPTED_EXIT_CODE: INTERRUPTED,
    **{-number: STOPPED for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)},
    -signal.SIGINT: INTERRUPTED,
}


class End(NamedTuple):
    """How a rank ended.

    Args:
        rank: Its number.
        host: Where it was.
        code: Exit code, or the negative number of the signal that killed it.
        reason: The error in a line, if it said one.
    """

    rank: int
    host: str
    code: int
    reason: str = ""

    @property
    def kind(self) -> str:
        """What this rank's end says."""
        return _BY_CODE.get(self.code, KILLED if self.code < 0 else FAILED)

    @property
    def sentence(self) -> str:
        """How it ended, as a clause with its rank and host."""
        who = f"Rank {self.rank} on {self.host}"
        if self.kind == STOPPED:
            return f"{who} has stopped on a signal"
        if self.code < 0:
            return f"{who} was killed by {signal.Signals(-self.code).name}"
        reason = " ".join(self.reason.split()).rstrip(".")
        return f"{who} ended with exit code {self.code}" + (reason and f": {reason}")


class Verdict(NamedTuple):
    """What a start came to."""

    kind: str
    sentence: str
    exit_code: int


def judge(ends: Mapping[int, End], first: int | None, num_ranks: int) -> Verdict:
    """Finds what ended a start, of which the ends of other ranks are consequences.

    Args:
        ends: By rank; one without a record was killed along with what would have written it.
        first: The rank that was the first to end otherwise than well.
        num_ranks: How many there were.
    """
    missing = [rank for rank in range(num_ranks) if rank not in ends]
    cause = ends.get(first) if first is not None else None
    noticed = ""
    if cause is None or cause.kind == LOST:
        # A rank that notices that another has gone may be the first to say so.
        noticed = cause.reason and f" ({cause.reason})" if cause else ""
        kinds = {ends[rank].kind: ends[rank] for rank in sorted(ends, reverse=True)}
        cause = next((kinds[kind] for kind in BY_WEIGHT if kind in kinds and not missing), None)
    if cause is not None:
        code = cause.code if cause.code > 0 else 128 - cause.code
        return Verdict(cause.kind, cause.sentence, code)
    if missing:
        who = f"Rank {missing[0]}" if len(missing) < num_ranks else "All ranks"
        how = "ended without a word, killed or on a lost node"
        return Verdict(KILLED, f"{who} {how}{noticed}", 137)
    return Verdict(FINISHED, "All ranks have finished", 0)


def why_not_again(
    verdict: Verdict, restarts: int, max_requeues: int | None, places: Sequence[str]
) -> str:
    """Returns why a job is not started again after a start, "" if it is.

    Args:
        verdict: On that start.
        restarts: How often the job was requeued before.
        max_requeues: How often it may be.
        places: Where it was, as names of its newest checkpoint, when each start began, and now.
    """
    if verdict.kind not in AGAIN:
        return (
            "it would end the same way again"
            if verdict.kind == FAILED
            else "it was interrupted by hand"
        )
    if max_requeues is not None and restarts >= max_requeues:
        return f"it has been requeued {restarts} times, as --max-requeues allows"
    return stalled(places)


def stalled(places: Sequence[str]) -> str:
    """Says so if nothing was saved between the last two requeues, else "".

    Args:
        places: As of :func:`why_not_again`.
    """
    if len(places) < 3 or places[-1] != places[-2]:
        return ""
    return (
        f"it has made no progress since it was requeued: {places[-1] or 'no checkpoint'} is the "
        "newest, as before. Give it more time, or save more often"
    )
