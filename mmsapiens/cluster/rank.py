"""One rank of a job: runs its command, and leaves a record of how that ended.

    srun python -m mmsapiens.cluster.rank FOLDER -m mmsapiens train CONFIG --launcher slurm

srun tells the highest exit code of all; what the job decides by is which rank was the first to end,
and how. A rank that is asked to stop does not take the others with it: they may still be saving.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen

from engine.signals import STOP_SIGNALS
from mmsapiens.cluster.slurm import this_node
from mmsapiens.cluster.verdict import FINISHED, STOPPED, End
from mmsapiens.ranks import GRACE_SECONDS, end_with_parent

ERROR_FILE = "MMSAPIENS_ERROR_FILE"
"""Variable that names where the command leaves its error; see :mod:`mmsapiens.cli`."""
FIRST = "first"
"""File of the rank that was the first to end otherwise than well."""
POLL_SECONDS = 0.2
SEEN_SECONDS = 35
"""For which network file systems may believe that a folder is as it was."""


def main(argv: Sequence[str]) -> int:
    """Runs the command line; returns 0, also of a rank that was asked to stop, or 1."""
    folder, *words = argv
    records, rank = Path(folder), int(os.environ["SLURM_PROCID"])
    for number in STOP_SIGNALS:  # Slurm sends them to all processes; the command acts on them
        signal.signal(number, lambda *_: None)
    said = records / f"{rank}.error"
    process = Popen(
        [sys.executable, *words],
        env={**os.environ, ERROR_FILE: str(said)},
        preexec_fn=end_with_parent,
    )
    code = process.wait()
    reason = said.read_text(encoding="utf-8") if said.is_file() else ""
    end = End(rank, this_node(), code, reason)
    if end.kind != FINISHED:
        try:
            with (records / FIRST).open("x") as file:  # of several, one succeeds
                file.write(str(rank))
        except FileExistsError:
            pass
    write(records, end)
    if end.kind in (FINISHED, STOPPED):
        return 0
    _wait_for_others(records, int(os.environ["SLURM_NTASKS"]))
    return 1


def write(records: Path, end: End) -> None:
    """Leaves a record, which is whole as soon as it is there."""
    path = records / f"{end.rank}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(end._asdict()), encoding="utf-8")
    part.replace(path)


def read(records: Path, num_ranks: int) -> tuple[dict[int, End], int | None]:
    """Returns the records by rank, and which rank was the first to end otherwise than well.

    Those of other machines may need a while to be seen here.
    """
    deadline = time.monotonic() + SEEN_SECONDS
    while len(list(records.glob("*.json"))) < num_ranks and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    ends = [End(**json.loads(path.read_text("utf-8"))) for path in records.glob("*.json")]
    first = records / FIRST
    text = first.read_text().strip() if first.is_file() else ""
    return {end.rank: end for end in ends}, int(text) if text else None


def _wait_for_others(records: Path, num_ranks: int) -> None:
    """Gives them time to say what they have to: srun ends them as soon as this rank fails."""
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and len(list(records.glob("*.json"))) < num_ranks:
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
