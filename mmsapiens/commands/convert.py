"""Prints what a checkpoint holds, or writes its weights in another form.

    mmsapiens convert work_dirs/mae/epoch_1600.pth
    mmsapiens convert work_dirs/mae/epoch_1600.pth mae_clean.pth --backbone
    mmsapiens convert work_dirs/face/epoch_20.pth face.safetensors
    mmsapiens convert work_dirs/face/epoch_20.dcp face.pth    # a folder of a sharded training
    mmsapiens convert work_dirs/face/epoch_20.pth face.pth --merge    # of a training with adapters

The suffix of TARGET says the format. Weights and meta are kept, the training state (optimizer,
schedules, logs) is not. --backbone writes the backbone alone, to .pth in the flat form of the
released *_clean.pth files; of the meta only what says which model it is goes with it.
--merge makes adapters and the file of their base one plain model, of the base's names.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    parser.add_argument("source", help=".pth, .pt or .safetensors; or a .dcp folder")
    parser.add_argument("target", nargs="?", help="the file to write; without it, only print")
    parser.add_argument("--backbone", action="store_true", help="write the backbone alone")
    parser.add_argument("--merge", action="store_true", help="write base and adapters as one model")
    parser.add_argument("--overwrite", action="store_true", help="replace TARGET if it exists")
    parser.add_argument(
        "--trust", action="store_true", help="let SOURCE run code: only if it is your own"
    )


def run(args: argparse.Namespace) -> None:
    """Prints or converts."""
    from engine.errors import ConfigError
    from mmsapiens.conversion import convert_checkpoint, describe_checkpoint

    if args.target is None:
        if args.backbone or args.merge or args.overwrite:
            raise ConfigError("--backbone, --merge and --overwrite need a TARGET.")
        print(describe_checkpoint(args.source, trust=args.trust))
        return
    dropped = convert_checkpoint(
        args.source,
        args.target,
        backbone_only=args.backbone,
        merge=args.merge,
        overwrite=args.overwrite,
        trust=args.trust,
    )
    print(describe_checkpoint(args.target))
    print(f"\nwritten to {args.target}, without: {', '.join(dropped) or 'nothing'}")
