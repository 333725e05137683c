"""Reads the whole dataset of a config and reports what is wrong with it.

    mmsapiens check CONFIG
    mmsapiens check CONFIG --split train --max-samples 1000 --num-workers 8
    mmsapiens check CONFIG --allow left-right-swapped    # people seen from behind

Writes report.json and contact_sheet.png. Exits with 0 if there is no fault, and 1 if there is one;
notes, such as grey images, are no faults.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmsapiens.commands.arguments import SPLITS, add_config, natural_int, positive_int
from mmsapiens.commands.configs import default_dir, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    add_config(parser)
    parser.add_argument("--split", choices=[*SPLITS, "all"], default="all")
    parser.add_argument("--out", type=Path, help="default work_dirs/check/<the config's path>")
    parser.add_argument(
        "--num-workers",
        type=natural_int,
        default=min(os.cpu_count() or 1, 16),
        help="processes; 0 reads in this one; default: one a core, at most 16",
    )
    parser.add_argument("--max-samples", type=positive_int, help="a split, evenly spread")
    parser.add_argument("--num-pictures", type=natural_int, default=24, help="on the contact sheet")
    parser.add_argument(
        "--allow", nargs="+", default=[], metavar="KIND", help="kinds of faults to report as notes"
    )


def run(args: argparse.Namespace) -> int:
    """Checks the dataset; returns the exit code."""
    from rich.console import Console
    from rich.progress import track

    from engine.image_files import write_rgb
    from mmsapiens import preflight

    cfg = load(args)
    out_dir = args.out or default_dir(args.config, "check")
    items, metainfos, findings = preflight.list_records(cfg, args.split, args.max_samples)
    metainfo = next(iter(metainfos.values()))
    scanned = preflight.scan(items, preflight.CHECKS, metainfos, args.num_workers)
    readings = list(track(scanned, "reading", total=len(items), console=Console(stderr=True)))
    # Some samples do not tell what occurs in none.
    allow = [*args.allow, *(["absent-class"] if args.max_samples else [])]
    report = preflight.make_report(preflight.CHECKS, metainfo, readings, findings, allow)
    out_dir.mkdir(parents=True, exist_ok=True)
    report.write_json(out_dir / "report.json")
    chosen = preflight.choose_items(items, report.findings, args.num_pictures)
    if chosen:
        draw = preflight.build_draw(cfg, metainfo)
        sheet = preflight.draw_contact_sheet(chosen, preflight.CHECKS, metainfos, draw)
        write_rgb(out_dir / "contact_sheet.png", sheet)
    console = Console()
    console.print(report.render(), crop=False)
    console.print(f"written to {out_dir}", soft_wrap=True)
    return 1 if report.num_faults else 0
