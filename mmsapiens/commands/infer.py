"""Predicts images, or a video of people, and writes the results as files and pictures.

    mmsapiens infer CONFIG CHECKPOINT --input photos --output results
    mmsapiens infer CONFIG CHECKPOINT --input "photos/**/*.jpg" --output results
    mmsapiens infer DEPTH_CONFIG CHECKPOINT --input photos --output depth --seg-dir results
    mmsapiens infer POSE_CONFIG CHECKPOINT --input photos --output poses --boxes boxes.json
    mmsapiens infer POSE_CONFIG CHECKPOINT --input a.mp4 --output poses --detector det.onnx

--input is an image, a folder (with its sub-folders), a pattern, a .txt file of paths, or, for pose,
a video. All maps but features are of the size of the image:

    segmentation  <stem>_seg.npy (uint8 labels), <stem>.npy (bool foreground), <stem>.png
    depth         <stem>.npy (float32 relative depth, 0 near), <stem>.png
    normals       <stem>.npy (float32 unit vectors; axes: docs/normals.md), <stem>.png
    features      <stem>.npy (channels, rows, columns of patches), <stem>_attention.png
    pose          <stem>.json (keypoints, scores and boxes of everybody, in pixels), <stem>.jpg, of
                  --style openpose <stem>.png; of all images coco_results.json, keypoint_set.json
    pose, video   <stem>.json of all frames, <stem>.mp4

--seg-dir names masks for the pictures of depth and normals: <stem>.npy or .png, not zero on the
person; the foreground that segmentation writes is one. Where the people are, --boxes tells,
{"folder/a.jpg": [[x1, y1, x2, y2, score], ...]}, or --detector finds out; without either the whole
image is taken for one person. An option that the task lacks is an error. An unreadable image is
reported, the others are done, and the exit code is 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsapiens.commands import people
from mmsapiens.commands.arguments import (
    add_checkpoint,
    add_config,
    add_device,
    add_flip,
    find_device,
    positive_int,
    share,
    view_options,
)
from mmsapiens.commands.configs import load

if TYPE_CHECKING:
    from mmengine.config import Config
    from rich.console import Console

    from engine.infer import Failure, InputImage, Results, Writer
    from pose.infer import BoxSource

OF_WRITERS = ("opacity", "style", "radius", "thickness", "kpt_thr", "show_ids")
"""Options that go to the writer, which knows those of its task."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes; the defaults of what not every task has are None."""
    add_config(parser)
    add_checkpoint(parser)
    inputs = "image, folder, pattern, .txt list; video of people"
    parser.add_argument("--input", required=True, help=inputs)
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="of the results")
    parser.add_argument(
        "--batch-size", type=positive_int, help="a forward pass: images (1) or people (8)"
    )
    parser.add_argument("--num-workers", type=int, default=2, help="processes that read images")
    add_device(parser)
    add_flip(parser)
    dense = parser.add_argument_group("segmentation, depth, normals, features")
    dense.add_argument("--opacity", type=share, help="of colours over the image, 0 to 1 (0.5)")
    dense.add_argument("--seg-dir", type=Path, metavar="DIR", help="masks for depth and normals")
    people.add_arguments(parser.add_argument_group("pose"))


def run(args: argparse.Namespace) -> int:
    """Runs the inference; returns the exit code."""
    from rich.console import Console

    from engine.infer import Results, build_writer, check_results, find_images, init_model
    from seg.surface.files import load_mask

    console = Console(stderr=True)
    cfg = load(args, view_options(args))
    is_pose = cfg.default_scope == "pose"
    if not is_pose:
        people.refuse_options(args)
    find_boxes = people.box_source(args, console) if is_pose else None
    images = find_images(args.input, args.output)
    model, meta = init_model(cfg, args.checkpoint, find_device(args.device))
    writer = build_writer(cfg, meta, writer_options(args))
    if args.seg_dir is not None:
        check_masks(args.seg_dir, args.output, writer)
    mask_of = None if args.seg_dir is None else partial(load_mask, args.seg_dir)
    results = Results(writer, args.output, mask_of)
    if find_boxes is not None and people.is_video(args.input):
        return people.infer_video(model, cfg, writer, find_boxes, args, console)
    check_results(images, args.output, writer.suffixes)
    predictions = predict(model, cfg, images, find_boxes, args)
    return write_all(predictions, len(images), results, console)


def check_masks(seg_dir: Path, out_dir: Path, writer: Writer) -> None:
    """Checks the folder of masks.

    Raises:
        ConfigError: If the writer takes no masks, or would replace them.
    """
    from engine.errors import ConfigError

    if not writer.takes_masks:
        name = type(writer).__name__
        raise ConfigError(f"--seg-dir: {name} takes no masks; depth and normals do.")
    if not seg_dir.is_dir() or seg_dir.resolve() == out_dir.resolve():
        raise ConfigError(
            f"--seg-dir {str(seg_dir)!r}: expected a folder of masks, and not that of --output, "
            "whose .npy files would replace them."
        )


def writer_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns what the command line says of the files, by argument of the writer."""
    return {name: vars(args)[name] for name in OF_WRITERS if vars(args)[name] is not None}


def predict(
    model: Any,
    cfg: Config,
    images: list[InputImage],
    find_boxes: BoxSource | None,
    args: argparse.Namespace,
) -> Iterator[tuple | Failure]:
    """Predicts images, or the people in them; yields what :meth:`Results.add` takes."""
    if find_boxes is None:
        from engine.infer import predict_images

        return predict_images(model, cfg, images, args.batch_size or 1, args.num_workers)
    from pose.infer import predict_people

    batch_size = args.batch_size or people.BATCH_SIZE
    return predict_people(model, cfg, images, find_boxes, batch_size, args.num_workers)


def write_all(
    predictions: Iterator[tuple | Failure], num: int, results: Results, console: Console
) -> int:
    """Writes the results of ``num`` images and reports failures; returns the exit code."""
    from rich.progress import track

    from engine.infer import Failure

    for item in track(predictions, "predicting", total=num, console=console):
        if isinstance(item, Failure):
            results.failures.append(item)
        else:
            results.add(*item)
    num_written = results.close()
    for image, reason in results.failures:
        console.print(f"failed: {image.path}: {reason}", style="red", markup=False, soft_wrap=True)
    print(f"{num_written} of {num} images done; results are in {results.out_dir}")
    return 1 if results.failures else 0
