"""Finds the keypoints of everybody in images or a video.

    python tools/infer_pose.py CONFIG CHECKPOINT --input photos --output results --boxes boxes.json
    python tools/infer_pose.py CONFIG CHECKPOINT --input photos --output results --detector det.onnx
    python tools/infer_pose.py CONFIG CHECKPOINT --input video.mp4 --output results --style openpose

--input is an image, a folder (with its sub-folders), a pattern, a .txt file of paths, or a video.
Where the people are, --boxes tells, {"folder/a.jpg": [[x1, y1, x2, y2, score], ...]}, or --detector
finds out; without either the whole image is taken for one person. Results:

    <stem>.json           keypoints, scores and boxes of everybody, in pixels of the image
    <stem>.jpg            the image with everybody drawn; of --style openpose <stem>.png, on black
    coco_results.json     everybody in COCO's format
    keypoint_set.json     the names of the keypoints, the skeleton, ...

A video gives <stem>.json with all frames, and <stem>.mp4. An unreadable image is reported, the
others are done, and the exit code is 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from engine.cli import add_inference_arguments, check_device, positive_int, run_main, share
from engine.config import load_config
from engine.infer import Failure, check_results, find_images, init_model
from engine.model.base import BaseModel
from engine.registry import WRITERS
from pose.infer import (
    BoxesFile,
    BoxSource,
    OnnxDetector,
    PoseWriter,
    is_video,
    predict_people,
    predict_video,
    whole_image,
)


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    inputs = "image, folder, pattern, .txt list or video"
    add_inference_arguments(parser, inputs, 8, "people")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--boxes", metavar="FILE", help="JSON of boxes")
    where.add_argument("--detector", metavar="FILE", help=".onnx file that finds people")
    parser.add_argument("--detector-kind", choices=["rtmdet", "yolox"], default="rtmdet")
    parser.add_argument("--bbox-thr", type=share, default=0.3, help="lowest score of a person")
    parser.add_argument("--nms-thr", type=share, default=0.65, help="largest overlap of two boxes")
    parser.add_argument("--style", choices=["skeleton", "openpose"], default="skeleton")
    parser.add_argument("--radius", type=positive_int, default=4, help="of a keypoint, pixels")
    parser.add_argument("--thickness", type=positive_int, default=2, help="of a link, pixels")
    parser.add_argument("--kpt-thr", type=float, default=0.3, help="lowest score that is drawn")
    parser.add_argument("--show-ids", action="store_true", help="write the keypoints' ids")
    return parser.parse_args()


def box_source(args: argparse.Namespace, console: Console) -> BoxSource:
    """Returns what finds the people; says it if nothing does."""
    if args.boxes:
        return BoxesFile(args.boxes)
    if args.detector:
        return OnnxDetector(args.detector, args.detector_kind, args.bbox_thr, args.nms_thr)
    console.print("Neither --boxes nor --detector: each image is taken for one person, whole.")
    return whole_image


def infer_images(
    model: BaseModel,
    cfg: Config,
    writer: PoseWriter,
    find_boxes: BoxSource,
    args: argparse.Namespace,
    console: Console,
) -> int:
    """Writes the results of images; returns the exit code."""
    images = find_images(args.input, args.output)
    out_dir = Path(args.output)
    check_results(images, out_dir, writer.suffixes)
    failures: list[Failure] = []
    found = predict_people(model, cfg, images, find_boxes, args.batch_size, args.num_workers)
    for item in track(found, "predicting", total=len(images), console=console):
        if isinstance(item, Failure):
            failures.append(item)
            continue
        out_stem = out_dir / item.image.out_stem
        out_stem.parent.mkdir(parents=True, exist_ok=True)
        try:
            writer.write(item.sample, item.pixels, out_stem)
        except OSError as error:
            failures.append(Failure(item.image, str(error)))
    if len(failures) < len(images):
        writer.finish(out_dir)
    for image, reason in failures:
        console.print(f"failed: {image.path}: {reason}", style="red", markup=False, soft_wrap=True)
    print(f"{len(images) - len(failures)} of {len(images)} images done; results are in {out_dir}")
    return 1 if failures else 0


def main() -> int:
    """Runs the inference; returns the exit code."""
    args = parse_args()
    console = Console(stderr=True)
    cfg = load_config(args.config, args.cfg_options)
    model, _ = init_model(cfg, args.checkpoint, check_device(args.device))
    pen = {key: getattr(args, key) for key in ("radius", "thickness", "kpt_thr", "show_ids")}
    # The model's keypoints: a released checkpoint describes them in another way.
    metainfo = model.metainfo.as_dict()
    writer = WRITERS.build({**cfg.writer, "dataset_meta": metainfo, "style": args.style, **pen})
    find_boxes = box_source(args, console)
    if not is_video(args.input):
        return infer_images(model, cfg, writer, find_boxes, args, console)
    video, out_dir = Path(args.input), Path(args.output)
    frames = predict_video(model, cfg, video, find_boxes, writer, out_dir, args.batch_size)
    num = sum(1 for _ in track(frames, "predicting", total=None, console=console))
    print(f"{num} frames done; results are in {out_dir}")
    return 0


if __name__ == "__main__":
    run_main(main)
