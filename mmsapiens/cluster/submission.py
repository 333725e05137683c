"""The batch script of a job, and its way into the queue, by submitit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from engine.errors import ConfigError
from mmsapiens.cluster import slurm
from mmsapiens.cluster.job import Job
from mmsapiens.cluster.settings import Settings

SIGNAL_SECONDS = 120
"""Before a time limit, when ranks are asked to save; ``--set signal=USR2@600`` for another."""
SETUP = "trap '' TERM USR2  # for the ranks; this shell waits for them"


class Executor(SlurmExecutor):
    """submitit's, which can also be made where there is no Slurm: to print what it would do."""

    @classmethod
    def affinity(cls) -> int:
        """Says that it can be made."""
        return 1

    def script(self, num_shares: int) -> str:
        """Returns the batch script; of an array, if there are several shares."""
        if num_shares > 1:
            self.parameters["map_count"] = num_shares
        return self._make_submission_file_text(self._submitit_command_str, "")


def executor_of(settings: Settings, folder: Path, python: str) -> Executor:
    """Returns what submits jobs of these settings.

    Args:
        settings: Of the environment.
        folder: Of the submission, for script, log and the pickled job.
        python: Interpreter of the job.
    """
    setup = [SETUP]
    if settings.conda_env:
        setup.append(f'export PATH={shlex.quote(os.path.dirname(python))}:"$PATH"')
    executor = Executor(folder, python=shlex.quote(python))
    # All of sbatch's go by this name: submitit knows some of them, and checks their types.
    options: dict[str, Any] = {
        "nodes": settings.nodes,
        "ntasks_per_node": settings.tasks_per_node,
        "requeue": True,
        "signal": f"USR2@{SIGNAL_SECONDS}",
        **({} if settings.time_min is None else {"time": settings.time_min}),
        **settings.options,
    }
    executor.update_parameters(
        time=None,  # not submitit's five minutes, nor its key
        wckey=None,
        setup=setup,
        use_srun=False,  # the job starts its ranks itself
        stderr_to_stdout=True,
        additional_parameters=options,
    )
    return executor


def submit(jobs: Sequence[Job], executor: Executor) -> list[str]:
    """Puts a job, or an array of several, into the queue; returns their ids.

    Raises:
        ConfigError: If Slurm refuses.
    """
    for name in list(os.environ):
        # Of the job that this shell may be in: sbatch would take them for options of the new one.
        if name.startswith("SLURM_") and name != "SLURM_CONF":
            del os.environ[name]
    try:
        return [job.job_id for job in executor.submit_array(jobs)]
    except FailedJobError as error:
        raise ConfigError(slurm.refusal("sbatch", str(error))) from error
    except FailedSubmissionError as error:  # as of --set test-only
        said = str(error).splitlines()[0]
        raise ConfigError(f"sbatch has taken no job, or does not say which: {said}") from error
