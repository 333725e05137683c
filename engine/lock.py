"""One training a work directory: two would delete each other's checkpoints."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TextIO

from mmengine.dist import broadcast_object_list, is_main_process

from engine.errors import ProcessError

LOCK_NAME = "training.lock"
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Holder(NamedTuple):
    """Who writes into a folder."""

    host: str = "?"
    pid: str = "?"
    since: str = "?"
    job: str = ""

    @classmethod
    def this(cls) -> Holder:
        """This process."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(
            socket.gethostname(), str(os.getpid()), since, os.environ.get("SLURM_JOB_ID", "")
        )

    def may_run(self, locks: bool) -> bool:
        """Whether it may not have ended, given that the system does not see it hold the lock.

        Network file systems may lock among the processes of one machine only, so that what another
        wrote is believed; but of one Slurm job, started again, the earlier start has ended.

        Args:
            locks: Whether the file system locks at all; if not, the process must be gone.
        """
        me = Holder.this()
        if self.host != me.host:
            return not self.job or self.job != me.job
        return not locks and self.pid.isdecimal() and _exists(int(self.pid))


@contextmanager
def hold_work_dir(work_dir: str | Path) -> Iterator[None]:
    """Keeps other trainings out of a folder; of several ranks the first does so for all.

    The system's lock on ``training.lock`` is what counts: it ends with the process, however that
    ends. What is written there is for the message, and for where locks do not reach; see
    :meth:`Holder.may_run`.

    Raises:
        ProcessError: On all ranks, if another training holds it.
    """
    path = Path(work_dir, LOCK_NAME)
    refusal: list[str | None] = [None]
    file = None
    if is_main_process():
        try:
            file = _take(path)
        except ProcessError as error:
            refusal = [str(error)]
    broadcast_object_list(refusal)
    if refusal[0] is not None:
        raise ProcessError(refusal[0])
    try:
        yield
    finally:
        if file is not None:
            if is_at(file, path):
                path.unlink()
            file.close()


def _take(path: Path) -> TextIO:
    """Returns the file, locked and signed."""
    while True:
        file = path.open("a+", encoding="utf-8")
        locks = lock(file)
        file.seek(0)
        lines = file.read().splitlines()
        holder = Holder(*lines) if len(lines) == len(Holder._fields) else None
        if locks is None or (holder and holder.may_run(locks)):
            file.close()
            raise _refusal(path, holder or Holder(), surely=locks is None)
        if is_at(file, path):
            break
        file.close()  # its holder removed it after we had opened it
    os.register_at_fork(after_in_child=file.close)  # data workers outlive a training that is killed
    file.truncate(0)
    file.write("\n".join(Holder.this()) + "\n")
    file.flush()
    return file


def lock(file: IO | int) -> bool | None:
    """Locks; returns None if another process has, and False if there are no locks here."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        return False
    return True


def is_at(file: IO, path: Path) -> bool:
    """Whether an open file is still the one of a path."""
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _refusal(path: Path, holder: Holder, surely: bool) -> ProcessError:
    cure = "Wait for its end" if surely else f"If it has ended, delete {path}"
    return ProcessError(
        f"{path.parent} is the work directory of another training: process {holder.pid} on "
        f"{holder.host}, since {holder.since}. Each would delete the other's checkpoints. {cure}, "
        "or train into another folder with --work-dir."
    )
