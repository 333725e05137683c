"""Trains a config.

    mmsapiens train seg/face/sapiens_1b_face-1024x768
    mmsapiens train CONFIG --resume                    # go on where the work dir stopped
    mmsapiens train CONFIG --cfg-options train_dataloader.batch_size=4

Several GPUs: scripts/node.sh CONFIG.
"""

from __future__ import annotations

import argparse

from engine.signals import stop_before_training
from mmsapiens.commands.arguments import add_config, add_launcher
from mmsapiens.commands.configs import default_dir, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    add_config(parser)
    parser.add_argument("--work-dir", help="results; default work_dirs/<the config's path>")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="go on from this checkpoint, or without a path from the last one of the work dir",
    )
    start.add_argument("--load-from", help="start from the weights of this checkpoint")
    parser.add_argument(
        "--replay", metavar="FILE", help="run a saved nan_batch.pth again and report, then stop"
    )
    parser.add_argument("--seed", type=int, help="seed of the run; default: the config's")
    parser.add_argument(
        "--debug", action="store_true", help="no workers and batch 1, so that breakpoint() works"
    )
    add_launcher(parser)


def run(args: argparse.Namespace) -> None:
    """Runs the training."""
    stop_before_training()
    from engine.launch import group_timeout
    from engine.model.wrappers import unwrap
    from engine.replay import replay
    from engine.runner import Runner
    from mmsapiens.lost_ranks import ranks_named
    from mmsapiens.preflight.start import check_data_roots, check_runs, check_weights_exist

    cfg = load(args, {} if args.seed is None else {"randomness.seed": args.seed})
    check_runs(cfg, "train")
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or str(default_dir(args.config))
    if args.debug:
        for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
            if cfg.get(name):
                cfg[name].update(num_workers=0, persistent_workers=False)
        cfg.train_dataloader.batch_size = 1
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume
    elif args.load_from:
        cfg.resume = False
        cfg.load_from = args.load_from
    if args.replay:
        runner = Runner.from_cfg(cfg)
        wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        print(replay(unwrap(runner.model), wrapper, args.replay))
        return
    check_data_roots(cfg)
    check_weights_exist(cfg)
    with ranks_named(group_timeout(cfg)):
        Runner.from_cfg(cfg).train()
