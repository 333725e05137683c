"""The videos of a run of ``infer``: what options mean for them, and one after the other."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from mmsapiens.commands.arguments import given
from mmsapiens.commands.infer_masks import mask_source
from mmsapiens.commands.infer_people import margin

if TYPE_CHECKING:
    from mmengine.config import Config
    from rich.console import Console

    from engine.infer import Failure, InputImage, Manifest, Writer
    from engine.infer.people import BoxSource
    from seg.foreground import Foreground

OF_WRITERS = (
    *("save", "mask_format", "picture_format", "opacity"),
    *("style", "format", "radius", "thickness", "kpt_thr", "show_ids"),
)
"""Options that go to the writer, which knows those of its task."""


def check_options(args: argparse.Namespace, cfg: Config, inputs: Sequence[InputImage]) -> None:
    """Checks the options that mean something for images alone, or for videos alone.

    Raises:
        ConfigError: If one has no effect on what is given.
    """
    from engine.errors import ConfigError
    from engine.infer.video import is_video

    num_videos = sum(is_video(item.path) for item in inputs)
    if args.smooth and (cfg.default_scope != "pose" or not num_videos):
        raise ConfigError(
            "--smooth is for people in a video: give the config of a pose model, and a video as "
            f"--input, not {args.input!r}."
        )
    if num_videos < len(inputs):
        return
    if args.picture_format is not None:
        raise ConfigError("--picture-format is for images; the pictures of a video are an .mp4.")
    if args.annotations is not None:
        raise ConfigError("--annotations holds the ids of images; those of frames are their own.")
    if args.mask_format is not None and not {"labels", "foreground"}.intersection(args.save or ()):
        raise ConfigError(
            "--mask-format: of a video, labels and foreground are written if --save says so."
        )


class Videos:
    """The videos of a run, and how they are predicted.

    Args:
        args: Of the command.
        cfg: Of the model.
        meta: Of what is predicted.
        console: For what is said meanwhile.

    Attributes:
        num_done: Videos of which nothing failed.
        num_frames: Frames that were done.
    """

    def __init__(
        self, args: argparse.Namespace, cfg: Config, meta: dict[str, Any], console: Console
    ) -> None:
        self.args, self.cfg, self.meta, self.console = args, cfg, meta, console
        self.num_done = self.num_frames = 0

    @cached_property
    def writer(self) -> Any:
        """Draws the video."""
        from engine.infer import find_writer

        return self._build(self.args.save or find_writer(self.cfg).video_save)

    @cached_property
    def of_frames(self) -> Writer:
        """Writes the files of each frame."""
        return self._build(self.writer.of_frames)

    def _build(self, save: Sequence[str]) -> Writer:
        from engine.infer import build_writer

        return build_writer(self.cfg, self.meta, {**given(self.args, OF_WRITERS), "save": save})

    def suffixes(self, inputs: Sequence[InputImage]) -> tuple[str, ...]:
        """Of what is written of a video, if there is one; ``"/"`` is a folder of its name."""
        from engine.infer.video import is_video

        if not any(is_video(item.path) for item in inputs):
            return ()
        return (*self.writer.video_suffixes, *(["/"] if self.of_frames.outputs else []))

    def is_done(self, video: InputImage, manifest: Manifest) -> bool:
        """Whether all of a video is there, and nothing of it failed."""
        if manifest.is_marked(video) or not manifest.has(video, self.writer.video_suffixes):
            return False
        files = self._files_of_frames(video) if self.of_frames.outputs else []
        return not files or manifest.has(video, files)

    def _files_of_frames(self, video: InputImage) -> list[str]:
        from engine.data.decoding import read_json

        frames = read_json(self.args.output / f"{video.out_stem}.json")["frames"]
        return [
            f"/{frame['frame_id']:06}{suffix}"
            for frame in frames
            for suffix in self.of_frames.suffixes
        ]

    def predict(
        self,
        model: Any,
        find_boxes: BoxSource | None,
        foreground: Foreground | None,
        videos: Sequence[InputImage],
        manifest: Manifest,
    ) -> Generator[Failure | None, None, None]:
        """Predicts videos; yields what failed, and None after each video."""
        from rich.markup import escape
        from rich.progress import track

        from engine.errors import ConfigError
        from engine.infer import Failure
        from engine.infer.video.job import predict_video

        start = self._start(model, find_boxes, foreground)
        # A job among several is quiet but for what it logs.
        aloud = partial(self.console.print, markup=False, soft_wrap=True)
        say = None if self.console.quiet else aloud
        for video in videos:
            failed = False
            frames = predict_video(video, self.args.output, start, say)
            bar = partial(track, console=self.console, disable=self.console.quiet)
            try:
                with closing(frames):
                    for item in bar(frames, escape(video.path.name), total=None):
                        if isinstance(item, Failure):
                            manifest.mark(video)
                            failed = True
                            yield item
                        else:
                            self.num_frames += 1
            except ConfigError:
                raise
            except Exception as error:  # whatever is wrong with one must not stop the others
                yield Failure.of(video, error)
            else:
                if not failed:
                    manifest.unmark(video)
                    self.num_done += 1
            yield None

    def _start(
        self, model: Any, find_boxes: BoxSource | None, foreground: Foreground | None
    ) -> Callable[..., Any]:
        """Returns what begins a video."""
        args, cfg = self.args, self.cfg
        if cfg.default_scope == "pose":
            from pose.infer import PeopleOfVideo

            assert find_boxes is not None
            size, smooth = args.batch_size or 8, bool(args.smooth)
            return partial(PeopleOfVideo, model, cfg, find_boxes, self.writer, size, smooth)
        from engine.infer.video.frames import FramePredictor, PeopleOfFrames, WholeFrames
        from engine.infer.video.maps import MapsOfVideo

        size = args.batch_size or 1
        predictor: FramePredictor = WholeFrames(model, cfg, size)
        if find_boxes is not None or foreground is not None:
            from seg.people import how_to_predict

            options: Any = {**margin(args), "foreground": foreground}
            predictor = PeopleOfFrames(*how_to_predict(model, cfg, find_boxes, **options), size)
        masks = mask_source(args)
        return partial(MapsOfVideo, predictor, self.writer, self.of_frames, args.output, masks)
