"""The configs and scripts of this installation, and configs by name."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Returns ``configs`` or ``scripts``: within an installed package, else of the repository."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


CONFIGS = folder("configs")
SCRIPTS = folder("scripts")


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
