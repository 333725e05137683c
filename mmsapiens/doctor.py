"""What this installation and this machine are, and what is wrong with them.

Nothing of the other packages is imported at the top: the doctor must start whatever is broken.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import mmsapiens
from mmsapiens.shipped import CONFIGS, PACKAGE, SCRIPTS

REQUIRED = {name: name for name in ("torch", "mmengine", "mmcv", "numpy")} | {"opencv": "cv2"}
"""Modules by the names that people know."""
OURS = ("engine", "pretrain", "seg", "pose")
EXTRAS = {"onnxruntime": "detector", "OpenEXR": "exr", "av": "video"}
"""Optional distributions, and the extra that brings each."""
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


class Finding(NamedTuple):
    """A line of the report; with a cure if something is wrong."""

    name: str
    text: str
    cure: str = ""


def examine() -> Iterator[tuple[str, list[Finding]]]:
    """Yields the sections of the report."""
    for section in (versions, packages, devices, files, extras):
        yield section.__name__.title(), list(section())


def versions() -> Iterator[Finding]:
    """Versions of what must be there; whether it can be imported."""
    yield Finding("Python", platform.python_version())
    yield Finding("mmsapiens", mmsapiens.__version__)
    for name, module in REQUIRED.items():
        try:
            yield Finding(name, importlib.import_module(module).__version__)
        except Exception as error:  # a broken binary raises anything
            cure = "Install it again; the repository's constraints.txt lists tested versions."
            yield Finding(name, f"{type(error).__name__}: {error}", cure)


def packages() -> Iterator[Finding]:
    """Whether the packages found under our names are ours, and whole."""
    for name in OURS:
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != PACKAGE.parent / name:
            cure = (
                f"It hides ours, expected at {PACKAGE.parent / name}: leave or rename that folder, "
                "or uninstall what brought it."
            )
            text = f"{found} is of another project" if found else "not found"
            yield Finding(name, text, cure if found else "Install mmsapiens again.")
            continue
        try:
            importlib.import_module(name)
            yield Finding(name, str(found))
        except Exception as error:  # whatever it is, it is what trainings would meet
            cure = "Mend what it names; if it is a file of ours, install mmsapiens again."
            yield Finding(name, f"{found}: {type(error).__name__}: {error}", cure)


def devices() -> Iterator[Finding]:
    """Processors, GPUs and their memory."""
    flags = _lines("/proc/cpuinfo").get("flags", "").split()
    has = [flag for flag in CPU_FLAGS if flag in flags]
    yield Finding("CPU", f"{os.cpu_count()} cores, {platform.machine()} {' '.join(has)}".rstrip())
    memory = _lines("/proc/meminfo")
    if memory:
        free, total = (int(memory[f"Mem{what}"].split()[0]) for what in ("Available", "Total"))
        yield Finding("memory", f"{_gib(free * 1024)} of {_gib(total * 1024)} free")
    try:
        import torch
    except Exception:  # versions() has said why
        return
    if not torch.cuda.is_available():
        yield Finding("GPU", "none that PyTorch can use; trainings run on the CPU")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        text = f"{torch.cuda.get_device_name(index)}, {_gib(free)} of {_gib(total)} free"
        yield Finding(f"GPU {index}", text)


def _lines(path: str) -> dict[str, str]:
    """What a file of /proc says, by name; of several processors, the last one's."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:  # not Linux
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value for name, _, value in pairs}


def files() -> Iterator[Finding]:
    """Configs and scripts, data and weights."""
    num = sum(1 for _ in CONFIGS.rglob("*.py"))
    cure = "" if num else "Install mmsapiens again: its configs are missing."
    yield Finding("configs", f"{num} files in {CONFIGS}", cure)
    yield Finding("scripts", str(SCRIPTS))
    for variable, default, kind in (
        ("DATA_ROOT", "data", "folders"),
        ("SAPIENS_CHECKPOINT_ROOT", "checkpoints", "weights"),
    ):
        root = Path(os.environ.get(variable, default))
        origin = "" if variable in os.environ else ", the default"
        if root.is_dir():
            if kind == "folders":
                found = sorted(path.name for path in root.iterdir() if path.is_dir())
            else:
                weights = sorted(root.glob("*.pth"))
                found = [f"{path.name} ({_gib(path.stat().st_size)})" for path in weights]
            yield Finding(variable, f"{root}{origin}: {', '.join(found) or f'no {kind}'}")
        elif variable in os.environ:
            cure = f"Set {variable} to the folder that holds the {kind}."
            yield Finding(variable, f"{root}: there is no such folder", cure)
        else:
            yield Finding(variable, f"not set; {root}, the default, is not there")
    try:
        from mmsapiens import hub, zoo
    except Exception:  # packages() has said why
        return
    num = sum(1 for model in zoo.RELEASED.values() if hub.locate(model) or hub.locate(model, True))
    yield Finding(
        "released models", f"{num} of {len(zoo.RELEASED)} there; mmsapiens models lists them"
    )


def extras() -> Iterator[Finding]:
    """What not everyone needs."""
    for name, extra in EXTRAS.items():
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, f'not installed; pip install "mmsapiens[{extra}]"')


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB"
