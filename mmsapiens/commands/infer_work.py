"""The work of a run of ``infer``: what is done, the rest, the summary."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from engine.signals import INTERRUPTED_EXIT_CODE
from mmsapiens.commands.arguments import given
from mmsapiens.commands.infer_people import OF_DETECTORS, predict_by_task
from mmsapiens.commands.infer_video import OF_WRITERS

if TYPE_CHECKING:
    from mmengine.config import Config
    from numpy.typing import NDArray
    from rich.console import Console

    from engine.infer import Failure, ImageList, Results
    from engine.infer.people import BoxSource
    from mmsapiens.commands.infer_video import Videos
    from seg.foreground import Foreground


class Work:
    """The images and videos of a run, and what of them is done already.

    Args:
        args: Of the command.
        cfg: Of the model.
        inputs: All that the run, or its share, is to do.
        results: Where those of images go.
        videos: How videos are done.
        console: For what is said meanwhile.
        foreground_cfg: Of the model that makes masks, if there is one.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        cfg: Config,
        inputs: ImageList,
        results: Results,
        videos: Videos,
        console: Console,
        foreground_cfg: Config | None = None,
    ) -> None:
        from engine.infer import Manifest
        from engine.infer.video import is_video

        self.args, self.cfg = args, cfg
        self.all_videos, self.images = split(inputs, [is_video(item.path) for item in inputs])
        self.results, self.videos, self.console = results, videos, console
        self.manifest = Manifest(args.output, settings(args, cfg, foreground_cfg), args.overwrite)
        self.sort()
        done = {"images": (self.done, self.images), "videos": (self.done_videos, self.all_videos)}
        for what, (some, of_all) in done.items():
            if some:
                said = f"{len(some)} of {len(of_all)} {what} are done already (--overwrite: again)."
                console.print(said)

    def sort(self) -> None:
        """Looks which images and videos are done."""
        sure, manifest = self.results.writer.sure_suffixes, self.manifest
        is_done = [sure is not None and manifest.has(image, sure) for image in self.images]
        self.done, self.rest = split(self.images, is_done)
        self.is_left = [not done for done in is_done]
        is_done = [self.videos.is_done(video, manifest) for video in self.all_videos]
        self.done_videos, self.rest_videos = split(self.all_videos, is_done)

    def here(
        self,
        model: Any,
        find_boxes: BoxSource | None,
        foreground: Foreground | None,
        send: Callable[[Any], None] | None,
    ) -> int:
        """Predicts the rest in this process; returns the exit code."""
        from engine.infer.interrupt import interrupts_between_batches
        from engine.infer.pace import Pace

        self.results.recall(self.done)
        models = [model] if foreground is None else [foreground.model, model]
        code, pace = 0, Pace(*models)
        try:
            # A batch begins with the mask of the foreground, if there is one.
            with interrupts_between_batches(models[0]):
                with progress(len(self.rest), self.console) as step:
                    for item in self.predictions(model, find_boxes, foreground):
                        with pace.of_writing():
                            self.write(item)
                        step() if send is None else send(1)
                if self.rest:
                    self.console.print(pace.summary(len(self.rest)), soft_wrap=True)
                self.predict_videos(model, find_boxes, foreground, send)
        except KeyboardInterrupt:
            code = INTERRUPTED_EXIT_CODE
        except Exception:  # such as that a process was killed; said besides what failed until then
            self.results.close()
            report(self.results.failures, self.console)
            raise
        num = self.results.close()
        if send is not None:
            for failure in self.results.failures:
                send(failure)
            return code
        if self.args.shard and self.images and self.results.writer.common:
            names = " and ".join(self.results.writer.common)
            self.console.print(f"{names}: run again without --shard when all shares are done.")
        return self.end(num, code)

    def predictions(
        self, model: Any, find_boxes: BoxSource | None, foreground: Foreground | None
    ) -> Iterable[tuple | Failure]:
        """Predicts the rest."""
        args = self.args
        if not self.rest:
            return ()
        if find_boxes is not None:
            return predict_by_task(args, self.cfg, model, self.rest, find_boxes, foreground)
        import numpy as np

        from engine.infer import predict_images

        # Whole batches, as a run that nothing interrupts has them: others round differently.
        size, batches = args.batch_size or 1, self.batches()
        left = np.array(self.is_left)
        in_batches = np.isin(batches, batches[left])
        images, left = self.images.where(in_batches), left[in_batches]
        found: Iterable[tuple | Failure]
        if foreground is None:
            keep = self.results.writer.needs_image
            found = predict_images(model, self.cfg, images, size, args.num_workers, keep)
        else:
            found = predict_by_task(args, self.cfg, model, images, None, foreground)
        return (item for item, is_left in zip(found, left, strict=True) if is_left)

    def batches(self) -> NDArray:
        """Returns in which batch each image is."""
        import numpy as np

        return np.arange(len(self.images)) // (self.args.batch_size or 1)

    def predict_videos(
        self,
        model: Any,
        find_boxes: BoxSource | None,
        foreground: Foreground | None,
        send: Callable[[Any], None] | None,
    ) -> None:
        """Predicts the videos of the rest."""
        videos = self.videos.predict(model, find_boxes, foreground, self.rest_videos, self.manifest)
        with closing(videos):
            for failure in videos:
                if failure is not None:
                    self.results.failures.append(failure)
                elif send is not None:
                    send(1)

    def write(self, item: tuple | Failure) -> None:
        """Writes a prediction, or keeps why there is none."""
        from engine.infer import Failure

        if isinstance(item, Failure):
            self.results.failures.append(item)
        else:
            self.results.add(*item)

    def end(self, num_written: int, code: int) -> int:
        """Says what became of all images and videos; returns the exit code."""
        failures = self.results.failures
        num_videos = len(self.done_videos) + self.videos.num_done
        report(failures, self.console)
        # A share may be of nothing.
        has_images = self.images or not self.all_videos
        parts = [f"{num_written} of {len(self.images)} images"] if has_images else []
        parts += [f"{num_videos} of {len(self.all_videos)} videos"] if self.all_videos else []
        parts += [f"{self.videos.num_frames} frames"] if self.videos.num_frames else []
        print(f"{', '.join(parts)} done; results are in {self.results.out_dir}")
        if code == INTERRUPTED_EXIT_CODE:
            self.console.print("Interrupted. The same command does the rest.")
        num, num_all = num_written + num_videos, len(self.images) + len(self.all_videos)
        return code or (1 if failures or num < num_all else 0)


