"""Submits a training, an evaluation or an inference to a Slurm cluster.

    mmsapiens submit train seg/face/sapiens_1b_face-1024x768
    mmsapiens submit train CONFIG --follow --cfg-options train_cfg.max_epochs=50
    mmsapiens submit train CONFIG --dry-run --set gres=gpu:a100:8 --set mail-type=END
    mmsapiens submit test CONFIG CHECKPOINT
    mmsapiens submit infer CONFIG CHECKPOINT --input photos --output results --array 8
    mmsapiens submit follow work_dirs/seg/face/sapiens_1b_face-1024x768

What follows train, test or infer is what that verb takes; the environment says where the job runs:
scripts/slurm.sh lists its variables, docs/clusters.md explains them. The config is resolved now;
later edits change nothing.

A time limit, a preemption, `scontrol requeue` or a lost machine only interrupt a training: it saves
where it can, goes back into the queue, and goes on exactly there. An error of its own ends it, and
is the last line of the log.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsapiens.commands.arguments import natural_int, positive_int
from mmsapiens.commands.configs import default_dir, load

if TYPE_CHECKING:
    from mmsapiens.cluster.job import Job
    from mmsapiens.cluster.settings import Settings

REQUEUES = 10
"""Of an inference or an evaluation, which tells nobody how far it is."""
REST = "what the verb takes; of follow the folder of the results, or of the submission"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Says what the verb takes."""
    add_own(parser)
    parser.add_argument("what", choices=["train", "test", "infer", "follow"])
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="...", help=REST)


def add_own(parser: argparse.ArgumentParser) -> None:
    """Adds the options that may stand anywhere on the command line."""
    parser.add_argument("--dry-run", action="store_true", help="print the batch script")
    parser.add_argument("--follow", action="store_true", help="print the log until the job ends")
    requeues = "stop after so many (no limit while a training gets on; else 10)"
    parser.add_argument("--max-requeues", type=natural_int, metavar="N", help=requeues)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any further option of sbatch, such as gres=gpu:8, nodelist=n1, signal=USR2@600",
    )
    parser.add_argument(
        "--array", type=positive_int, default=1, metavar="N", help="of infer: so many shares"
    )


def split(args: argparse.Namespace) -> tuple[argparse.Namespace, list[str]]:
    """Returns the options of this verb, wherever they stand, and the words of the other one."""
    parser = argparse.ArgumentParser(prog="mmsapiens submit", add_help=False, allow_abbrev=False)
    add_own(parser)
    parser.set_defaults(**{k: v for k, v in vars(args).items() if k not in ("what", "words")})
    return parser.parse_known_args(args.words)


def run(args: argparse.Namespace) -> int:
    """Submits; returns the exit code."""
    own, words = split(args)
    if args.what == "follow":
        return follow_again(words)
    from engine.errors import ConfigError
    from mmsapiens.cli import build_parser
    from mmsapiens.cluster.settings import read_settings

    if {"-h", "--help"} & set(words):
        build_parser("submit").print_help()
    of_verb = build_parser(args.what).parse_args(words)
    if own.array > 1 and args.what != "infer":
        raise ConfigError(f"--array: a {args.what} has no shares; it goes with infer.")
    if own.array > 1 and of_verb.shard:
        raise ConfigError("--array gives each job a --shard of its own: leave one of them out.")
    if getattr(of_verb, "launcher", "none") != "none":
        raise ConfigError("--launcher: the job starts its ranks itself; leave it out.")
    settings = read_settings(os.environ, own.set, single=args.what == "infer")
    take_environment(of_verb, settings, args.what)
    if settings.debug:
        from mmsapiens.cli import command_of

        of_verb.debug = True
        return command_of(args.what).run(of_verb) or 0
    return submit(args.what, of_verb, words, settings, own)


