"""Questions to Slurm, and what it says in sentences."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import ConfigError, near_miss

_GONE = re.compile(r"down|drain|fail|maint|unk|power|\*$")
"""States of nodes that take no jobs; a star is one that does not answer."""


def ask(*words: str) -> str:
    """Runs a program of Slurm and returns what it prints.

    Raises:
        ConfigError: If it is not there, or says no.
    """
    _check_is_here(words[0])
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(refusal(words[0], done.stderr))
    return done.stdout


def _check_is_here(program: str) -> None:
    if shutil.which(program) is None:
        raise ConfigError(
            f"There is no {program} here: jobs are submitted on a login node of a Slurm cluster. "
            "scripts/node.sh trains on this machine; --dry-run prints the batch script."
        )


def refusal(program: str, said: str) -> str:
    """Returns what a program of Slurm says when it refuses, in one sentence."""
    lines = [re.sub(r"^\w+: (error: )?", "", line) for line in said.strip().splitlines()]
    text = "; ".join(dict.fromkeys(line for line in lines if line)) or "it says nothing"
    return f"Slurm refuses ({program}): {text}."


def this_node() -> str:
    """Returns the name that Slurm has for this machine, or its own."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def state_of(job_id: str) -> tuple[str, str] | None:
    """Returns the state of a job, as RUNNING, and why it waits.

    Returns:
        ("", "") if it has left the queue; None if Slurm does not answer.

    Raises:
        ConfigError: There is no Slurm to ask.
    """
    _check_is_here("squeue")
    words = ["squeue", "--noheader", "--jobs", job_id, "--format", "%T|%r"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode and "Invalid job id" not in done.stderr:
        return None
    line = (done.stdout.strip().splitlines() or ["|"])[0]
    state, _, reason = line.partition("|")
    return state, reason


def requeue(job_id: str) -> None:
    """Puts a running job back into the queue.

    Raises:
        ConfigError: If Slurm does not.
    """
    ask("scontrol", "requeue", job_id)


def check_there(options: Mapping[str, Any], num_nodes: int) -> None:
    """Checks that jobs are taken here, the partition is one, and enough of its nodes answer.

    Args:
        options: Of sbatch, with underscores: ``partition`` and ``nodelist`` count.
        num_nodes: How many the job needs.

    Raises:
        ConfigError: If not; else the job would wait for ever.
    """
    ask("sbatch", "--version")
    states: dict[str, dict[str, str]] = {}
    default = ""
    for line in ask("sinfo", "--noheader", "--Node", "--format", "%P|%N|%T").splitlines():
        name, node, state = line.strip().split("|")
        default = name.rstrip("*") if name.endswith("*") else default
        states.setdefault(name.rstrip("*"), {})[node] = state
    usual = os.environ.get("SBATCH_PARTITION") or default
    wanted = str(options.get("partition") or usual).split(",")
    for name in wanted:
        if name and name not in states:
            near = near_miss(name, states)
            hint = f' Did you mean "{near}"?' if near else ""
            raise ConfigError(
                f"PARTITION={name}: there is no such partition.{hint} There are: "
                f"{', '.join(sorted(states))}."
            )
    nodes = {node: state for name in wanted for node, state in states.get(name, {}).items()}
    gone = {node: state for node, state in nodes.items() if _GONE.search(state.lower())}
    names = _expand(str(options["nodelist"])) if options.get("nodelist") else []
    for node in names:
        if node not in nodes:
            raise ConfigError(
                f"--set nodelist={options['nodelist']}: there is no node {node} in partition "
                f"{' or '.join(wanted)}; its nodes are {_listed(sorted(nodes))}."
            )
        if node in gone:
            raise ConfigError(
                f"Node {node} of --set nodelist={options['nodelist']} cannot be reached: Slurm "
                f"says {gone[node]}. Choose another."
            )
    if nodes and len(nodes) - len(gone) < num_nodes:
        missing = _listed([f"{node} ({state})" for node, state in sorted(gone.items())])
        raise ConfigError(
            f"NUM_NODES={num_nodes}: partition {' or '.join(wanted)} has {len(nodes)} nodes"
            + (f", of which these cannot be reached: {missing}" if gone else "")
            + ". Ask for fewer, or name another PARTITION."
        )


def _expand(nodelist: str) -> list[str]:
    return ask("scontrol", "show", "hostnames", nodelist).split()


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
