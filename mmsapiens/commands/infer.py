"""Predicts images and videos, and writes the results as files and pictures.

    mmsapiens infer sapiens-1b-parts --input photos --output results
    mmsapiens infer CONFIG CHECKPOINT --input photos --output results
    mmsapiens infer CONFIG CHECKPOINT --input "photos/**/*.jpg" --output results
    mmsapiens infer DEPTH_CONFIG CHECKPOINT --input photos --output depth --seg-dir results
    mmsapiens infer sapiens-1b-normal --input photos --output normals --foreground sapiens-1b-parts
    mmsapiens infer POSE_CONFIG CHECKPOINT --input photos --output poses --boxes boxes.json
    mmsapiens infer NORMAL_CONFIG CHECKPOINT --input photos --output normals --detector det.onnx
    mmsapiens infer CONFIG exported.onnx --input photos --output results
    mmsapiens infer CONFIG CHECKPOINT --input a.mp4 --output results --save picture,labels
    mmsapiens infer POSE_CONFIG CHECKPOINT --input a.mp4 --output poses --detector det.onnx --smooth

The model is a released one (`mmsapiens models` lists them), a checkpoint of a training, whose
config lies beside it, or a config with a checkpoint. In place of a checkpoint, what `mmsapiens
export` wrote: see docs/export.md.

--input is an image, a video, a folder (with its sub-folders), a pattern, or a .txt file of paths.
All maps but features are of the size of the image:

    segmentation  <stem>_seg.npy (uint8 labels), <stem>.npy (bool foreground), <stem>.png
    depth         <stem>.npy (float32 relative depth, 0 near), <stem>.png
    normals       <stem>.npy (float32 unit vectors; axes: docs/normals.md), <stem>.png
    features      <stem>.npy (channels, rows, columns of patches), <stem>_attention.png
    pose          <stem>.json (keypoints, scores and boxes of everybody, in pixels), <stem>.jpg, of
                  --style openpose <stem>.png; of all images coco_results.json, keypoint_set.json
    of a video    <stem>.mp4 of the pictures, <stem>.json with number and time of each frame; what
                  else --save names goes to <stem>/000000_seg.npy, ... of each frame
    pose, video   <stem>.mp4, <stem>.json of all frames with everybody's id

--save chooses among them: labels (_seg.npy), foreground and picture, or probabilities (_prob.npy,
float16 at the size of the head) of segmentation; map and picture of depth and normals; features and
attention; json and picture of pose. --mask-format png writes <stem>_seg.png and <stem>_mask.png.

--seg-dir names masks for the pictures of depth and normals: <stem>.npy, <stem>.png or
<stem>_mask.png, not zero on the person; the foreground that segmentation writes is one, of a video
<stem>/000000.npy, ..., with --save foreground.
--foreground names a model of segmentation that finds it on the way, in the whole image.

Where the people are, --boxes tells,
{"folder/a.jpg": [[x1, y1, x2, y2, score], ...]}, or --detector finds out; without either the whole
image is taken for one person. For segmentation, depth and normals each person is cut out with
--box-margin, and their maps are laid over one another, the highest score on top; 0 outside boxes.

An option that the task lacks is an error. What fails is reported and the rest is done: an image
that cannot be read, a box that has no area in its image, a frame of a video, a video that ends
before the last of the frames that it promises. The exit code is then 1.

--devices all runs a job on each GPU, side by side; what a job that dies leaves, others take over.
--shard 3/8 does a share of the input, for the tasks of a cluster. A video is done in one piece.

A second run does what is missing, or was made with another model, option or image; --overwrite does
everything again. Ctrl-C finishes the batch in hand; a video that it breaks off starts anew.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsapiens.commands.arguments import (
    add_config,
    add_device,
    add_flip,
    add_graph,
    finite,
    given,
    natural_int,
    positive_int,
    share,
    view_options,
)
from mmsapiens.commands.configs import load
from mmsapiens.commands.infer_jobs import run_jobs
from mmsapiens.commands.infer_masks import (
    check_masks,
    find_foreground,
    load_foreground,
    mask_source,
)
from mmsapiens.commands.infer_people import box_source
from mmsapiens.commands.infer_video import OF_WRITERS, Videos, check_options
from mmsapiens.commands.infer_work import Work
from mmsapiens.jobs import parse_share

if TYPE_CHECKING:
    from mmengine.config import Config

    from engine.infer import ImageList


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes; defaults of what not every task has are None: not given."""
    add_config(parser)
    parser.add_argument(
        "checkpoint", nargs="?", help="path of the weights; not of the name of a released model"
    )
    inputs = "image, video, folder, pattern, .txt list"
    parser.add_argument("--input", required=True, help=inputs)
    parser.add_argument(
        "--output", required=True, type=folder, metavar="DIR", help="of the results"
    )
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        help="a forward pass: images, frames, people (1; people of pose 8)",
    )
    parser.add_argument("--num-workers", type=natural_int, default=2, help="that read images")
    add_device(parser)
    parser.add_argument("--devices", help="all GPUs, or 0,1,3, or cpu:2; a job on each")
    parser.add_argument("--jobs-per-device", type=positive_int, default=1, metavar="NUM")
    shard = "only the third of eight shares of the input: 3/8"
    parser.add_argument("--shard", type=parse_share, metavar="K/N", help=shard)
    add_flip(parser)
    add_graph(parser)
    parser.add_argument("--overwrite", action="store_true", help="do again what is done")
    outputs = "what to write, as labels,picture: labels, foreground, probabilities; map; features, "
    outputs += "attention; json; picture (all but probabilities; of a video the picture)"
    parser.add_argument("--save", type=names, metavar="NAMES", help=outputs)
    parser.add_argument("--picture-format", choices=["png", "jpg", "webp"])
    dense = parser.add_argument_group("segmentation, depth, normals, features")
    dense.add_argument("--opacity", type=share, help="of colours over the image, 0 to 1 (0.5)")
    dense.add_argument("--mask-format", choices=["npy", "png"], help="of labels, foreground (npy)")
    dense.add_argument("--seg-dir", type=Path, metavar="DIR", help="masks for depth and normals")
    dense.add_argument("--foreground", metavar="MODEL", help="that makes such masks on the way")
    people = parser.add_argument_group("people, of all tasks but features")
    people.add_argument("--boxes", metavar="FILE", help="JSON of boxes")
    people.add_argument("--detector", metavar="FILE", help=".onnx file that finds people")
    kinds = ["auto", "rtmdet", "yolox", "ultralytics", "rfdetr"]
    people.add_argument("--detector-kind", choices=kinds, help="by its outputs (auto)")
    people.add_argument("--bbox-thr", type=share, help="lowest score of a person (0.3)")
    people.add_argument("--nms-thr", type=share, help="largest overlap of two boxes (0.65)")
    around = "enlarges boxes, but for pose (1.25)"
    people.add_argument("--box-margin", type=finite, metavar="FACTOR", help=around)
    pose = parser.add_argument_group("pose")
    pose.add_argument("--style", choices=["skeleton", "openpose"], help="(skeleton)")
    formats = ["mmsapiens", "release", "openpose", "coco"]
    pose.add_argument("--format", choices=formats, help="of the JSON (mmsapiens)")
    ids = "COCO's file, for the image ids of coco_results.json (by default from the names)"
    pose.add_argument("--annotations", metavar="FILE", help=ids)
    pose.add_argument("--smooth", action="store_true", default=None, help="keypoints of videos")
    pose.add_argument("--radius", type=positive_int, help="of a keypoint, pixels (4)")
    pose.add_argument("--thickness", type=positive_int, help="of a link, pixels (2)")
    pose.add_argument("--kpt-thr", type=finite, help="lowest score that is drawn (0.3)")
    pose.add_argument("--show-ids", action="store_true", default=None, help="draw the ids")


