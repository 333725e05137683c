"""The released models of the family, by name: config, files, repository, licence, figure.

Nothing heavy is imported here, so that help and lists come at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import ConfigError, near_miss

if TYPE_CHECKING:
    from engine.checkpoint import Probe

LICENCE = "CC-BY-NC 4.0"
"""Of all released weights: not for products."""
WHOLE_TREE = "facebook/sapiens"
"""The repository that holds the files of most models, in the release's folders."""
_ARCHS = {"0.3b": (1024, 24), "0.6b": (1280, 32), "1b": (1536, 40), "2b": (1920, 48)}
"""embed_dims and num_layers of the sizes."""
_OF_COCO = "noahcao/sapiens-pose-coco"


@dataclass(frozen=True)
class Released:
    """A released model.

    Attributes:
        name: As in ``sapiens-1b-parts``.
        task: pretrain, parts, depth, normal or pose.
        size: Of the backbone: 0.3b, 0.6b, 1b or 2b.
        config: Name of the shipped config, as ``mmsapiens train`` takes it.
        stems: What its file may be called, without ending, the likeliest first.
        repository: Where its ``.pth`` is on the hub.
        torchscript_repository: Where its ``_torchscript.pt2`` is.
        folder: Its place in the release's tree, below ``sapiens_host``.
        num_outputs: Classes, channels or keypoints; None for pretrain.
        licence: Of the weights.
    """

    name: str
    task: str
    size: str
    config: str
    stems: tuple[str, ...]
    repository: str
    torchscript_repository: str
    folder: str
    num_outputs: int | None
    licence: str = LICENCE

    @property
    def figure(self) -> str:
        """The published figure in %, which the file's name tells; empty where it does not."""
        found = re.search(r"_(mIoU|AP)_(\d+)", self.stems[0])
        return f"{found[1]} {found[2][:2]}.{found[2][2:]}" if found else ""


class _Kind(NamedTuple):
    """What the sizes of a model have in common; ``{}`` stands for the size."""

    task: str
    folder: str
    config: str
    stem: str
    """Without what follows it in the names of each size."""
    num_outputs: int | None
    ends: dict[str, tuple[str, ...]]


_KINDS = {
    "pretrain": _Kind(
        "pretrain", "pretrain", "pretrain/features/sapiens_{}_features-1024x1024",
        "sapiens_{}_epoch_", None,
        {
            size: (epoch, f"{epoch}_clean")
            for size, epoch in (("0.3b", "1600"), ("0.6b", "1600"), ("1b", "173"), ("2b", "660"))
        },
    ),
    "parts": _Kind(
        "parts", "seg", "seg/goliath/sapiens_{}_goliath-1024x768",
        "sapiens_{}_goliath_best_goliath_mIoU_", 28,
        {"0.3b": ("7673_epoch_194",), "0.6b": ("7777_epoch_178",), "1b": ("7994_epoch_151",)},
    ),
    "depth": _Kind(
        "depth", "depth", "depth/render_people/sapiens_{}_render_people-1024x768",
        "sapiens_{}_render_people_epoch_", 1,
        {"0.3b": ("100",), "0.6b": ("70",), "1b": ("88",), "2b": ("25",)},
    ),
    "normal": _Kind(
        "normal", "normal", "normal/render_people/sapiens_{}_normal_render_people-1024x768",
        "sapiens_{}_normal_render_people_epoch_", 3,
        {"0.3b": ("66",), "0.6b": ("200",), "1b": ("115",), "2b": ("70",)},
    ),
    "pose-17": _Kind(
        "pose", "pose", "pose/coco/sapiens_{}_coco-1024x768",
        "sapiens_{}_coco_best_coco_AP_", 17,
        {"0.3b": ("796",), "0.6b": ("812",), "1b": ("821",), "2b": ("822",)},
    ),
    "pose-133": _Kind(
        "pose", "pose", "pose/coco_wholebody/sapiens_{}_coco_wholebody-1024x768",
        "sapiens_{}_coco_wholebody_best_coco_wholebody_AP_", 133,
        {"0.3b": ("620",), "0.6b": ("695",), "1b": ("727",), "2b": ("745",)},
    ),
    "pose-308": _Kind(
        "pose", "pose", "pose/goliath/sapiens_{}_goliath-1024x768",
        "sapiens_{}_goliath_best_goliath_AP_", 308,
        {"0.3b": ("573", "575"), "0.6b": ("609", "600"), "1b": ("639", "640")},
    ),
}  # fmt: skip


def _list() -> Iterator[Released]:
    for what, kind in _KINDS.items():
        for size, ends in kind.ends.items():
            repository = f"facebook/sapiens-{kind.folder}-{size}"
            torchscript = f"{repository}-torchscript"
            if what in ("pose-17", "pose-133"):
                repository = torchscript = _OF_COCO
            yield Released(
                name=f"sapiens-{size}-{what}",
                task=kind.task,
                size=size,
                config=kind.config.format(size),
                stems=tuple(kind.stem.format(size) + end for end in ends),
                repository=repository,
                torchscript_repository=torchscript,
                folder=f"{kind.folder}/checkpoints/sapiens_{size}",
                num_outputs=kind.num_outputs,
            )


RELEASED: dict[str, Released] = {released.name: released for released in _list()}
"""All of them, by name."""


def find(name: str) -> Released:
    """Returns the released model of a name.

    Raises:
        ConfigError: There is none; says the nearest one, or all sizes of the task.
    """
    if name in RELEASED:
        return RELEASED[name]
    near = near_miss(name, RELEASED, max_distance=3)
    if near:
        hint = f"Did you mean {near!r}?"
    else:
        hint = f"Names are sapiens-SIZE-WHAT, where WHAT is one of {', '.join(_KINDS)}."
    raise ConfigError(f"There is no released model {name!r}. {hint} `mmsapiens models` lists them.")


def like(probe: Probe) -> Released | None:
    """Returns the released model that has the tensors of a file; None if there is none.

    Args:
        probe: What :func:`engine.checkpoint.probe` says of them.
    """
    found = (
        released
        for released in RELEASED.values()
        if (released.task, released.num_outputs) == (probe.task, probe.num_outputs)
        and _ARCHS[released.size] == probe.arch
    )
    return next(found, None)
