"""Features of images by an exported backbone: <stem>.npy, (C, h, w) float32, of each image.

    python demo/extract_feature.py CHECKPOINT --input photos --output_root features

The exit code is 1 if an image could not be done, which is said, and 2 if nothing could begin.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sapiens_lite.console import Parser, exit_code_of, size_hw_of
from sapiens_lite.features import Features
from sapiens_lite.model import open_model
from sapiens_lite.work import items_of, run


def main() -> int:
    """Does what the command line says; returns the exit code."""
    args = Parser(__doc__, shape="1024 1024").parse_args()
    items, out_dir = items_of(args)
    size_hw = size_hw_of(args.shape)
    model = open_model(
        args.checkpoint, "features", args.device, size_hw, args.fp16, args.batch_size
    )
    return run(Features(model.spec, out_dir), items, out_dir, model, args)


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
