"""Trains a config.

    python tools/train.py configs/seg/face/sapiens_1b_face-1024x768.py
    python tools/train.py CONFIG --resume                    # go on where the work dir stopped
    python tools/train.py CONFIG --cfg-options train_dataloader.batch_size=4

Several GPUs: scripts/node.sh CONFIG.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import Config

from engine.cli import CfgOptions, run_main
from engine.config import check_data_roots, check_weights_exist, load_config
from engine.replay import replay
from engine.runner import Runner


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of the config")
    parser.add_argument("--work-dir", help="results go here; default work_dirs/<config name>")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="go on from this checkpoint, or without a path from the last one of the work dir",
    )
    parser.add_argument("--load-from", help="start from the weights of this checkpoint")
    parser.add_argument(
        "--replay", metavar="FILE", help="run a saved nan_batch.pth again and report, then stop"
    )
    parser.add_argument("--seed", type=int, help="seed of the run; default: the config's")
    parser.add_argument(
        "--debug", action="store_true", help="no workers and batch 1, so that breakpoint() works"
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm"], default="none")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=CfgOptions,
        help="override config keys: key=value, key.sub=value, key=[a,b], key.0.sub=value",
    )
    args = parser.parse_args()
    if args.resume and args.load_from:
        parser.error("--resume restores the whole state and --load-from only weights; give one.")
    return args


def apply_args(cfg: Config, args: argparse.Namespace) -> None:
    """Writes the command line into the config."""
    cfg.launcher = args.launcher
    default_dir = Path("work_dirs", Path(args.config).stem)
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or str(default_dir)
    if args.seed is not None:
        cfg.randomness = {**cfg.get("randomness", {}), "seed": args.seed}
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


def main() -> None:
    """Runs the training."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    apply_args(cfg, args)
    if not args.replay:
        check_data_roots(cfg)
        check_weights_exist(cfg)
    runner = Runner.from_cfg(cfg)
    if args.replay:
        print(replay(runner, args.replay))
    else:
        runner.train()


if __name__ == "__main__":
    run_main(main)
