"""Commands in processes of their own, without the seconds in which each imports libraries.

They are forked from a server that has imported them. What a command imports of ours, it imports
itself; signals, exit codes and output are those of any process.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.reduction import DupFd
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from tempfile import TemporaryFile
from threading import Timer
from typing import Any

LIBRARIES = ["cv2", "mmengine.runner", "mmengine.visualization", "pycocotools.coco"]
LIBRARIES += ["rich.progress", "scipy.optimize", "torch.utils.tensorboard"]


class Command:
    """A command that runs; what tests need of ``subprocess.Popen``.

    It leads a session, and Ctrl-C reaches it, also if the tests run in the background.

    Args:
        words: A script, or ``-m`` and a module, or ``-c`` and code; and arguments.
        cwd: Working directory.
        env: Environment variables besides those of the tests; what a library reads when it is
            imported has no effect.
        files: That stdout and stderr go to; by default both to ``self.stdout``, a pipe.
    """

    def __init__(
        self,
        words: Sequence[Any],
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        files: tuple[int, int] | None = None,
    ) -> None:
        self.words = [str(word) for word in words]
        read, write = os.pipe()
        self.stdout = os.fdopen(read, encoding="utf-8")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(LIBRARIES)
        variables = {**os.environ, **(env or {})}
        arguments = (self.words, str(cwd or Path.cwd()), variables, files or (write, write))
        self._process = context.Process(target=_Target(*arguments))
        self._process.start()
        os.close(write)
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Returns the exit code; None while it runs."""
        return self.returncode

    def wait(self, timeout: float = 240) -> int:
        """Waits for the end, and returns the exit code; what takes longer is killed."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutExpired(self.words, timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 240) -> tuple[str, None]:
        """Waits for the end, and returns what is left to read; what takes longer is killed."""
        timer = Timer(timeout, self._process.kill)
        timer.start()
        try:
            return self.stdout.read(), None
        finally:
            timer.cancel()
            self.wait()


def run(
    words: Sequence[Any],
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 240,
) -> CompletedProcess[str]:
    """Runs a command to its end; see :class:`Command`."""
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        files = out.fileno(), err.fileno()
        code = Command(words, cwd, env, files).wait(timeout)
        out.seek(0), err.seek(0)
        return CompletedProcess(words, code, out.read(), err.read())


class _Target:
    """What the forked process does."""

    def __init__(
        self, words: list[str], cwd: str, env: dict[str, str], files: tuple[int, int]
    ) -> None:
        self.words, self.cwd, self.env, self.files = words, cwd, env, files

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "files": [DupFd(file) for file in self.files]}

    def __call__(self) -> None:
        for number, file in zip((1, 2), self.files, strict=True):
            os.dup2(file.detach(), number)
        sys.stdout, sys.stderr = (
            os.fdopen(number, "w", encoding="utf-8", buffering=1) for number in (1, 2)
        )
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(self.env)
        os.chdir(self.cwd)
        try:
            self.execute()
        finally:
            atexit._run_exitfuncs()

    def execute(self) -> None:
        """Does what the interpreter does with its command line."""
        kind, *rest = self.words
        sys.path.insert(0, self.cwd if kind in ("-m", "-c") else str(Path(kind).parent))
        if kind == "-m":
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = self.words
            runpy.run_path(kind, run_name="__main__")
