"""Measures parts of a training run.

python tools/benchmark.py data configs/seg/face/sapiens_1b_face-1024x768.py
python tools/benchmark.py model configs/seg/face/sapiens_1b_face-1024x768.py --compare
python tools/benchmark.py mask configs/pretrain/humans/mae_sapiens_0.3b_humans-1024x1024.py
python tools/benchmark.py pose configs/pose/goliath/sapiens_1b_goliath-1024x768.py
"""

from __future__ import annotations

import argparse

from engine.cli import CfgOptions, run_main
from mmsapiens.benchmarks import data, model
from pose import benchmark as pose
from pretrain import benchmark as mask

BENCHMARKS = {"data": data, "model": model, "mask": mask, "pose": pose}
"""Sub-command -> module with ``add_arguments(parser)`` and ``run(args)``."""


def main() -> None:
    """Parses the command line and runs one benchmark."""
    parser = argparse.ArgumentParser(description="Measure parts of a training run.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in BENCHMARKS.items():
        command = commands.add_parser(name, help=module.__doc__)
        command.add_argument("config", help="config file")
        command.add_argument(
            "--cfg-options", nargs="+", action=CfgOptions, help="override settings: key=value"
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    run_main(main)
