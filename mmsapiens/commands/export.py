"""Writes a model as a file that runs without this framework, and compares it with the model.

    mmsapiens export sapiens-1b-parts --format onnx --output exported
    mmsapiens export CONFIG CHECKPOINT --format torchscript --output exported
    mmsapiens export CONFIG CHECKPOINT --format pt2 --dtype bfloat16 --output exported
    mmsapiens export CONFIG CHECKPOINT --format pt2 --aot --output exported
    mmsapiens export CONFIG CHECKPOINT --format onnx --normalise inside --batch 4 --output exported

The file is called <checkpoint>_<dtype> and

    torchscript   _torchscript.pt2: runs in any PyTorch, also of C++
    pt2           .pt2: a program of torch.export, for the PyTorch that wrote it; with --aot
                  _aot.pt2: compiled, a cache for this machine's CPU, of batches
    onnx          .onnx: for ONNX Runtime and others; weights above 2 GB in .onnx.data beside it
    safetensors   .safetensors: the weights alone, a checkpoint

It maps images (B, 3, H, W), RGB, of the config's size or --shape, to raw output; what it takes and
gives, it says itself. A fresh process opens it and runs it at two batch sizes, on --images or on
rendered ones; it appears under its name if it computes what the model does.

`mmsapiens infer` and `mmsapiens test` take it in place of a checkpoint.
"""

from __future__ import annotations

import argparse

from mmsapiens.commands.arguments import add_config, positive_int
from mmsapiens.commands.configs import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    add_config(parser)
    parser.add_argument("checkpoint", nargs="?", help="the weights; not of a released model's name")
    formats = ["torchscript", "pt2", "onnx", "safetensors"]
    parser.add_argument("--format", required=True, choices=formats)
    parser.add_argument("--output", required=True, metavar="DIR", help="of the file")
    dtypes = ["float32", "float16", "bfloat16"]
    parser.add_argument("--dtype", choices=dtypes, default="float32", help="of weights, products")
    shape = "of images, height and width; default the config's"
    parser.add_argument("--shape", type=positive_int, nargs=2, metavar=("H", "W"), help=shape)
    batch = "images a batch: dynamic (any number, the default) or a number"
    parser.add_argument("--batch", type=batch_size, metavar="dynamic|N", help=batch)
    parser.add_argument(
        "--normalise",
        choices=["inside", "outside"],
        default="outside",
        help="outside: the file takes (rgb - mean) / std; inside: uint8 pixels",
    )
    parser.add_argument("--aot", action="store_true", help="compile the pt2 for this machine's CPU")
    images = "image, folder, pattern or list to check with; default: rendered people"
    parser.add_argument("--images", metavar="DIR", help=images)
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")


def run(args: argparse.Namespace) -> None:
    """Exports the model, and prints what the comparison says."""
    from mmsapiens.export.write import Options, export
    from mmsapiens.sources import find_model

    source = (args.config, args.checkpoint) if args.checkpoint else args.config
    args.config, checkpoint = map(str, find_model(source))
    cfg = load(args, {"input_size_hw": tuple(args.shape)} if args.shape else {})
    options = Options(args.format, args.dtype, args.batch, args.normalise, args.aot)
    found = export(
        cfg, checkpoint, args.output, options, images=args.images, overwrite=args.overwrite
    )
    opset = f"opset {found.metadata['opset']}, " if "opset" in found.metadata else ""
    print(f"{found.path}: {found.num_bytes / 2**20:.1f} MiB, {opset}{found.comparison}")
    if args.aot:
        print("A cache for this machine: another CPU or PyTorch may not run it. Keep another form.")


def batch_size(text: str) -> int | None:
    """Reads ``dynamic`` or a number; for argparse's ``type``."""
    return None if text == "dynamic" else positive_int(text)
