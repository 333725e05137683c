"""Evaluates a checkpoint on the config's test set.

mmsapiens test CONFIG CHECKPOINT
mmsapiens test CONFIG CHECKPOINT --out predictions --show-dir pictures
mmsapiens test CONFIG CHECKPOINT --tta    # the mean over mirrored and resized images: slow
mmsapiens test CONFIG CHECKPOINT --cfg-options model.eval_dtype=bfloat16
mmsapiens test CONFIG exported.onnx       # what `mmsapiens export` wrote

In float32, as published figures are, whatever the precision of the training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmsapiens.commands.arguments import add_flip, add_graph, add_launcher, add_model, view_options
from mmsapiens.commands.configs import default_dir, load

TTA = {"model.test_views.flip": True, "model.test_views.scales": (0.75, 1.0, 1.25)}
"""What --tta overrides."""
PRECISION = "float32"
"""Of the evaluation, unless the config or an option says ``model.eval_dtype``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    add_model(parser)
    parser.add_argument("--work-dir", help="logs; default work_dirs/<the config's path>/test")
    parser.add_argument("--out", metavar="DIR", help="write the predictions as files of labels")
    parser.add_argument("--show-dir", metavar="DIR", help="write image | truth | prediction")
    add_flip(parser)
    parser.add_argument(
        "--tta", action="store_true", help="average over mirrored images of three sizes each"
    )
    add_graph(parser)
    add_launcher(parser)


def run(args: argparse.Namespace) -> None:
    """Runs the evaluation."""
    from engine.launch import group_timeout
    from engine.runner import Runner
    from mmsapiens.evaluation import prepare
    from mmsapiens.export.model import size_option
    from mmsapiens.lost_ranks import ranks_named

    options = {**size_option(args.checkpoint), **view_options(args), **(TTA if args.tta else {})}
    cfg = load(args, options, eval_dtype=PRECISION)
    prepare(cfg, args.checkpoint, args.graph)
    cfg.launcher = args.launcher
    trained_in = cfg.get("work_dir") or default_dir(args.config)
    cfg.work_dir = args.work_dir or str(Path(trained_in, "test"))  # beside the config that trained
    if args.out:
        cfg.custom_hooks.append({"type": "PredictionsHook", "out_dir": args.out})
    if args.show_dir:
        cfg.custom_hooks.append({"type": "PicturesHook", "show_dir": args.show_dir})
    with ranks_named(group_timeout(cfg)):
        Runner.from_cfg(cfg).test()
