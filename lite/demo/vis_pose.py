"""Keypoints of everybody in images, by an exported model; JSON files and pictures.

    python demo/vis_pose.py CHECKPOINT --input photos --det_checkpoint rtmdet.onnx
    python demo/vis_pose.py CHECKPOINT --input photos --det_checkpoint boxes.json

--det_checkpoint is a detector in ONNX format (RTMDet, YOLOX, RF-DETR, Ultralytics), or a JSON file
{"a.jpg": [[x1, y1, x2, y2, score], ...]}; without it an image is one person. Of each image:

    <stem>.json   instance_info: keypoints and keypoint_scores, bbox and bbox_score of everybody
    <stem>.png    people drawn over the image

The exit code is 1 if an image could not be done, which is said, and 2 if nothing could begin.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sapiens_lite.console import (
    LiteError,
    Parser,
    exit_code_of,
    fraction,
    natural,
    positive,
    size_hw_of,
)
from sapiens_lite.detector import BoxesFile, Detector, whole_image
from sapiens_lite.model import open_model
from sapiens_lite.pose import FindBoxes, Pose, flipped_too
from sapiens_lite.work import items_of, run


def main() -> int:
    """Does what the command line says; returns the exit code."""
    parser = Parser(__doc__, what="people", batch_size=8)
    parser.add_argument("--num_keypoints", type=positive, help="that the model must have")
    parser.add_argument("--det_checkpoint", type=Path, help="detector (.onnx), or boxes (.json)")
    parser.add_argument("--det_cat_id", type=natural, help="class of people (0; 1 of COCO's 91)")
    parser.add_argument("--bbox_thr", type=fraction, default=0.3, help="lowest score (0.3)")
    parser.add_argument("--nms_thr", type=fraction, default=0.65, help="largest overlap (0.65)")
    parser.add_argument("--kpt_thr", type=float, default=0.3, help="lowest that is drawn (0.3)")
    parser.add_argument("--radius", type=positive, default=4, help="of a keypoint, pixels (4)")
    parser.add_argument("--thickness", type=positive, default=2, help="of a link, pixels (2)")
    parser.add_argument("--flip", action="store_true", help="predict mirror images as well")
    parser.add_save_format()
    args = parser.parse_args()
    items, out_dir = items_of(args)
    find_boxes: FindBoxes = whole_image
    if args.det_checkpoint is not None and args.det_checkpoint.suffix.lower() == ".json":
        find_boxes = BoxesFile(args.det_checkpoint)
    elif args.det_checkpoint is not None:
        found = Detector(args.det_checkpoint, args.bbox_thr, args.nms_thr, args.det_cat_id)
        find_boxes = found
    size_hw = size_hw_of(args.shape)
    model = open_model(args.checkpoint, "pose", args.device, size_hw, args.fp16, args.batch_size)
    num = model.spec.channels
    if args.num_keypoints not in (None, num):
        raise LiteError(f"{args.checkpoint} has {num} keypoints, not {args.num_keypoints}.")
    if args.flip and not model.spec.keypoints.get("swap"):
        raise LiteError(
            f"{args.checkpoint} does not say which keypoints a mirror exchanges. Leave out --flip."
        )
    look = args.radius, args.thickness, args.kpt_thr, args.save_format
    task = Pose(model.spec, out_dir, find_boxes, *look)
    predict = flipped_too(model, model.spec.keypoints) if args.flip else model
    return run(task, items, out_dir, predict, args)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
