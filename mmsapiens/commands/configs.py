"""Configs by name, and the work directory that belongs to one."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsapiens.shipped import CONFIGS

if TYPE_CHECKING:
    from mmengine.config import Config


def load(
    args: argparse.Namespace,
    options: dict[str, Any] | None = None,
    eval_dtype: str | None = None,
) -> Config:
    """Loads the config of a command line with its ``--cfg-options``.

    Args:
        args: Of a parser with :func:`mmsapiens.commands.arguments.add_config`.
        options: Further overrides by dotted key; those of the command line come after them.
        eval_dtype: See :func:`engine.config.load_config`.

    Raises:
        ConfigError: If there is no such config, or something is wrong with it.
    """
    from engine.config import load_config

    options = {**(options or {}), **(args.cfg_options or {})}
    return load_config(find_config(args.config), options, eval_dtype)


def find_config(name: str) -> Path:
    """Returns the file of a config.

    Args:
        name: Of an existing file; or of a shipped config, its path below ``configs/`` or its stem
            if no other has it, with or without ``.py``.

    Raises:
        ConfigError: If there is no such config, or several.
    """
    from engine.errors import ConfigError

    if Path(name).is_file():
        return Path(name)
    wanted = name.removeprefix("configs/").removesuffix(".py")
    shipped = shipped_configs()
    found = [full for full in shipped if wanted in (full, full.rpartition("/")[2])]
    if len(found) == 1:
        return shipped[found[0]]
    if found:
        raise ConfigError(f"{name} is the name of several configs: {' and '.join(found)}.")
    near = difflib.get_close_matches(wanted, shipped, n=3)
    if not near:  # of a bare stem, or of a name without its first folders
        stems = {full.rpartition("/")[2]: full for full in shipped}
        near = [stems[n] for n in difflib.get_close_matches(wanted.rpartition("/")[2], stems, n=3)]
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Shipped configs are in {CONFIGS}."
    raise ConfigError(f"{name}: there is neither such a file nor a config of that name. {hint}")


def shipped_configs() -> dict[str, Path]:
    """Returns the configs that can be run, by names as ``seg/face/sapiens_1b_face-1024x768``."""
    paths = sorted(CONFIGS.rglob("*.py"))
    names = {path.relative_to(CONFIGS).as_posix().removesuffix(".py"): path for path in paths}
    is_part = re.compile(r"_base_/|.*/recipe$").match
    return {name: path for name, path in names.items() if not is_part(name)}


def default_dir(config: str, purpose: str = "") -> Path:
    """Returns the folder below ``work_dirs`` for the results of a config.

    It mirrors the config's path below the shipped configs or the working directory, as configs of
    different tasks share names.

    Args:
        config: As :func:`find_config` takes it.
        purpose: A folder between the two, for results that are not of a run.
    """
    path = find_config(config).resolve()
    for root in (CONFIGS, Path("configs").resolve(), Path.cwd()):
        if path.is_relative_to(root):
            return Path("work_dirs", purpose, path.relative_to(root).with_suffix(""))
    return Path("work_dirs", purpose, path.stem)
