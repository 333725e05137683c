"""Names of a checkpoint's tensors against those of a model, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.errors import WeightsError
from engine.model.wrappers import plain_name

BACKBONE = "backbone."
PATCHES = "patch_embed.projection.weight"
"""Every vision transformer of ours has it."""


class Mismatch(NamedTuple):
    """A tensor of another shape in the file than in the model."""

    key: str
    file_shape: tuple[int, ...]
    model_shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.key} {self.file_shape} in the file, {self.model_shape} in the model"


class Resize(NamedTuple):
    """A position embedding that was resized from one grid (h, w) to another."""

    key: str
    source_hw: tuple[int, int]
    target_hw: tuple[int, int]

    def __str__(self) -> str:
        (h, w), (target_h, target_w) = self.source_hw, self.target_hw
        return f"{self.key} {h}x{w} -> {target_h}x{target_w}"


@dataclass(frozen=True)
class LoadReport:
    """Which tensors were loaded, and which were not. Names are the model's.

    Attributes:
        source: The checkpoint's name.
        matched: Loaded.
        missing: In the model only; left at their initial values.
        unexpected: In the file only; not used.
        mismatched: In both but of different shapes; left at their initial values.
        resized: Position embeddings that were resized; they are among ``matched``.
    """

    source: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    resized: tuple[Resize, ...]

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        lines = [f"Loaded {len(self.matched)} of the model's {total} tensors from {self.source}"]
        for title, items in (
            ("resized", self.resized),
            ("missing in the file, left at their initial values", self.missing),
            ("of another shape, left at their initial values", self.mismatched),
            ("in the file only, not used", self.unexpected),
        ):
            if items:
                lines.append(f"  {title}: {listing(items)}")
        return "\n".join(lines)


def tensors_of(checkpoint: Mapping[str, Any], source: str) -> dict[str, Tensor]:
    """Returns the tensors of a flat or nested checkpoint, without the names of wrappers.

    Raises:
        WeightsError: There are none, or one has no name, one name is of two, or one is not plain.
    """
    content = checkpoint.get("state_dict", checkpoint)
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{source}: its 'state_dict' is a {type(content).__name__}. Expected tensors by name."
        )
    tensors: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(value, Tensor):
            continue
        if not isinstance(key, str):
            raise WeightsError(
                f"{source}: a tensor stands under {key!r:.80} ({type(key).__name__}). Expected "
                "the name that it has in a model."
            )
        is_plain = value.layout == torch.strided and not (value.is_nested or value.is_quantized)
        if not is_plain or value.is_meta:
            raise WeightsError(
                f"{source}: {key} is a sparse, nested, quantized or meta tensor. Expected numbers: "
                "save what .to_dense() or .dequantize() returns."
            )
        name = plain_name(key).removeprefix("module.")
        if name in tensors:
            raise WeightsError(f"{source} holds {name} twice, within a wrapper and without.")
        tensors[name] = value
    if not tensors:
        raise WeightsError(
            f"{source} holds no tensors. Expected them by name, or under 'state_dict'; "
            f"found {listing(f'{key!r:.80}' for key in checkpoint)}."
        )
    return tensors


def rename(
    tensors: Mapping[str, Tensor], model_keys: Collection[str], prefix: str | None, source: str
) -> dict[str, Tensor]:
    """Returns the tensors under the model's names.

    Args:
        tensors: The checkpoint under its own names.
        model_keys: The model's names.
        prefix: Takes only the tensors below this name, and drops it.
        source: The checkpoint's name, for errors.
    """
    if prefix:
        prefix = prefix.rstrip(".") + "."
        chosen = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        if not chosen:
            raise WeightsError(
                f"{source} has no key below prefix={prefix!r}. Its keys begin with "
                f"{beginnings(tensors)}."
            )
        tensors = chosen
    # A backbone's file fits a whole model and the reverse; the spelling that matches most is taken,
    # the file's own if they tie.
    spellings = (
        dict(tensors),
        {key.removeprefix(BACKBONE): value for key, value in tensors.items()},
        {BACKBONE + key: value for key, value in tensors.items()},
    )
    return max(spellings, key=lambda spelling: len(spelling.keys() & set(model_keys)))


def compare(
    model_tensors: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    resized: tuple[Resize, ...],
    source: str,
) -> LoadReport:
    """Compares names and shapes."""
    matched, missing, mismatched = [], [], []
    for key, ours in model_tensors.items():
        if key not in tensors:
            missing.append(key)
        elif tensors[key].shape != ours.shape:
            mismatched.append(Mismatch(key, tuple(tensors[key].shape), tuple(ours.shape)))
        else:
            matched.append(key)
    unexpected = tuple(key for key in tensors if key not in model_tensors)
    return LoadReport(
        source, tuple(matched), tuple(missing), unexpected, tuple(mismatched), resized
    )


def check_complete(report: LoadReport, allow_missing: Sequence[str], difference: str = "") -> None:
    """Requires that every part of the model was loaded in full, but for what may be missing.

    A tensor that only the file has is a problem where the model has that part too: another number
    of layers, say. Whole parts that only the file has (another task's head) are none.

    Args:
        report: What matched.
        allow_missing: See :func:`engine.checkpoint.apply_weights`.
        difference: What is known of the file and the model that may be the reason.

    Raises:
        WeightsError: Lists what does not fit, and what to allow.
    """

    def forbidden(key: str) -> bool:
        return not any(key == a or key.startswith(a.rstrip(".") + ".") for a in allow_missing)

    in_model = (*report.matched, *report.missing, *(item.key for item in report.mismatched))
    parts = {_part(key) for key in in_model}
    missing = [key for key in report.missing if forbidden(key)]
    mismatched = [item for item in report.mismatched if forbidden(item.key)]
    surplus = [key for key in report.unexpected if _part(key) in parts and forbidden(key)]
    if not (missing or mismatched or surplus):
        return
    lines = [f"{report.source} does not fit the model{difference}."]
    for title, items in (
        ("missing in the file", missing),
        ("of another shape", mismatched),
        ("unknown to the model", surplus),
    ):
        if items:
            lines.append(f"  {title}: {listing(items)}")
    advice = "Make the config's model match the file"
    if keys := [*missing, *(item.key for item in mismatched)]:
        advice += (
            ", or leave these tensors at their initial values with the config's top-level "
            f"allow_missing={_to_allow(keys, report.matched)}"
        )
    raise WeightsError("\n".join([*lines, f"{advice}."]))


def _to_allow(keys: Sequence[str], matched: Sequence[str]) -> tuple[str, ...]:
    """The shortest names that cover ``keys``: whole top modules of which nothing matched."""
    loaded = {key.partition(".")[0] for key in matched}
    names = []
    for key in keys:
        top = key.partition(".")[0]
        names.append((key.rpartition(".")[0] or key) if top in loaded else top)
    return tuple(dict.fromkeys(names))


def _part(key: str) -> str:
    """``decode_head`` of a head's tensor; ``backbone.layers`` of a tensor in the backbone."""
    names = key.split(".")
    return ".".join(names[: 2 if key.startswith(BACKBONE) else 1])


def beginnings(keys: Collection[str]) -> str:
    """Returns what the keys begin with, in quotes."""
    tops = dict.fromkeys(key.partition(".")[0] + "." if "." in key else key for key in keys)
    return listing((f'"{top}"' for top in tops), limit=5)


def listing(items: Iterable[object], limit: int = 6) -> str:
    """Returns the items as text, the first few of many and how many there are."""
    texts = [str(item) for item in items]
    if len(texts) <= limit:
        return ", ".join(texts)
    return f"{', '.join(texts[:limit])}, ... ({len(texts)} in all)"
