"""The config of a command line, and the work directory that belongs to one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmsapiens.shipped import CONFIGS, find_config

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
