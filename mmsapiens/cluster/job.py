"""A job: starts its ranks, waits for them, and decides by their ends what follows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from submitit.core.utils import DelayedSubmission

from engine.errors import ConfigError
from engine.signals import STOPPED_EXIT_CODE
from mmsapiens.cluster import rank, slurm
from mmsapiens.cluster.verdict import FINISHED, Verdict, judge, stalled, why_not_again

OUTCOME = "outcome.json"
STARTS = "starts.json"
REQUEUE_SECONDS = (1, 10, 30, 60, 60)
"""Between attempts to requeue, as controllers are restarted, too."""
FIRST_PORT, NUM_PORTS = 10000, 20000  # below those that systems lend


class Job:
    """What submitit runs in the batch step, on the first node, at every start of a job.

    The ranks are not submitit's tasks but plain commands under one srun, with this process beside
    them. submitit requeues from within rank 0, in the handler of a signal: while the others still
    save, and not at all if it is rank 0 that was killed. Its count is of time limits only.

    It is pickled; all it holds is text and numbers, which any version of Python reads.

    Args:
        words: The command of a rank, after ``python``.
        begin: What the first start adds to it.
        go_on: What a later start adds, once this job has saved a checkpoint.
        folder: Of the submission.
        checkpoints: Folders of the checkpoints, whose newest says where the job is; none for a job
            whose progress is not known.
        nodes: How many machines.
        tasks_per_node: Ranks on each.
        on_cpu: Whether GPUs are hidden from them.
        max_requeues: How often it may go back into the queue; None for as often as it gets on.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: str,
        *,
        begin: Sequence[str] = (),
        go_on: Sequence[str] = (),
        checkpoints: Sequence[str] = (),
        nodes: int = 1,
        tasks_per_node: int = 1,
        on_cpu: bool = False,
        max_requeues: int | None = None,
    ) -> None:
        self.words, self.begin, self.go_on = list(words), list(begin), list(go_on)
        self.folder, self.checkpoints = folder, list(checkpoints)
        self.nodes, self.tasks_per_node, self.on_cpu = nodes, tasks_per_node, on_cpu
        self.max_requeues = max_requeues

    def checkpoint(self) -> DelayedSubmission:
        """Tells submitit what to start again: the same, whatever it interrupts."""
        return DelayedSubmission(self)

    def __call__(self) -> None:
        """Runs one start of the job.

        Raises:
            SystemExit: Unless all has finished; submitit takes it for no error to be traced.
        """
        signal.signal(signal.SIGUSR2, lambda *_: None)  # for the ranks; submitit would requeue now
        own = own_folder(self.folder, os.environ)
        own.mkdir(parents=True, exist_ok=True)
        (own / OUTCOME).unlink(missing_ok=True)
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", 0))
        places = note_start(own, restarts, newest(self.checkpoints))
        names = [name for name, _ in places]
        if self.checkpoints and (reason := stalled(names)):
            self._end(own, 1, f"The job stops: {reason}.")
        moved = bool(restarts) and places[-1] != places[0]
        verdict = self._run_ranks(own / str(restarts), self.go_on if moved else self.begin)
        if verdict.kind == FINISHED:
            self._note(own, 0, verdict.sentence + ".")
            return
        names.append(newest(self.checkpoints)[0] if self.checkpoints else str(restarts))
        no = why_not_again(verdict, restarts, self.max_requeues, names)
        if no:
            self._end(own, verdict.exit_code, f"{verdict.sentence}. Not requeued: {no}.")
        self._requeue(own, verdict.sentence)

    def _run_ranks(self, records: Path, more: Sequence[str]) -> Verdict:
        records.mkdir(parents=True, exist_ok=True)
        num_ranks = self.nodes * self.tasks_per_node
        job_id = os.environ["SLURM_JOB_ID"]
        env = {
            "MASTER_PORT": str(FIRST_PORT + int(job_id) % NUM_PORTS),
            "OMP_NUM_THREADS": "1",
            **os.environ,
            "MASTER_ADDR": slurm.this_node(),
            **({"CUDA_VISIBLE_DEVICES": ""} if self.on_cpu else {}),
        }
        words = [*self.srun(os.environ), sys.executable, "-m", rank.__name__, str(records)]
        subprocess.run([*words, *self.words, *more], env=env)
        return judge(*rank.read(records, num_ranks), num_ranks)

    def srun(self, environ: Mapping[str, str]) -> list[str]:
        """Returns how ranks are started.

        A job's own options would do, but since Slurm 22.05 ``--cpus-per-task`` does not pass on,
        and sites set other defaults. No rank that has finished ends those that still save.
        """
        cpus = environ.get("SLURM_CPUS_PER_TASK")
        return [
            "srun",
            *("--unbuffered", "--kill-on-bad-exit=1", "--wait=0", "--distribution=block"),
            f"--nodes={self.nodes}",
            f"--ntasks={self.nodes * self.tasks_per_node}",
            f"--ntasks-per-node={self.tasks_per_node}",
            *([f"--cpus-per-task={cpus}"] if cpus else []),
        ]

    def _requeue(self, own: Path, sentence: str) -> None:
        """Goes back into the queue, unless somebody has requeued or cancelled the job.

        As soon as Slurm has taken the order it ends all that is here, this process's scontrol
        before it can report: the state of the job says more than its exit code.
        """
        job_id = os.environ["SLURM_JOB_ID"]
        problem = "Slurm does not answer."
        for wait in REQUEUE_SECONDS:
            state = slurm.state_of(job_id)
            if state is not None and state[0] != "RUNNING":
                _say(f"{sentence}. Slurm has decided what follows.")
                sys.exit(STOPPED_EXIT_CODE)
            if state is not None:
                _say(f"{sentence}. The job goes back into the queue.")
                try:
                    slurm.requeue(job_id)
                    sys.exit(STOPPED_EXIT_CODE)
                except ConfigError as error:
                    problem = str(error)
            time.sleep(wait)
        how = "Submit it again with RESUME_FROM=auto"
        self._end(own, STOPPED_EXIT_CODE, f"{sentence}, but: {problem} {how}.")

    def _end(self, own: Path, exit_code: int, sentence: str) -> None:
        _say(sentence)  # the last line of the log, there before who follows it sees the end
        self._note(own, exit_code, sentence)
        sys.exit(exit_code)

    def _note(self, own: Path, exit_code: int, sentence: str) -> None:
        path = own / OUTCOME
        path.with_suffix(".part").write_text(
            json.dumps({"exit_code": exit_code, "sentence": sentence}), encoding="utf-8"
        )
        path.with_suffix(".part").replace(path)


def own_folder(folder: str | Path, environ: Mapping[str, str]) -> Path:
    """Returns where a job keeps what it knows of itself."""
    array, index = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    return Path(folder, f"{array}_{index}" if array else environ["SLURM_JOB_ID"])


def newest(folders: Sequence[str]) -> tuple[str, int]:
    """Returns name and time of the checkpoint that was written last; ("", 0) if there is none.

    By names, as reading a large one takes minutes.
    """
    found = [("", 0)]
    for folder in folders:
        for pattern in ("epoch_*", "iter_*"):
            paths = [p for p in Path(folder).glob(pattern) if p.suffix != ".tmp"]
            found += [(path.name, path.stat().st_mtime_ns) for path in paths]
    return max(found, key=lambda item: item[1])


def note_start(own: Path, restarts: int, place: tuple[str, int]) -> list[tuple[str, int]]:
    """Adds where a start begins to those before; returns all."""
    path = own / STARTS
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    places = [*(tuple(item) for item in before[:restarts]), place]
    path.with_suffix(".part").write_text(json.dumps(places), encoding="utf-8")
    path.with_suffix(".part").replace(path)
    return places


def _say(sentence: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
