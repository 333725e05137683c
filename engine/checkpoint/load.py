"""Loads a checkpoint's weights into a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from engine.adapters import is_adapter
from engine.checkpoint.adapted import read_whole
from engine.checkpoint.diagnose import check_backbone, other_task
from engine.checkpoint.match import LoadReport, check_complete, compare, rename, tensors_of
from engine.checkpoint.meta import check_patch_padding, grid_of, meta_of
from engine.checkpoint.pos_embed import fit_pos_embed
from engine.checkpoint.values import check_finite, check_kinds
from engine.errors import WeightsError
from engine.model.wrappers import unwrap


def load_weights(
    model: nn.Module,
    path: str | Path,
    *,
    trust: bool = False,
    **options: Any,
) -> LoadReport:
    """Reads a checkpoint and loads its weights into the model.

    Args:
        model: See :func:`apply_weights`.
        path: A file that :func:`read_checkpoint` reads.
        trust: Whether the file may run code; see :func:`read_checkpoint`.
        **options: Further arguments of :func:`apply_weights`.

    Returns:
        What was loaded and what was not.

    Raises:
        WeightsError: The file cannot be read or does not fit.
    """
    return apply_weights(model, read_whole(path, trust=trust), source=path, **options)


def apply_weights(
    model: nn.Module,
    checkpoint: Mapping[str, Any],
    *,
    source: str | Path = "the checkpoint",
    prefix: str | None = None,
    allow_missing: str | Sequence[str] = (),
    allow_patch_padding_change: bool = False,
    assign: bool = False,
) -> LoadReport:
    """Loads the weights of a checkpoint that was read into the model.

    Names may carry ``module.`` or ``_orig_mod.``, and ``backbone.`` or not: the file of a backbone
    fits a whole model and the reverse. Position embeddings are resized to the model's grid. Nothing
    is loaded unless all is well.

    Args:
        model: A backbone, or a model with one as ``backbone``; possibly wrapped for data-parallel
            training.
        checkpoint: Tensors by name, or a dict with ``state_dict`` and, perhaps, ``meta``.
        source: The checkpoint's name, for errors and the log.
        prefix: Takes only the tensors below this name.
        allow_missing: Names of the model's parts (``"decode_head"``, ``"decode_head.conv_seg"``)
            that may be missing in the file, or be of other layers or shapes there: what does not
            fit keeps its values.
        allow_patch_padding_change: Whether the file may be of another patch padding.
        assign: Whether the model takes the tensors themselves, which may be mapped to the file, in
            place of copies: for models that are not trained.

    Returns:
        What was loaded and what was not; it is logged as well.

    Raises:
        WeightsError: The checkpoint does not fit.
    """
    model, source = unwrap(model), str(source)
    allow_missing = (allow_missing,) if isinstance(allow_missing, str) else allow_missing
    meta = meta_of(checkpoint, source)
    model_tensors = model.state_dict(keep_vars=True)

    file_tensors = tensors_of(checkpoint, source)
    if not any(map(is_adapter, file_tensors)):  # then they begin as they are
        model_tensors = {k: v for k, v in model_tensors.items() if not is_adapter(k)}
    tensors = rename(file_tensors, model_tensors, prefix, source)
    check_kinds(tensors, model_tensors, source)
    tensors, resized = fit_pos_embed(model, tensors, grid_of(meta, source), source)
    report = compare(model_tensors, tensors, resized, source)
    check_backbone(model, file_tensors, report)
    check_complete(report, allow_missing, other_task(model_tensors, file_tensors))
    check_patch_padding(model, meta, source, allow_patch_padding_change)

    loaded = {key: tensors[key].to(model_tensors[key].dtype) for key in report.matched}
    check_finite(loaded, source)
    try:
        model.load_state_dict(loaded, strict=False, assign=assign)
    except WeightsError as error:  # of a module that checks what it is given
        raise WeightsError(f"{source}: {error}") from None
    print_log(str(report), logger="current")
    return report


# In place of MMEngine's, which loads what happens to match and only warns of the rest.
@WEIGHT_INITIALIZERS.register_module(name="Pretrained", force=True)
@dataclass(eq=False)
class PretrainedInit:
    """Initialises a module from a checkpoint: ``init_cfg=dict(type="Pretrained", checkpoint=...)``.

    Args:
        checkpoint: The file. All arguments are those of :func:`load_weights`.
    """

    checkpoint: str
    prefix: str | None = None
    allow_missing: str | Sequence[str] = ()
    allow_patch_padding_change: bool = False
    trust: bool = False

    def __call__(self, module: nn.Module) -> None:
        """Loads the weights into ``module``."""
        options = asdict(self)
        load_weights(module, options.pop("checkpoint"), **options)
        if hasattr(module, "_params_init_info"):  # MMEngine keeps a record while it initialises
            update_init_info(module, init_info=f"Pretrained: loaded from {self.checkpoint}")