def split(inputs: ImageList, is_done: Sequence[bool]) -> tuple[ImageList, ImageList]:
    """Returns those that are done, and the rest."""
    return inputs.where(is_done), inputs.where(not done for done in is_done)


@contextmanager
def progress(num: int, console: Console) -> Iterator[Callable[[], None]]:
    """Shows a bar; gives what advances it by an image."""
    from rich.progress import Progress

    with Progress(console=console, disable=console.quiet or not num) as bar:
        task = bar.add_task("predicting", total=num)
        yield lambda: bar.advance(task)


def settings(
    args: argparse.Namespace, cfg: Config, foreground_cfg: Config | None = None
) -> dict[str, Any]:
    """Returns what the results depend on, besides the images."""
    from engine.infer import fingerprint
    from engine.infer.manifest import NAME as MANIFEST

    def of_model(checkpoint: str, cfg: Config) -> dict[str, Any]:
        return {
            "checkpoint": fingerprint(checkpoint),
            "model": repr(cfg.model),
            "pipeline": repr(cfg.test_dataloader.dataset.pipeline),
        }

    files = {name: vars(args)[name] for name in ("boxes", "detector") if vars(args)[name]}
    if args.seg_dir is not None and (args.seg_dir / MANIFEST).exists():
        files["seg_dir"] = args.seg_dir / MANIFEST  # new, if the masks are made by another model
    found = {
        **of_model(args.checkpoint, cfg),
        "writer": repr(cfg.writer),
        "options": given(args, (*OF_WRITERS, *OF_DETECTORS, "box_margin", "seg_dir", "smooth")),
        "files": {name: fingerprint(path) for name, path in files.items()},
    }
    if foreground_cfg is not None:
        found["foreground"] = of_model(args.foreground[1], foreground_cfg)
    return found


def report(failures: Iterable[Failure], console: Console) -> None:
    """Says what failed, a line each."""
    for image, reason in failures:
        console.print(f"failed: {image.path}: {reason}", style="red", markup=False, soft_wrap=True)
