"""The people of images in a run of ``infer``: where they are, and which task predicts them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mmsapiens.commands.arguments import given

if TYPE_CHECKING:
    from mmengine.config import Config
    from rich.console import Console

    from engine.infer import Failure, InputImage
    from engine.infer.people import BoxSource
    from seg.foreground import Foreground

OF_DETECTORS = {"detector_kind": "kind", "bbox_thr": "score_thr", "nms_thr": "nms_thr"}
"""Arguments of the detector by option."""


def box_source(args: argparse.Namespace, cfg: Config, console: Console) -> BoxSource | None:
    """Returns what finds the people, None where whole images are predicted; says it for pose.

    Raises:
        ConfigError: If options contradict the task or each other, or a file is missing.
    """
    from engine.errors import ConfigError

    is_pose, settings = cfg.default_scope == "pose", given(args, OF_DETECTORS)
    asked = [*given(args, ("boxes", "detector", "box_margin")), *settings]
    if asked and cfg.default_scope not in ("pose", "seg"):
        raise ConfigError(
            f"{option(asked[0])}: {args.config} predicts whole images; boxes of people are for the "
            "configs of pose, segmentation, depth and normals."
        )
    if not asked and not is_pose:
        return None
    from pose.infer import BoxesFile, OnnxDetector, whole_image

    if args.boxes and args.detector:
        raise ConfigError("--boxes and --detector both say where the people are; give one.")
    if args.box_margin is not None and (is_pose or not (args.boxes or args.detector)):
        raise ConfigError(
            "--box-margin is for the --boxes, or those of a --detector, of segmentation, depth and "
            "normals; the configs of pose have theirs in the pipeline."
        )
    if settings and not args.detector:
        raise ConfigError(f"{option(next(iter(settings)))} is of a detector; give --detector.")
    if not is_pose:
        from seg.people import check_people

        check_people(cfg, **margin(args))
    if args.detector:
        return OnnxDetector(args.detector, **{OF_DETECTORS[k]: v for k, v in settings.items()})
    if args.boxes:
        return BoxesFile(args.boxes)
    console.print("Neither --boxes nor --detector: each image is taken for one person, whole.")
    return whole_image


def predict_by_task(
    args: argparse.Namespace,
    cfg: Config,
    model: Any,
    images: Sequence[InputImage],
    find_boxes: BoxSource | None,
    foreground: Foreground | None = None,
) -> Iterable[tuple | Failure]:
    """Predicts the people of images; yields what :meth:`engine.infer.Results.add` takes."""
    if cfg.default_scope == "pose" and find_boxes is not None:
        from pose.infer import predict_people

        size = args.batch_size or 8
        return predict_people(model, cfg, images, find_boxes, size, args.num_workers)
    from seg.people import predict_maps

    size, workers = args.batch_size or 1, args.num_workers
    options: Any = {**margin(args), "foreground": foreground}
    return predict_maps(model, cfg, images, find_boxes, size, workers, **options)


def margin(args: argparse.Namespace) -> dict[str, float]:
    """Returns the argument that --box-margin is."""
    return {} if args.box_margin is None else {"margin": args.box_margin}


def option(name: str) -> str:
    """Returns an argument as it stands on the command line."""
    return f"--{name.replace('_', '-')}"
