"""From the ends of ranks to what a job does next."""

import re
import signal

import pytest

from mmsapiens.cluster.verdict import End, judge, why_not_again

KILL, TERM, USR2 = -signal.SIGKILL, -signal.SIGTERM, -signal.SIGUSR2


def verdict(codes, first=None):
    """The verdict on exit codes by rank; None has no record."""
    ends = {r: End(r, f"n{r}", code) for r, code in enumerate(codes) if code is not None}
    return judge(ends, first, len(codes))


@pytest.mark.parametrize(
    "codes, first, kind, rank",
    [
        ([0, 0], None, "finished", None),
        ([75, 75], 1, "stopped", 1),
        ([75, USR2], 1, "stopped", 1),  # the signal came before the rank knew what to do with it
        ([76, TERM], 1, "stopped", 1),
        ([76, KILL], 1, "killed", 1),
        ([76, KILL], 0, "killed", 1),  # its neighbour was quicker to say so
        ([76, None], 0, "killed", 1),  # with the process that would have recorded it
        ([None, None], None, "killed", None),
        ([1, KILL], 1, "killed", 1),
        ([1, 76], 0, "failed", 0),
        ([76, 1], 0, "failed", 1),
        ([2, None], 0, "failed", 0),  # the other hung and was ended
        ([-signal.SIGSEGV, 76], 0, "killed", 0),
        ([76, 76], 0, "lost", 0),
        ([130, 130], 0, "interrupted", 0),
        ([0, 1], None, "failed", 1),  # the file that says who was first is not seen here yet
    ],
)
def test_what_ended_a_start(codes, first, kind, rank):
    found = verdict(codes, first)
    assert found.kind == kind
    assert (found.exit_code == 0) == (kind == "finished")
    if rank is not None:
        assert found.sentence.startswith(f"Rank {rank}")


def test_the_reason_is_in_the_sentence():
    end = End(3, "n7", 1, "KeyError: 'a'")
    found = judge({3: end, **{r: End(r, "n1", 76) for r in range(3)}}, 3, 4)
    assert found.sentence == "Rank 3 on n7 ended with exit code 1: KeyError: 'a'"
    hung = judge({0: End(0, "n1", 76, "Rank 1 did not answer.")}, 0, 2).sentence
    assert hung.startswith("Rank 1 ended without a word") and "(Rank 1 did not answer.)" in hung
    assert verdict([76, KILL], 1).sentence == "Rank 1 on n1 was killed by SIGKILL"


@pytest.mark.parametrize(
    "codes, first, restarts, places, reason",
    [
        ([75, 75], 0, 0, ["", ""], ""),  # the first start may come to nothing
        ([75, 75], 0, 1, ["", "", ""], "no progress .* no checkpoint is the newest"),
        ([75, 75], 0, 1, ["", "iter_4.pth", "iter_8.pth"], ""),
        ([76, KILL], 1, 2, ["", "a", "b", "b"], "no progress .* b is the newest"),
        ([75, 75], 0, 3, ["", "a", "b", "c", "d"], "3 times"),
        ([1, 76], 0, 0, ["", "a"], "same way"),
        ([130, 130], 0, 0, ["", "a"], "by hand"),
    ],
)
def test_when_a_job_does_not_go_on(codes, first, restarts, places, reason):
    found = why_not_again(verdict(codes, first), restarts, 3, places)
    assert bool(found) == bool(reason) and re.search(reason, found)
