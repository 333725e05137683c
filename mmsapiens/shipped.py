"""Where the configs and scripts of this installation are."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Returns ``configs`` or ``scripts``: within an installed package, else of the repository."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


CONFIGS = folder("configs")
SCRIPTS = folder("scripts")
