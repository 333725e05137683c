"""What an exported file takes and gives: from its metadata, or its name if it is a released one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sapiens_lite.console import LiteError

FORMAT = 1
"""Of the metadata; higher ones are of later versions."""
METADATA = "mmsapiens.json"
TOOLS = {
    "parts": "vis_seg.py",
    "depth": "vis_depth.py",
    "normals": "vis_normal.py",
    "pose": "vis_pose.py",
    "features": "extract_feature.py",
}
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_RELEASED = Path(__file__).with_name("released.json")
_WORDS = {
    "parts": {"seg", "miou"},
    "depth": {"depth"},
    "normals": {"normal"},
    "pose": {"pose", "ap"},
    "features": {"pretrain"},
}
"""In the names of the released files, and their folders: ``seg/checkpoints/sapiens_1b/..``."""


@dataclass(frozen=True)
class Spec:
    """What a model takes and gives.

    Attributes:
        task: A key of :data:`TOOLS`.
        size_hw: Height and width of its input.
        batch: How many images it takes at once; None for any number.
        dtype: Of its weights.
        normalises: Whether it takes uint8, and normalises itself.
        mean: Of red, green, blue, 0 to 255, that is subtracted.
        std: By which is divided.
        channels: Of its output; None if unknown.
        classes: Names of the labels, of parts.
        palette: Their colours, RGB.
        background: The label that is no foreground.
        keypoints: ``name``, ``names``, ``swap``, ``links`` and ``colors``, of pose.
        box_padding: Factor of a person's box.
        torch: The version that made the file, if it says so.
    """

    task: str
    size_hw: tuple[int, int]
    batch: int | None = None
    dtype: str = "float32"
    normalises: bool = False
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    channels: int | None = None
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[int, ...], ...] = ()
    background: int = 0
    keypoints: Mapping[str, Any] = field(default_factory=dict)
    box_padding: float = 1.25
    torch: str = ""


def parse_metadata(text: str, path: Path) -> Spec:
    """Reads the metadata of an exported file.

    Raises:
        LiteError: If they are of a later version, or not complete.
    """
    try:
        found = json.loads(text)
        if found["format"] > FORMAT:
            raise LiteError(
                f"{path} is of version {found['format']} of the exports, made by mmsapiens "
                f"{found.get('mmsapiens')}; this lite/ reads {FORMAT}. Take the lite/ of that "
                "version."
            )
        inputs = found["input"]
        batch = inputs["batch"]
        return Spec(
            task=_known(found["task"]),
            size_hw=(int(inputs["size_hw"][0]), int(inputs["size_hw"][1])),
            batch=None if batch == "dynamic" else int(batch),
            dtype=found["dtype"],
            normalises=inputs["normalise"] == "inside",
            mean=tuple(inputs["mean"]),
            std=tuple(inputs["std"]),
            channels=found["output"]["channels"],
            classes=tuple(found.get("classes") or ()),
            palette=tuple(map(tuple, found.get("palette") or ())),
            background=found.get("background") or 0,
            keypoints=found.get("keypoints") or {},
            box_padding=found.get("box_padding") or 1.25,
            torch=found.get("torch") or "",
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise LiteError(
            f"{path}: its metadata are damaged ({type(error).__name__}: {error}). Export it again."
        ) from error


def _known(task: str) -> str:
    if task not in TOOLS:
        raise ValueError(f"task {task!r}")
    return task


def released_spec(path: Path, channels: int, size_hw: tuple[int, int]) -> Spec:
    """Returns what a file without metadata does, as the released ones are.

    Args:
        path: Its name, or that of its folders, may say the task.
        channels: Of its output.
        size_hw: Of the input that it was tried with.

    Raises:
        LiteError: If name and channels contradict each other, or say nothing.
    """
    known = json.loads(_RELEASED.read_text(encoding="utf-8"))
    number = str(channels)
    tasks = {"1": "depth", "3": "normals"}
    tasks |= dict.fromkeys(known["parts"], "parts") | dict.fromkeys(known["pose"], "pose")
    task = tasks.get(number, "features" if channels >= 256 else None)
    if task is None:
        raise LiteError(
            f"{path} has no metadata, and an output of {channels} channels, which no released "
            "model has. Export it with mmsapiens export, which writes metadata."
        )
    named = named_task(path)
    if named not in (None, task):
        raise LiteError(
            f"{path} is named as a model of {named}, but has {channels} output channels, as one of "
            f"{task}. Is the name right?"
        )
    parts, pose = known["parts"].get(number, {}), known["pose"].get(number, {})
    return Spec(
        task=task,
        size_hw=size_hw,
        channels=channels,
        classes=tuple(parts.get("classes", ())) if task == "parts" else (),
        palette=tuple(map(tuple, parts.get("palette", ()))) if task == "parts" else (),
        keypoints=pose if task == "pose" else {},
    )


def named_task(path: Path) -> str | None:
    """Returns the task that the name of a file says, or its folder before ``checkpoints``."""
    parts = path.absolute().parts
    folder = parts[-4] if parts[-3:-2] == ("checkpoints",) and len(parts) > 3 else ""
    for name in (path.stem, folder):
        said = [task for task, words in _WORDS.items() if words & set(name.lower().split("_"))]
        if len(said) == 1:
            return said[0]
    return None


def check_task(spec: Spec, task: str, path: Path) -> None:
    """Checks that a file is of the tool's task.

    Raises:
        LiteError: If it is not.
    """
    if spec.task != task:
        raise LiteError(
            f"{path} predicts {spec.task}, and {TOOLS[task]} shows {task}. Use {TOOLS[spec.task]}."
        )
