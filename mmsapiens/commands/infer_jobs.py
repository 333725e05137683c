"""A run of ``infer`` in several processes, one or more on each device."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.signals import INTERRUPTED_EXIT_CODE
from mmsapiens.commands.infer_work import Work, progress

if TYPE_CHECKING:
    from engine.infer import ImageList


def run_jobs(work: Work, devices: Sequence[str], job: Callable[..., None]) -> int:
    """Predicts the rest in a process for each device; returns the exit code.

    What a job leaves that dies is shared among as many new ones, once.

    Args:
        work: Of which the rest is done.
        devices: Of the jobs.
        job: What each runs: ``job(send, args, device, part, num_threads)``.
    """
    any_died, interrupted = one_round(work, devices, job)
    left = counted(len(work.rest), len(work.rest_videos))
    if any_died and left and not interrupted:
        work.console.print(f"{left} are left; others take them over.")
        again = {item.path for item in (*work.rest, *work.rest_videos)}
        failures = work.results.failures  # a box of an image that is done may be among them
        failures[:] = [failure for failure in failures if failure.image.path not in again]
        _, interrupted = one_round(work, devices, job)
    work.results.recall(work.done)
    code = 1 if any_died else 0
    return work.end(work.results.close(), INTERRUPTED_EXIT_CODE if interrupted else code)


def one_round(work: Work, devices: Sequence[str], job: Callable[..., None]) -> tuple[bool, bool]:
    """Runs a job for each device; returns whether one died, and whether there was a Ctrl-C."""
    from mmsapiens.jobs import interrupts_noted, run_side_by_side, threads_of_a_job

    failures = work.results.failures
    parts, any_died = parts_of_rest(work, len(devices)), False
    threads = threads_of_a_job(max(len(parts), 1))
    jobs = [
        (work.args, device, part, threads) for device, part in zip(devices, parts, strict=False)
    ]
    num = len(work.rest) + len(work.rest_videos)
    with progress(num, work.console) as step, interrupts_noted() as interrupts:
        for message in run_side_by_side(job, jobs):
            if message.exit_code is None:
                step() if message.content == 1 else failures.append(message.content)
            elif message.exit_code not in (0, INTERRUPTED_EXIT_CODE, -signal.SIGINT):
                said = f"job {message.job + 1} of {len(jobs)}, on {devices[message.job]}, ended"
                said = f"{said} with code {message.exit_code}"
                work.console.print(said, style="red", markup=False)
                any_died = True
    work.sort()
    return any_died, bool(interrupts)


def parts_of_rest(work: Work, num: int) -> list[ImageList]:
    """Returns even parts of the rest, in whole batches of images; fewer if there is little."""
    import numpy as np

    from mmsapiens.jobs import share_of

    batches, videos = work.batches(), work.rest_videos
    left = np.unique(batches[np.array(work.is_left, bool)])
    found = []
    for i in range(1, num + 1):
        is_chosen = np.isin(batches, share_of(left, i, num))
        # The last jobs get the larger shares of the videos, as the first do of the images.
        found.append(work.images.where(is_chosen) + share_of(videos, num + 1 - i, num))
    return [part for part in found if part]


def counted(num_images: int, num_videos: int) -> str:
    """Says how many there are, nothing if none."""
    numbers = {"images": num_images, "videos": num_videos}
    return " and ".join(f"{num} {what}" for what, num in numbers.items() if num)