def take_environment(args: argparse.Namespace, settings: Settings, verb: str) -> None:
    """Fills in what the environment says and the command line does not.

    Raises:
        ConfigError: It names two checkpoints to begin with.
    """
    from engine.errors import ConfigError

    if verb != "infer":
        args.work_dir = args.work_dir or settings.output_dir or None
    if verb != "train":
        unread = {
            "LOAD_FROM": settings.load_from,
            "RESUME_FROM": settings.resume_from,
            "TRAIN_BATCH_SIZE_PER_GPU": settings.batch_size,
            "OUTPUT_DIR": settings.output_dir if verb == "infer" else "",
        }
        if names := ", ".join(name for name, value in unread.items() if value):
            print(f"Not for {verb}, and not read: {names}.", file=sys.stderr)
        return
    if settings.batch_size:
        batch_size = {"train_dataloader.batch_size": settings.batch_size}
        args.cfg_options = {**batch_size, **(args.cfg_options or {})}
    if not args.resume and not args.load_from:
        if settings.resume_from and settings.load_from:
            raise ConfigError(
                f"RESUME_FROM={settings.resume_from} and LOAD_FROM={settings.load_from}: a "
                "training begins with one of them. Unset the other."
            )
        args.resume = settings.resume_from or None
        args.load_from = None if args.resume else settings.load_from or None


def submit(
    verb: str,
    args: argparse.Namespace,
    words: Sequence[str],
    settings: Settings,
    own: argparse.Namespace,
) -> int:
    """Freezes the config and puts the job into the queue; returns the exit code.

    Args:
        verb: What the job does.
        args: Of the verb.
        words: The same, as they were typed.
        settings: Of the environment.
        own: The options of this verb.
    """
    from engine.errors import ConfigError
    from mmsapiens.cluster.follow import follow, log_of
    from mmsapiens.cluster.frozen import JOBS, freeze, new_folder
    from mmsapiens.cluster.interpreter import find_python
    from mmsapiens.cluster.slurm import check_there
    from mmsapiens.cluster.submission import executor_of, submit

    python = find_python(settings.conda_env, os.environ)
    prepare = {"train": of_training, "test": of_test, "infer": of_inference}[verb]
    cfg, source, out_dir, options = prepare(args, plain(args, words), own.array)
    if not own.dry_run:
        check_there(settings.options, settings.nodes)
        check_start(args)
    folder = new_folder(out_dir, make=not own.dry_run)
    jobs = jobs_of(verb, folder, options, settings, own)
    executor = executor_of(settings, folder, python)
    if own.dry_run:
        print(executor.script(len(jobs)))
        return 0
    command = ["mmsapiens", "submit", verb, *words]
    freeze(folder, cfg, source, command, python)
    try:
        ids = submit(jobs, executor)
    except ConfigError:
        shutil.rmtree(folder)
        raise
    (folder / JOBS).write_text(json.dumps(ids), encoding="utf-8")
    name = ids[0] if len(ids) == 1 else f"{ids[0].split('_')[0]}, {len(ids)} shares"
    print(f"Submitted job {name}. Log: {log_of(folder, ids[0])}", file=sys.stderr)
    print(f"To follow it: mmsapiens submit follow {shlex.quote(str(folder))}", file=sys.stderr)
    return follow(folder, ids) if own.follow else 0


def check_start(args: argparse.Namespace) -> None:
    """Checks that the checkpoint is there that the job begins with, which may be days from now.

    Raises:
        ConfigError: If it is not.
    """
    from engine.checkpoint.sharded import is_sharded_checkpoint
    from engine.errors import ConfigError

    for name in ("checkpoint", "load_from", "resume"):
        path = getattr(args, name, None)
        if path in (None, "auto") or os.path.isfile(path) or is_sharded_checkpoint(path):
            continue
        raise ConfigError(f"There is no checkpoint {path} (seen from {Path.cwd()}).")


def plain(args: argparse.Namespace, words: Sequence[str]) -> list[str]:
    """Returns the words without config, checkpoint, and what is frozen into the config."""
    from mmsapiens.commands.arguments import CfgOptions

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions)
    rest = parser.parse_known_args(list(words))[1]
    for positional in (args.config, getattr(args, "checkpoint", None)):
        if positional is not None:
            rest.remove(positional)
    return rest


