"""Imports point one way: tools -> mmsapiens -> seg, pose -> pretrain -> engine."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "engine": set(),
    "pretrain": {"engine"},
    "seg": {"engine", "pretrain"},
    "pose": {"engine", "pretrain"},
    "mmsapiens": {"engine", "pretrain", "seg", "pose"},
    "tools": {"mmsapiens"},
    "lite": set(),
}
# Within mmsapiens the commands stand above the rest.
ROOMS = {
    "mmsapiens.synthetic": {"mmsapiens.processes"},
    "mmsapiens.preflight": {"mmsapiens.processes", "mmsapiens.synthetic"},
    "mmsapiens.benchmarks": {"mmsapiens.evaluation", "mmsapiens.export", "mmsapiens.synthetic"},
    "mmsapiens.evaluation": {"mmsapiens.export", "mmsapiens.preflight"},
    "mmsapiens.conversion": set(),
    "mmsapiens.export": {"mmsapiens.shipped", "mmsapiens.synthetic", "mmsapiens.zoo"},
    "mmsapiens.doctor": {"mmsapiens.shipped", "mmsapiens.hub", "mmsapiens.zoo"},
    "mmsapiens.hub": {"mmsapiens.zoo"},
    "mmsapiens.predictors": {"mmsapiens.export", "mmsapiens.sources"},
    "mmsapiens.processes": set(),
    "mmsapiens.shipped": set(),
    "mmsapiens.sources": {
        "mmsapiens.export",
        "mmsapiens.hub",
        "mmsapiens.shipped",
        "mmsapiens.zoo",
    },
    "mmsapiens.zoo": set(),
}


def imports(path):
    """The modules that a file imports, relative ones by their full names, wherever it does."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_stands_below(package):
    allowed = MAY_IMPORT[package] | {package}
    for path in (ROOT / package).rglob("*.py"):
        tops = {name.partition(".")[0] for name in imports(path)} & MAY_IMPORT.keys()
        assert tops <= allowed, f"{path.relative_to(ROOT)} imports {tops - allowed}"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_mmsapiens_import_only_what_stands_below(room):
    place = ROOT / room.replace(".", "/")
    files = list(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    assert files
    for path in files:
        for name in imports(path):
            if name.startswith("mmsapiens."):
                target = ".".join(name.split(".")[:2])
                assert target in ROOMS[room] | {room}, f"{path.relative_to(ROOT)} imports {name}"
