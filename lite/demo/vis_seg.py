"""Body parts of the people in images, by an exported model; labels, foreground, JSON, pictures.

    python demo/vis_seg.py CHECKPOINT --input photos --output_root results

CHECKPOINT is what mmsapiens export writes, or a released *_torchscript.pt2. Of each image:

    <stem>_result.png   the colours of the parts over the image
    <stem>.npy          (H, W) bool, the foreground, which --seg_dir of the other tools takes
    <stem>_seg.npy      (H, W) uint8 labels
    <stem>.json         labels: the classes that are there; regions: where they are

The exit code is 1 if an image could not be done, which is said, and 2 if nothing could begin.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sapiens_lite.console import LiteError, Parser, exit_code_of, fraction, size_hw_of
from sapiens_lite.model import open_model
from sapiens_lite.parts import Parts
from sapiens_lite.work import items_of, run


def main() -> int:
    """Does what the command line says; returns the exit code."""
    parser = Parser(__doc__)
    parser.add_argument("--opacity", type=fraction, default=0.5, help="of the colours (0.5)")
    parser.add_argument("--title", default="result", help="in the pictures' names (result)")
    parser.add_save_format()
    regions = "how the JSON tells them (polygon)"
    parser.add_argument("--regions", choices=["polygon", "rle"], default="polygon", help=regions)
    args = parser.parse_args()
    if "/" in args.title:
        raise LiteError(f"--title {args.title} is part of a file's name; leave out the slash.")
    items, out_dir = items_of(args)
    size_hw = size_hw_of(args.shape)
    model = open_model(args.checkpoint, "parts", args.device, size_hw, args.fp16, args.batch_size)
    task = Parts(model.spec, out_dir, args.opacity, args.title, args.save_format, args.regions)
    return run(task, items, out_dir, model, args)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
