"""Says what a checkpoint that does not match looks like, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from engine.adapters import is_adapter
from engine.checkpoint.match import BACKBONE, PATCHES, LoadReport, beginnings, listing
from engine.checkpoint.meta import find_backbone
from engine.checkpoint.probing import probe
from engine.errors import WeightsError

_MIN_MATCH = 0.9  # least share of the backbone's tensors


def check_backbone(
    model: nn.Module, file_tensors: Mapping[str, Tensor], report: LoadReport
) -> None:
    """Requires that most of the backbone was matched; a few odd tensors are listed elsewhere.

    Args:
        model: A backbone, or a model with one.
        file_tensors: The checkpoint under its own names.
        report: What matched.

    Raises:
        WeightsError: Says what the file looks like and what to do.
    """
    keys = [key for key in model.state_dict(keep_vars=True) if not is_adapter(key)]
    backbone = {key for key in keys if key.startswith(BACKBONE)} or set(keys)
    matched = len(backbone.intersection(report.matched))
    if matched < _MIN_MATCH * len(backbone):
        raise WeightsError(
            f"{report.source} matches {matched} of {len(backbone)} tensors of the backbone. Its "
            f"keys begin with {beginnings(file_tensors)}; {_guess(model, file_tensors, report)}"
        )


def other_task(model_tensors: Mapping[str, Tensor], file_tensors: Mapping[str, Tensor]) -> str:
    """Returns what tells the file's task from the model's, as the end of a sentence; or nothing."""
    ours, theirs = probe(model_tensors), probe(file_tensors)
    if not ours or not theirs or str(ours) == str(theirs) or ours.num_outputs is None:
        return ""
    return f": it looks like {theirs}, and the model is one of {ours}"


def _guess(model: nn.Module, tensors: Mapping[str, Tensor], report: LoadReport) -> str:
    patches = [key for key in tensors if key.endswith(PATCHES)]
    if not patches:
        if any(re.search(r"(^|\.)blocks\.\d+\.", key) for key in tensors):
            return (
                "this looks like a ViT of timm, DINO or facebook/mae, whose layout is another: "
                "use weights in the layout of Sapiens."
            )
        return "this does not look like a Sapiens backbone: use weights of one."

    prefix = patches[0].removesuffix(PATCHES)
    probed = probe(tensors)
    theirs = probed.arch if probed else (0, 0)
    backbone = find_backbone(model)
    looks_like = f"this looks like {_kind(tensors)} with {_describe(theirs, backbone)}"
    ours = (backbone.embed_dims, backbone.num_layers) if backbone is not None else None
    if ours not in (None, theirs):
        return (
            f"{looks_like}, but the model has {_describe(ours, backbone)}: set the backbone's arch "
            "to the file's, or give weights of the model's."
        )
    if prefix not in ("", BACKBONE):
        return f"{looks_like} below another name: pass prefix={prefix!r}."
    differences = listing([*report.mismatched, *report.missing], limit=2)
    return f"{looks_like}, but not as the model has it: compare {differences}."


def _kind(tensors: Mapping[str, Tensor]) -> str:
    tops = {key.partition(".")[0] for key in tensors}
    if "neck" in tops:
        return "a full MAE checkpoint"
    probed = probe(tensors)
    return f"a model of {probed}" if probed and probed.num_outputs else "a backbone"


def _describe(arch: tuple[int, int], backbone: nn.Module | None) -> str:
    known = getattr(backbone, "ARCHS", {})
    names = [n for n, a in known.items() if (a["embed_dims"], a["num_layers"]) == arch]
    name = f" (sapiens_{names[0]})" if names else ""
    return f"embed_dims {arch[0]} and {arch[1]} layers{name}"
