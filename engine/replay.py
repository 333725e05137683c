"""A batch that made a loss or gradient non-finite: saved, and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.optim import OptimWrapper
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from torch import Tensor, nn

from engine.checkpoint import read_checkpoint
from engine.checkpoint.match import check_complete, compare, tensors_of
from engine.checkpoint.values import check_kinds, is_finite
from engine.data.sample import DataSample
from engine.errors import MMSapiensError, WeightsError
from engine.model.base import BaseModel
from engine.parallel.shards import whole
from engine.tables import format_table

_ELEMENTS = {kind.__name__: kind for kind in (DataSample, PixelData, InstanceData)}
_ELEMENT = "data element"


def seed_iteration(seed: int, rank: int, iteration: int) -> None:
    """Seeds PyTorch's global generators (dropout, drop path) for one training iteration.

    The state of the generators is thus a function of where the run is, and needs no saving.
    """
    sequence = np.random.SeedSequence([seed, rank, iteration])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


def save_nan_batch(
    work_dir: str | Path,
    model: BaseModel,
    data_batch: dict,
    losses: dict[str, float],
    seed: int,
    iteration: int,
) -> str:
    """Saves all that is needed to repeat an iteration; returns the path of the file.

    The file is ``work_dir/nan_batch.pth``; ranks other than the first add their number. It holds
    ``data_batch``, ``img_paths``, ``losses`` (name -> value, computed again), ``state_dict``, and
    ``seed``, ``rank`` and ``iter``, from which the random state of the iteration follows: tensors
    and plain values, so that it is read without trust in who sends it.
    """
    rank = get_rank()
    path = Path(work_dir, f"nan_batch{f'_rank{rank}' if rank else ''}.pth")
    content = {
        "data_batch": _to_plain(data_batch),
        "img_paths": [str(sample.get("img_path")) for sample in data_batch["data_samples"]],
        "losses": losses,
        "state_dict": {name: whole(value) for name, value in model.state_dict().items()},
        "seed": seed,
        "rank": rank,
        "iter": iteration,
    }
    torch.save(content, path)
    return str(path)


def losses_of(
    model: BaseModel, wrapper: OptimWrapper, data_batch: dict, seed: int, rank: int, iteration: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Computes the loss and its terms by name again, as in the iteration, on this rank alone."""
    seed_iteration(seed, rank, iteration)
    with wrapper.optim_context(model):
        data = model.data_preprocessor(data_batch, True)
        return model.sum_losses(model(**data, mode="loss"))


def replay(model: BaseModel, wrapper: OptimWrapper, path: str) -> str:
    """Runs a saved batch through loss and backward again and says what is not finite.

    Args:
        model: Of the same config; its weights are replaced.
        wrapper: Of its parameters, possibly of another ``dtype``.
        path: From :func:`save_nan_batch`.

    Returns:
        A report: the images, each loss term, and the weights and gradients that are not finite.

    Raises:
        WeightsError: The file cannot be read, or is not of the model.
    """
    saved = read_checkpoint(path)
    tensors, ours = tensors_of(saved, path), model.state_dict()
    check_complete(compare(ours, tensors, (), path), ())
    check_kinds(tensors, ours, path)
    model.load_state_dict(tensors, strict=False)  # infinite ones as well: they are to be found
    model.train()
    try:
        position = (saved["seed"], saved["rank"], saved["iter"])
        total, terms = losses_of(model, wrapper, _from_plain(saved["data_batch"]), *position)
        total.backward()
        return _report(saved, terms, model)
    except MMSapiensError:
        raise
    except Exception as error:  # any part of the batch may be missing, or of another shape
        raise WeightsError(
            f"{path} does not hold a batch that this config can run ({type(error).__name__}: "
            f"{error}). Give the config of the training that saved it."
        ) from error


def _to_plain(value: Any) -> Any:
    """Data samples as dicts, for a file that is read without unpickling objects."""
    if isinstance(value, BaseDataElement):
        metainfo, fields = dict(value.metainfo_items()), dict(value.items())
        return {_ELEMENT: type(value).__name__, **_to_plain({"meta": metainfo, "fields": fields})}
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(map(_to_plain, value))
    return value.cpu() if isinstance(value, Tensor) else value


def _from_plain(value: Any) -> Any:
    """The reverse of :func:`_to_plain`."""
    if isinstance(value, list | tuple):
        return type(value)(map(_from_plain, value))
    if not isinstance(value, dict):
        return value
    value = {key: _from_plain(item) for key, item in value.items()}
    if _ELEMENT not in value:
        return value
    element = _ELEMENTS[value[_ELEMENT]](metainfo=value["meta"])
    for name, field in value["fields"].items():
        element.set_field(field, name)
    return element


def _report(saved: dict, terms: dict[str, Any], model: nn.Module) -> str:
    rows = [[name, f"{saved['losses'].get(name, float('nan')):.6g}", f"{float(value.detach()):.6g}"]
            for name, value in terms.items()]  # fmt: skip
    bad = [
        name
        for name, p in model.named_parameters()
        if p.grad is not None and not p.grad.isfinite().all()
    ]
    gradients = f"non-finite gradients in {len(bad)} parameters"
    if bad:
        gradients += f", such as {', '.join(bad[:3])}"
    weights = [name for name, value in model.state_dict().items() if not is_finite(value)]
    if weights:
        gradients += f"; {len(weights)} weights are not finite either, such as {weights[0]}"
    images = "\n".join(f"  {path}" for path in saved["img_paths"])
    table = format_table(["value", "when saved", "replayed"], rows)
    return f"images of iteration {saved['iter'] + 1}:\n{images}\n{table}\n{gradients}"
