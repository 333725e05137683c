"""A name that a config gives and that nothing reads is an error, which says where it belongs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from mmengine.logging import print_log

from engine.config.keys import did_you_mean
from engine.config.sources import Layer
from engine.config.validate import KNOWN_KEYS, VARIABLES, misspelt_keys
from engine.errors import ConfigError

#: Customary names of variables, and what they are meant to set.
PLACES = {
    "accumulative_counts": "optim_wrapper.accumulative_counts",
    "arch": "model.backbone.arch",
    "batch_size": "train_dataloader.batch_size",
    "class_weight": "model.decode_head.loss_decode.class_weight",
    "data_root": "train_dataloader.dataset.data_root",
    "dtype": "optim_wrapper.dtype",
    "epochs": "train_cfg.max_epochs",
    "img_size": "input_size_hw",
    "input_size": "input_size_hw",
    "image_size": "input_size_hw",
    "layer_decay_rate": "optim_wrapper.paramwise_cfg.layer_decay_rate",
    "lr": "optim_wrapper.optimizer.lr",
    "max_epochs": "train_cfg.max_epochs",
    "metainfo": "model.metainfo",
    "num_classes": "model.decode_head.num_classes",
    "num_epochs": "train_cfg.max_epochs",
    "num_workers": "train_dataloader.num_workers",
    "pretrained": "model.backbone.init_cfg.checkpoint",
    "seed": "randomness.seed",
    "test_pipeline": "test_dataloader.dataset.pipeline",
    "train_pipeline": "train_dataloader.dataset.pipeline",
    "val_interval": "train_cfg.val_interval",
    "val_pipeline": "val_dataloader.dataset.pipeline",
    "weight_decay": "optim_wrapper.optimizer.weight_decay",
}


def check_names(layers: Sequence[Layer], options: Iterable[str]) -> None:
    """Rejects a variable that no layer reads, and one whose name is nearly that of a section.

    Args:
        layers: All files of the config, the lowest first, executed.
        options: Dotted keys of the variables that a command line gives.

    Raises:
        ConfigError: For all such names.
    """
    given = {name for layer in layers for name in layer.values}
    read = {name for layer in layers for name in layer.reads | layer.base_reads}
    variables = given & read
    errors = [
        f"{layers[-1].path}: {unread(option, variables, is_option=True)}"
        for option in options
        if option.split(".")[0] not in variables
    ]
    for index, layer in enumerate(layers):
        names = _unread_names(layer, layers[index + 1 :], read)
        if names and _is_dump(layers, variables):
            message = f"{layer.path}: nothing reads {', '.join(names)}."
            print_log(message, "current", logging.WARNING)
            names = []
        found = [
            unread(name, variables - {name}, of_bases=name in layer.from_bases & read)
            for name in names
        ]
        found += misspelt_keys(layer.values)
        errors += [f"{layer.path}: {text}" for text in found]
    if errors:
        raise ConfigError(*dict.fromkeys(errors))


def unread(
    name: str, variables: Iterable[str] = (), is_option: bool = False, of_bases: bool = False
) -> str:
    """Says what to do about a name that nothing reads.

    Args:
        name: The name; of an option, its dotted key.
        variables: Names of the config's variables that may have been meant.
        is_option: Whether it stands on the command line.
        of_bases: Whether it is made of ``{{_base_.name}}``, and only the layers below read it.
    """
    first = name.split(".")[0]
    advice = "" if first in VARIABLES else did_you_mean(first, {*KNOWN_KEYS, *variables})
    if first in PLACES:
        example = f"{PLACES[first]}=..." if is_option else _as_python(PLACES[first])
        advice += f" Set {example} instead."
    advice = advice or " Use it in a section, such as model or train_dataloader, or take it out."
    if of_bases:
        return (
            f'"{first}" follows from {{{{_base_...}}}}: the files below, which read it, never see '
            f"it.{advice}"
        )
    subject = f'option "{name}": ' if is_option else ""
    return f'{subject}nothing reads the key "{first}".{advice}'


def _unread_names(layer: Layer, above: Sequence[Layer], read: set[str]) -> list[str]:
    # The layers below never see what follows from them: it must be used from this layer on.
    from_here = layer.reads.union(*(other.base_reads for other in above))
    return [
        name
        for name in layer.values
        if name not in (from_here if name in layer.from_bases else read)
        and name not in KNOWN_KEYS
        and not name.startswith("_")
    ]


def _is_dump(layers: Sequence[Layer], variables: set[str]) -> bool:
    """Tells a config that a run wrote down: one file of literals, in alphabetical order.

    Those of earlier versions, in work directories and checkpoints, hold spent variables.
    """
    names = list(layers[0].values)
    return len(layers) == 1 and not variables and names == sorted(names)


def _as_python(dotted: str) -> str:
    first, *keys = dotted.split(".")
    return f"{first}={''.join(f'dict({key}=' for key in keys)}...{')' * len(keys)}"