def run(
    args: argparse.Namespace,
    send: Callable[[Any], None] | None = None,
    part: ImageList | None = None,
) -> int:
    """Runs the inference; returns the exit code.

    Args:
        args: Of the command.
        send: Of a job among several, takes what it has to say: 1 for each image, and failures.
        part: What such a job is to do; everything by default.
    """
    # Of the model's threads those that wait would spin, on cores that readers and writers need.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch reads it when it is imported
    import torch
    from rich.console import Console

    from engine.device import find_device
    from engine.infer import Results, build_writer, check_results, find_images
    from engine.infer.inputs import check_out_dir
    from engine.infer.video import is_video
    from mmsapiens.export.model import init_any
    from mmsapiens.jobs import device_names, share_of
    from mmsapiens.sources import find_model

    console = Console(stderr=True, quiet=send is not None)
    source = (args.config, args.checkpoint) if args.checkpoint else args.config
    args.config, args.checkpoint = map(str, find_model(source))
    cfg, options = load_checked(args), given(args, (*OF_WRITERS, "annotations"))
    find_boxes = box_source(args, cfg, console)
    inputs = find_images(args.input, args.output, videos=True) if part is None else part
    if part is None:
        check_options(args, cfg, inputs)
    foreground_cfg = find_foreground(args)
    given_files = [args.boxes] if args.boxes else []
    devices = [args.device]
    if args.devices is not None:
        devices = device_names(args.devices, torch.cuda.device_count(), args.jobs_per_device)
    alone = len(devices) == 1
    model: Any = None
    foreground = None
    if alone:
        model, meta = init_any(cfg, args.checkpoint, find_device(devices[0]))
        foreground = load_foreground(args, foreground_cfg, devices[0])
    else:
        meta = said_of_classes(cfg, args.checkpoint)
    writer = build_writer(cfg, meta, options)
    videos = Videos(args, cfg, meta, console)
    if part is None:
        suffixes, of_videos = writer.suffixes, videos.suffixes(inputs)
        check_results(inputs, args.output, suffixes, given_files, writer.common, of_videos)
        of_frames = videos.of_frames.suffixes if "/" in of_videos else ()
        all_suffixes = (*suffixes, *of_videos, *(f"/000000{end}" for end in of_frames))
        check_out_dir(args.input, args.output, inputs, all_suffixes)
        writer.check(item for item in inputs if not is_video(item.path))
    if args.shard:
        inputs = share_of(inputs, *args.shard)
    results = Results(
        writer, args.output, mask_source(args), finish=part is None and not args.shard
    )
    work = Work(args, cfg, inputs, results, videos, console, foreground_cfg)
    if model is None:
        return run_jobs(work, devices, infer_job)
    return work.here(model, find_boxes, foreground, send)


