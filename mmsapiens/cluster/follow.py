"""The log of a job as it grows, and how jobs ended."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmsapiens.cluster import slurm
from mmsapiens.cluster.job import OUTCOME

LOG_SECONDS, QUEUE_SECONDS = 1.0, 10.0
"""Between looks at the log, and questions to Slurm."""
LEFT = (1, "It has left the queue without a word, as a job that was cancelled does.")
"""Exit code and sentence of such a job."""


class Follower:
    """What is known of a job from outside.

    Args:
        folder: Of the submission.
        job_id: As submitit has it: ``12``, of an array ``12_3``.
    """

    def __init__(self, folder: Path, job_id: str) -> None:
        self.folder, self.job_id = folder, job_id
        self._read = 0
        self._waits_for = ""
        self._asked = 0.0
        self._seen = True

    @property
    def log(self) -> Path:
        """Its log."""
        return log_of(self.folder, self.job_id)

    def print_log(self) -> None:
        """Prints what has been added since the last call."""
        if not self.log.is_file():
            return
        with self.log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        self._read += len(text)
        sys.stdout.write(text.decode("utf-8", "replace"))
        sys.stdout.flush()

    def outcome(self) -> tuple[int, str] | None:
        """Returns exit code and sentence of its end; None before."""
        path = self.folder / self.job_id / OUTCOME
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            return found["exit_code"], found["sentence"]
        return None if self._in_queue() else LEFT

    def _in_queue(self) -> bool:
        """Whether Slurm knows the job; what was not there twice has left."""
        if time.monotonic() - self._asked < QUEUE_SECONDS:
            return True
        self._asked = time.monotonic()
        answer = slurm.state_of(self.job_id)
        if answer is None:
            return True
        state, reason = answer
        if state == "PENDING" and reason not in ("None", self._waits_for):
            sys.stderr.write(f"Job {self.job_id} waits: {reason}.\n")
        self._waits_for = reason if state == "PENDING" else ""
        seen, self._seen = self._seen, bool(state)
        return seen or self._seen


def follow(folder: Path, job_ids: Sequence[str]) -> int:
    """Waits for jobs; prints the log of one, and how each of several ended.

    Returns:
        0, or the exit code of the first that failed.
    """
    jobs = [Follower(folder, job_id) for job_id in job_ids]
    ends: dict[str, tuple[int, str]] = {}
    while len(ends) < len(jobs):
        for job in jobs:
            end = None if job.job_id in ends else job.outcome()
            if len(jobs) == 1:
                job.print_log()
            if end is not None:
                ends[job.job_id] = end
        if len(ends) < len(jobs):
            time.sleep(LOG_SECONDS)
    failed = {job: ends[job] for job in job_ids if ends[job][0]}
    if len(jobs) > 1:
        shares = {job: f"{job_ids.index(job) + 1}/{len(jobs)}" for job in failed}
        text = f"Failed: {', '.join(shares.values())}." if failed else f"All {len(jobs)} are done."
        lines = [
            f"  {shares[job]}: {end[1]} ({log_of(folder, job)})" for job, end in failed.items()
        ]
        sys.stdout.write("\n".join([text, *lines, ""]))
    elif LEFT in failed.values():
        sys.stderr.write(f"{LEFT[1]}\n")
    return next((code for code, _ in failed.values()), 0)


def log_of(folder: Path, job_id: str) -> Path:
    """Returns the log of a job."""
    return folder / f"{job_id}_0_log.out"
