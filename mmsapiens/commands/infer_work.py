"""The images of a run of ``infer``: what is done, the rest here or in several jobs, the summary."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.signals import INTERRUPTED_EXIT_CODE
from mmsapiens.commands.arguments import given

if TYPE_CHECKING:
    from mmengine.config import Config
    from rich.console import Console

    from engine.infer import Failure, InputImage, Results
    from pose.infer import BoxSource

OF_WRITERS = (
    *("save", "mask_format", "picture_format", "opacity"),
    *("style", "format", "radius", "thickness", "kpt_thr", "show_ids"),
)
"""Options that go to the writer, which knows those of its task."""
OF_DETECTORS = {"detector_kind": "kind", "bbox_thr": "score_thr", "nms_thr": "nms_thr"}
"""Arguments of the detector by option."""


class Work:
    """The images of a run, and what of them is done already.

    Args:
        args: Of the command.
        cfg: Of the model.
        images: All that the run, or its share, is to do.
        results: Where they go.
        console: For what is said meanwhile.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        cfg: Config,
        images: Sequence[InputImage],
        results: Results,
        console: Console,
    ) -> None:
        from engine.infer import Manifest

        self.args, self.cfg, self.images = args, cfg, images
        self.results, self.console = results, console
        self.manifest = Manifest(args.output, settings(args, cfg), args.overwrite)
        self.sort()
        if self.done:
            console.print(
                f"{len(self.done)} of {len(images)} images are done already (--overwrite: again)."
            )

    def sort(self) -> None:
        """Looks which images are done."""
        sure = self.results.writer.sure_suffixes
        is_done = [sure is not None and self.manifest.has(image, sure) for image in self.images]
        self.done = [image for image, done in zip(self.images, is_done, strict=True) if done]
        self.rest = [image for image, done in zip(self.images, is_done, strict=True) if not done]

    def here(
        self, model: Any, find_boxes: BoxSource | None, send: Callable[[Any], None] | None
    ) -> int:
        """Predicts the rest in this process; returns the exit code."""
        self.results.recall(self.done)
        code = 0
        with progress(len(self.rest), self.console) as step:
            try:
                for item in self.predictions(model, find_boxes):
                    self.write(item)
                    step() if send is None else send(1)
            except KeyboardInterrupt:
                code = INTERRUPTED_EXIT_CODE
        num = self.results.close()
        if send is not None:
            for failure in self.results.failures:
                send(failure)
            return code
        if self.args.shard and self.results.writer.common:
            names = " and ".join(self.results.writer.common)
            self.console.print(f"{names}: run again without --shard when all shares are done.")
        return self.end(num, code)

    def predictions(self, model: Any, find_boxes: BoxSource | None) -> Iterable[tuple | Failure]:
        """Predicts the rest."""
        args = self.args
        if not self.rest:
            return ()
        if find_boxes is None:
            from engine.infer import predict_images

            # Whole batches, as a run that nothing interrupts has them: others round differently.
            size, left = args.batch_size or 1, set(self.rest)
            batches = [self.images[i : i + size] for i in range(0, len(self.images), size)]
            images = [image for batch in batches if left.intersection(batch) for image in batch]
            return (
                item
                for item in predict_images(model, self.cfg, images, size, args.num_workers)
                if item[0] in left
            )
        from pose.infer import predict_people

        size = args.batch_size or 8
        return predict_people(model, self.cfg, self.rest, find_boxes, size, args.num_workers)

    def write(self, item: tuple | Failure) -> None:
        """Writes a prediction, or keeps why there is none."""
        from engine.infer import Failure

        if isinstance(item, Failure):
            self.results.failures.append(item)
        else:
            self.results.add(*item)

    def by_jobs(self, devices: Sequence[str], job: Callable[..., None]) -> int:
        """Predicts the rest in a process for each device; returns the exit code.

        What a job leaves that dies is shared among as many new ones, once.

        Args:
            devices: Of the jobs.
            job: What each runs: ``job(send, args, device, share, num_threads)``.
        """
        dead = self.one_round(devices, job)
        if dead and self.rest:
            self.console.print(f"{len(self.rest)} images are left; others take them over.")
            self.results.failures.clear()  # of images that are tried again
            dead += self.one_round(devices, job)
        self.results.recall(self.done)
        code = 1 if dead else 0
        return self.end(self.results.close(), INTERRUPTED_EXIT_CODE if self.interrupted else code)

    def one_round(self, devices: Sequence[str], job: Callable[..., None]) -> list[str]:
        """Runs a job for each device; returns sentences on those that died."""
        from mmsapiens.jobs import interrupts_noted, run_side_by_side, threads_of_a_job

        failures = self.results.failures
        threads, dead = threads_of_a_job(len(devices)), []
        jobs = [
            (self.args, device, (i, len(devices)), threads) for i, device in enumerate(devices, 1)
        ]
        with progress(len(self.rest), self.console) as step, interrupts_noted() as interrupts:
            for message in run_side_by_side(job, jobs):
                if message.exit_code is None:
                    step() if message.content == 1 else failures.append(message.content)
                elif message.exit_code not in (0, INTERRUPTED_EXIT_CODE):
                    said = f"job {message.job + 1} of {len(jobs)}, on {devices[message.job]}, ended"
                    dead.append(f"{said} with code {message.exit_code}")
                    self.console.print(dead[-1], style="red", markup=False)
        self.interrupted = bool(interrupts)
        self.sort()
        return [] if self.interrupted else dead

    def end(self, num_written: int, code: int) -> int:
        """Says what became of all images; returns the exit code."""
        failures = self.results.failures
        report(failures, self.console)
        out_dir = self.results.out_dir
        print(f"{num_written} of {len(self.images)} images done; results are in {out_dir}")
        if code == INTERRUPTED_EXIT_CODE:
            self.console.print("Interrupted. The same command does the rest.")
        return code or (1 if failures or num_written < len(self.images) else 0)


@contextmanager
def progress(num: int, console: Console) -> Iterator[Callable[[], None]]:
    """Shows a bar; gives what advances it by an image."""
    from rich.progress import Progress

    with Progress(console=console, disable=console.quiet) as bar:
        task = bar.add_task("predicting", total=num)
        yield lambda: bar.advance(task)


def settings(args: argparse.Namespace, cfg: Config) -> dict[str, Any]:
    """Returns what the results depend on, besides the images."""
    from engine.infer import fingerprint

    files = {name: vars(args)[name] for name in ("boxes", "detector") if vars(args)[name]}
    return {
        "checkpoint": fingerprint(args.checkpoint),
        "model": repr(cfg.model),
        "pipeline": repr(cfg.test_dataloader.dataset.pipeline),
        "writer": repr(cfg.writer),
        "options": given(args, (*OF_WRITERS, *OF_DETECTORS, "seg_dir")),
        "files": {name: fingerprint(path) for name, path in files.items()},
    }


def report(failures: Iterable[Failure], console: Console) -> None:
    """Says what failed, a line each."""
    for image, reason in failures:
        console.print(f"failed: {image.path}: {reason}", style="red", markup=False, soft_wrap=True)