def load_checked(args: argparse.Namespace) -> Config:
    """Loads the config, and checks what options ask of its writer.

    Raises:
        ConfigError: If the task lacks an option, or options contradict each other.
    """
    from engine.errors import ConfigError
    from engine.infer import find_writer
    from mmsapiens.export.model import size_option, take_graph

    if args.devices is not None and (args.device or args.shard):
        raise ConfigError("--devices says where everything runs; leave out --device and --shard.")
    if args.jobs_per_device > 1 and not args.devices:
        raise ConfigError("--jobs-per-device goes with --devices.")
    if args.overwrite and args.shard:
        raise ConfigError(
            "--overwrite with --shard would take what other shares have done for old; remove the "
            "folder, or leave one of them out."
        )
    views = {**size_option(args.checkpoint), **view_options(args)}
    if "probabilities" in (args.save or ()):
        views["model.keep_probabilities"] = True
    cfg = load(args, views)
    take_graph(cfg, args.checkpoint, args.graph)
    writer = find_writer(cfg, given(args, (*OF_WRITERS, "annotations")))
    check_masks(args, writer, args.save or cfg.writer.get("save"))
    return cfg


def said_of_classes(cfg: Config, checkpoint: str) -> dict[str, Any]:
    """Returns what a checkpoint says of what it predicts; its weights are not read."""
    from mmengine.registry import init_default_scope

    from engine.checkpoint import read_checkpoint
    from engine.infer import dataset_meta
    from mmsapiens.export.model import has_graph, meta_of_file

    init_default_scope(cfg.default_scope)
    if has_graph(cfg):
        return meta_of_file(cfg, checkpoint)
    return dataset_meta(cfg, read_checkpoint(checkpoint, checksums=False), checkpoint)


def infer_job(
    send: Callable[[Any], None],
    args: argparse.Namespace,
    device: str,
    part: ImageList,
    num_threads: int,
) -> None:
    """Does a part of a run in a process of its own."""
    import torch

    from mmsapiens.cli import run_main

    torch.set_num_threads(num_threads)
    words = {"device": device, "devices": None, "jobs_per_device": 1, "overwrite": False}
    job = argparse.Namespace(**{**vars(args), **words})
    run_main(lambda: run(job, send, part))


def names(text: str) -> tuple[str, ...]:
    """Reads names that commas separate; for argparse's ``type``."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"expected names that commas separate; found {text!r}")
    return found


def folder(text: str) -> Path:
    """Reads a folder; empty, as of a variable that is not set, it is none."""
    if not text:
        raise argparse.ArgumentTypeError("expected a folder; found ''")
    return Path(text)
