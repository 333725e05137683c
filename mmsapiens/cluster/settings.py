"""What the environment says of a job: scripts/slurm.sh lists the variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.errors import ConfigError, collect

TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<a>\d+)(?::(?P<b>\d+))?(?::(?P<c>\d+))?")
OF_SUBMITIT = ("output", "error", "open_mode", "array", "requeue", "no_requeue", "parsable", "wrap")
"""Options of sbatch on which the job relies."""
OF_VARIABLES = {
    "nodes": "NUM_NODES",
    "ntasks": "NUM_NODES and GPUS_PER_NODE",
    "ntasks_per_node": "GPUS_PER_NODE, or TASKS_PER_NODE with DEVICES=cpu,",
}
"""Options of sbatch that the job must know, and what says them."""
SIGNAL = re.compile(r"(R:)?(SIG)?(USR2|TERM)(@\d+)?")
"""Before a time limit: one that ranks save on, and not to the batch script alone."""
OTHER_GPUS = ("gpus", "gpus_per_task", "gpus_per_socket", "tres_per_task")
"""Options of sbatch that ask for GPUs in another way."""
PLAIN = ("MEM", "PARTITION", "ACCOUNT", "QOS", "CONSTRAINT", "EXCLUDE")
"""Variables that are options of sbatch as they stand."""


class Settings(NamedTuple):
    """Where a job runs, and what it is to do there.

    Args:
        nodes: How many machines.
        tasks_per_node: Ranks on each.
        on_cpu: Whether they use no GPU.
        time_min: Time limit in minutes; None for the partition's.
        options: Of sbatch, by name with underscores.
        conda_env: Name or path of the environment; "" for that which submits.
        debug: Whether it runs here, in one process.
        output_dir: Of the results; "" for the default, as the next two.
        resume_from: Checkpoint to go on from, or "auto".
        load_from: Checkpoint whose weights to start from.
        batch_size: A process; None for the config's.
    """

    nodes: int
    tasks_per_node: int
    on_cpu: bool
    time_min: int | None
    options: dict[str, Any]
    conda_env: str
    debug: bool
    output_dir: str
    resume_from: str
    load_from: str
    batch_size: int | None


def read_settings(
    environ: Mapping[str, str], pairs: Sequence[str] = (), single: bool = False
) -> Settings:
    """Reads the variables; one that is empty is one that is not set.

    Args:
        environ: The environment.
        pairs: ``key=value`` of any further option of sbatch; ``key`` alone is a flag.
        single: Whether the job is one process, as a share of an inference is.

    Raises:
        ConfigError: For all that cannot be, at once.
    """
    errors: list[str] = []
    given = {name: value for name, value in environ.items() if value}
    on_cpu = not environ.get("DEVICES", "all") or given.get("DEVICES") == "cpu"
    if given.get("DEVICES", "cpu") != "cpu":
        errors.append(
            f"DEVICES={given['DEVICES']}: Slurm chooses the devices; expected cpu, or nothing. "
            "GPUS_PER_NODE says how many GPUs of a node."
        )
    if "TASKS_PER_NODE" in given and not on_cpu:
        errors.append(
            "TASKS_PER_NODE goes with DEVICES=cpu; on GPUs there is a process for each of "
            "GPUS_PER_NODE."
        )
    counts = {"NUM_NODES": 4, "GPUS_PER_NODE": 8, "TASKS_PER_NODE": 1, "CPUS_PER_TASK": 0}
    if single:
        counts |= {"NUM_NODES": 1, "GPUS_PER_NODE": 1}
        given = {**given, "NUM_NODES": "1", "GPUS_PER_NODE": "1", "TASKS_PER_NODE": "1"}
    counts["TRAIN_BATCH_SIZE_PER_GPU"] = 0
    for name in counts:
        if name in given and collect(errors, _check_count, name, given[name]):
            counts[name] = int(given[name])
    mode = given.get("MODE", given.get("mode", "multi-gpu"))
    if mode not in ("multi-gpu", "debug"):
        errors.append(f"MODE={mode}: expected multi-gpu or debug.")
    time_min = None
    if "TIME" in given and collect(errors, minutes, given["TIME"]):
        time_min = minutes(given["TIME"])
    options: dict[str, Any] = {name.lower(): given[name] for name in PLAIN if name in given}
    options["job_name"] = given.get("JOB_NAME", "mmsapiens")
    if counts["CPUS_PER_TASK"]:
        options["cpus_per_task"] = counts["CPUS_PER_TASK"]
    for pair in pairs:
        if collect(errors, _option, pair):
            options.update([_option(pair)])
    if not on_cpu:
        collect(errors, _ask_for_gpus, options, counts["GPUS_PER_NODE"])
    if errors:
        raise ConfigError(*errors)
    return Settings(
        nodes=counts["NUM_NODES"],
        tasks_per_node=counts["TASKS_PER_NODE" if on_cpu else "GPUS_PER_NODE"],
        on_cpu=on_cpu,
        time_min=time_min,
        options=options,
        conda_env=given.get("CONDA_ENV", ""),
        debug=mode == "debug",
        output_dir=given.get("OUTPUT_DIR", ""),
        resume_from=given.get("RESUME_FROM", ""),
        load_from=given.get("LOAD_FROM", ""),
        batch_size=counts["TRAIN_BATCH_SIZE_PER_GPU"] or None,
    )


def minutes(text: str) -> int:
    """Reads a time limit in any form that Slurm knows; begun minutes count.

    Raises:
        ConfigError: If it is none.
    """
    match = TIME.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"TIME={text}: expected minutes, MM:SS, HH:MM:SS, or D-HH, D-HH:MM, D-HH:MM:SS as in "
            "7-00:00:00."
        )
    parts = [int(match[name]) for name in "abc" if match[name] is not None]
    if match["days"] is not None:
        hours, mins, seconds = [*parts, 0, 0][:3]
        total = (int(match["days"]) * 24 + hours) * 3600 + mins * 60 + seconds
    elif len(parts) == 3:
        total = parts[0] * 3600 + parts[1] * 60 + parts[2]
    else:
        total = parts[0] * 60 + (parts[1] if len(parts) > 1 else 0)
    if not total:
        raise ConfigError(f"TIME={text}: a job needs more than no time.")
    return -(-total // 60)


def _check_count(name: str, text: str) -> None:
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"{name}={text}: expected a whole number, at least 1.")


def _option(pair: str) -> tuple[str, Any]:
    key, equals, value = pair.partition("=")
    name = key.strip().lstrip("-").replace("-", "_")
    if not name:
        raise ConfigError(f"--set {pair}: expected key=value, an option of sbatch.")
    if name in OF_SUBMITIT:
        raise ConfigError(f"--set {pair}: the job sets {name} itself, and relies on it.")
    if name in OF_VARIABLES:
        raise ConfigError(f"--set {pair}: {OF_VARIABLES[name]} says this, and the ranks with it.")
    if name == "signal" and not SIGNAL.fullmatch(value):
        raise ConfigError(f"--set {pair}: ranks save on USR2 or TERM; expected such as USR2@600.")
    return name, value if equals else True


def _ask_for_gpus(options: dict[str, Any], num: int) -> None:
    """Asks for GPUs, unless the options do: Slurm refuses a number twice, with a type and without.

    Raises:
        ConfigError: If they ask for another number on a node.
    """
    gres = str(options.get("gres", "")).split(",")
    asks = [("gres", part) for part in gres if part.split(":")[0] in ("gpu", "gres/gpu")]
    if "gpus_per_node" in options:
        asks.append(("gpus_per_node", str(options["gpus_per_node"])))
    for name, value in asks:
        if _last_number(value) != num:
            raise ConfigError(
                f"--set {name}={value}: there is a process for each of GPUS_PER_NODE, which is "
                f"{num}. Set it to {_last_number(value)}, too."
            )
    if not asks and not any(name in options for name in OTHER_GPUS):
        options["gpus_per_node"] = num


def _last_number(text: str) -> int:
    number = text.split(":")[-1]
    return int(number) if number.isdecimal() else 1
