"""What ``mmsapiens infer`` takes and does for people: boxes, drawings, videos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsapiens.commands.arguments import positive_int, share

if TYPE_CHECKING:
    from mmengine.config import Config
    from rich.console import Console

    from pose.infer import BoxSource

BATCH_SIZE = 8
"""People a forward pass, by default."""

OF_BOXES = ("boxes", "detector", "detector_kind", "bbox_thr", "nms_thr")
OF_DETECTORS = ("detector_kind", "bbox_thr", "nms_thr")


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Says what the verb takes for people; defaults are None, so that what is given is known."""
    group.add_argument("--boxes", metavar="FILE", help="JSON of boxes")
    group.add_argument("--detector", metavar="FILE", help=".onnx file that finds people")
    group.add_argument("--detector-kind", choices=["rtmdet", "yolox"], help="(rtmdet)")
    group.add_argument("--bbox-thr", type=share, help="lowest score of a person (0.3)")
    group.add_argument("--nms-thr", type=share, help="largest overlap of two boxes (0.65)")
    group.add_argument("--style", choices=["skeleton", "openpose"], help="(skeleton)")
    group.add_argument("--radius", type=positive_int, help="of a keypoint, pixels (4)")
    group.add_argument("--thickness", type=positive_int, help="of a link, pixels (2)")
    group.add_argument("--kpt-thr", type=float, help="lowest score that is drawn (0.3)")
    group.add_argument("--show-ids", action="store_true", default=None, help="draw the ids")


def refuse_options(args: argparse.Namespace) -> None:
    """Raises ConfigError if a command line for another task says where people are."""
    from engine.errors import ConfigError

    for name in OF_BOXES:
        if vars(args)[name] is not None:
            raise ConfigError(
                f"{_option(name)}: {args.config} predicts whole images; boxes of people are for "
                "the configs of pose."
            )


def box_source(args: argparse.Namespace, console: Console) -> BoxSource:
    """Returns what finds the people; says it if nothing does.

    Raises:
        ConfigError: If options contradict each other, or a file is missing.
    """
    from engine.errors import ConfigError
    from pose.infer import BoxesFile, OnnxDetector, whole_image

    settings = {name: vars(args)[name] for name in OF_DETECTORS if vars(args)[name] is not None}
    if args.boxes and args.detector:
        raise ConfigError("--boxes and --detector both say where the people are; give one.")
    if settings and not args.detector:
        raise ConfigError(f"{_option(next(iter(settings)))} is of a detector; give --detector.")
    if args.boxes:
        return BoxesFile(args.boxes)
    if args.detector:
        names = {"detector_kind": "kind", "bbox_thr": "score_thr"}
        return OnnxDetector(args.detector, **{names.get(k, k): v for k, v in settings.items()})
    console.print("Neither --boxes nor --detector: each image is taken for one person, whole.")
    return whole_image


def is_video(source: str) -> bool:
    """Whether --input is a video."""
    from pose import infer

    return infer.is_video(source)


def infer_video(
    model: Any,
    cfg: Config,
    writer: Any,
    find_boxes: BoxSource,
    args: argparse.Namespace,
    console: Console,
) -> int:
    """Writes the results of a video; returns the exit code."""
    from rich.progress import track

    from pose.infer import predict_video

    frames = predict_video(
        model,
        cfg,
        Path(args.input),
        find_boxes,
        writer,
        args.output,
        args.batch_size or BATCH_SIZE,
    )
    num = sum(1 for _ in track(frames, "predicting", total=None, console=console))
    print(f"{num} frames done; results are in {args.output}")
    return 0


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
