"""Evaluates a checkpoint on the config's test set.

python tools/test.py CONFIG CHECKPOINT
python tools/test.py CONFIG CHECKPOINT --out predictions --show-dir pictures
python tools/test.py CONFIG CHECKPOINT --tta    # the mean over mirrored and resized images: slow
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.cli import CfgOptions, run_main
from engine.config import check_data_roots, load_config
from engine.runner import Runner

DEFAULT_TTA = {"model.tta.flip": True, "model.tta.scales": (0.75, 1.0, 1.25)}


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="path of the config")
    parser.add_argument("checkpoint", help="path of the weights")
    parser.add_argument("--work-dir", help="logs go here; default work_dirs/<config name>/test")
    parser.add_argument("--out", metavar="DIR", help="write the predictions as PNGs of labels")
    parser.add_argument("--show-dir", metavar="DIR", help="write image | truth | prediction")
    parser.add_argument(
        "--tta", action="store_true", help="average over views (model.tta; by default six)"
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm"], default="none")
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions, help="override config keys")
    return parser.parse_args()


def main() -> None:
    """Runs the evaluation."""
    args = parse_args()
    options = {**DEFAULT_TTA, **(args.cfg_options or {})} if args.tta else args.cfg_options
    cfg = load_config(args.config, options)
    check_data_roots(cfg, splits=("test",))
    cfg.launcher = args.launcher
    trained_in = cfg.get("work_dir") or Path("work_dirs", Path(args.config).stem)
    cfg.work_dir = args.work_dir or str(Path(trained_in, "test"))  # beside the config that trained
    cfg.load_from, cfg.resume = args.checkpoint, False
    cfg.allow_missing = ()  # what is evaluated must come from the checkpoint
    hooks = [hook for hook in cfg.get("custom_hooks", []) if hook["type"] != "PicturesHook"]
    if args.out:
        hooks.append({"type": "PredictionsHook", "out_dir": args.out})
    if args.show_dir:
        hooks.append({"type": "PicturesHook", "show_dir": args.show_dir})
    cfg.custom_hooks = hooks
    Runner.from_cfg(cfg).test()


if __name__ == "__main__":
    run_main(main)
