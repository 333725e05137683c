"""Surface normals of the people in images, by an exported model; arrays and pictures.

    python demo/vis_normal.py CHECKPOINT --input photos --seg_dir masks --output_root normals

Of each image, <stem>.npy: (H, W, 3) float32 unit vectors, x right, y up, z towards the camera, of
the whole image; and <stem>.png: image and normals, inside the foreground that vis_seg.py wrote to
--seg_dir.

The exit code is 1 if an image could not be done, which is said, and 2 if nothing could begin.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sapiens_lite.console import Parser, exit_code_of, size_hw_of
from sapiens_lite.model import open_model
from sapiens_lite.surface import Surface
from sapiens_lite.work import items_of, run


def main() -> int:
    """Does what the command line says; returns the exit code."""
    parser = Parser(__doc__)
    parser.add_argument("--seg_dir", type=Path, help="foreground masks of the images")
    parser.add_save_format()
    args = parser.parse_args()
    items, out_dir = items_of(args)
    size_hw = size_hw_of(args.shape)
    model = open_model(args.checkpoint, "normals", args.device, size_hw, args.fp16, args.batch_size)
    task = Surface(model.spec, out_dir, args.seg_dir, args.save_format)
    return run(task, items, out_dir, model, args)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