def of_training(args: argparse.Namespace, rest: list[str], num_shares: int) -> Any:
    """Returns config, its path, the folder of the results, and what the job adds to the verb."""
    from engine.errors import ConfigError
    from mmsapiens.preflight.start import check_runs
    from mmsapiens.shipped import find_config

    if args.replay:
        raise ConfigError("--replay runs one batch again: do it here, with mmsapiens train.")
    cfg = load(args, {} if args.seed is None else {"randomness.seed": args.seed})
    check_runs(cfg, "train")
    out_dir = Path(args.work_dir or cfg.get("work_dir") or default_dir(args.config)).absolute()
    begin = ["--load-from", args.load_from] if args.load_from else []
    if args.resume:
        begin = ["--resume"] if args.resume == "auto" else ["--resume", args.resume]
    elsewhere = cfg.default_hooks.get("checkpoint", {}).get("out_dir")
    folders = [out_dir, *([Path(elsewhere, out_dir.name)] if elsewhere else [])]
    debug = ["--debug"] if args.debug else []
    return cfg, str(find_config(args.config)), out_dir, {
        "words": ["--work-dir", str(out_dir), "--launcher", "slurm", *debug],
        "begin": begin,
        "go_on": ["--resume"],
        "checkpoints": [str(folder) for folder in folders],
    }  # fmt: skip


def of_test(args: argparse.Namespace, rest: list[str], num_shares: int) -> Any:
    """Returns the same of an evaluation."""
    from mmsapiens.commands.test import PRECISION
    from mmsapiens.export.model import size_option
    from mmsapiens.shipped import find_config

    # As the verb loads it: what follows from either cannot be said of a resolved config any more.
    cfg = load(args, size_option(args.checkpoint), eval_dtype=PRECISION)
    trained_in = cfg.get("work_dir") or default_dir(args.config)
    out_dir = Path(args.work_dir or Path(trained_in, "test")).absolute()
    words = [args.checkpoint, *rest, "--work-dir", str(out_dir), "--launcher", "slurm"]
    return cfg, str(find_config(args.config)), out_dir, {"words": words}


def of_inference(args: argparse.Namespace, rest: list[str], num_shares: int) -> Any:
    """Returns the same of an inference; a released model is downloaded now, not by each share."""
    from mmsapiens.commands.infer import load_checked
    from mmsapiens.export.model import size_option
    from mmsapiens.sources import find_model

    source = (args.config, args.checkpoint) if args.checkpoint else args.config
    args.config, args.checkpoint = map(str, find_model(source))
    args.shard = args.shard or (num_shares > 1 and (1, num_shares)) or None
    load_checked(args)
    cfg = load(args, size_option(args.checkpoint))
    return cfg, args.config, args.output.absolute(), {"words": [args.checkpoint, *rest]}


def jobs_of(
    verb: str,
    folder: Path,
    options: dict[str, Any],
    settings: Settings,
    own: argparse.Namespace,
) -> list[Job]:
    """Returns the jobs: one, or as many as the array has shares."""
    from mmsapiens.cluster.frozen import CONFIG
    from mmsapiens.cluster.job import Job

    requeues = own.max_requeues
    options = {
        "nodes": settings.nodes,
        "tasks_per_node": settings.tasks_per_node,
        "on_cpu": settings.on_cpu,
        "max_requeues": REQUEUES if requeues is None and verb != "train" else requeues,
        **options,
    }
    words = ["-m", "mmsapiens", verb, str(folder / CONFIG), *options.pop("words")]
    shares = [["--shard", f"{k}/{own.array}"] for k in range(1, own.array + 1)]
    return [
        Job([*words, *(share if own.array > 1 else [])], str(folder), **options) for share in shares
    ]


def follow_again(words: Sequence[str]) -> int:
    """Follows what was submitted before; of a folder of results, the last submission."""
    from engine.errors import ConfigError
    from mmsapiens.cluster.follow import follow
    from mmsapiens.cluster.frozen import FOLDER, JOBS

    if len(words) != 1:
        raise ConfigError(f"submit follow: expected one folder; found {shlex.join(words)!r}.")
    given = Path(words[0])
    found = [given / JOBS] if (given / JOBS).is_file() else sorted(given.glob(f"{FOLDER}/*/{JOBS}"))
    if not found:
        raise ConfigError(f"{given}: nothing was submitted to write there.")
    return follow(found[-1].parent, json.loads(found[-1].read_text(encoding="utf-8")))
