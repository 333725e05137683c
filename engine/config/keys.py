"""Unknown keys are errors, and an error about a misspelt key offers the right one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from engine.errors import ConfigError, near_miss


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``' Did you mean "x"?'`` for the nearest known name, or an empty string."""
    miss = near_miss(name, known)
    return f' Did you mean "{miss}"?' if miss else ""


def reject_unknown(where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Checks that every name is a known one.

    Args:
        where: Path in the config of the mapping that holds the names, for the message.
        names: Keys that the config gives.
        known: Keys that something reads.

    Raises:
        ConfigError: For the first unknown name.
    """
    for name in names:
        if name not in known:
            listing = ", ".join(sorted(known)) or "nothing"
            raise ConfigError(
                f'{where}: nothing reads the key "{name}".{did_you_mean(name, known)} '
                f"Accepted here: {listing}."
            )


def check_paramwise_cfg(paramwise_cfg: dict, known: Collection[str]) -> None:
    """Checks the keys of ``optim_wrapper.paramwise_cfg`` and of its ``custom_keys``.

    Args:
        paramwise_cfg: What the config gives the constructor of the optimizer wrapper.
        known: Keys that this constructor reads.

    Raises:
        ConfigError: For an unknown key at either level.
    """
    where = "optim_wrapper.paramwise_cfg"
    reject_unknown(where, paramwise_cfg, known)
    for pattern, rule in paramwise_cfg.get("custom_keys", {}).items():
        reject_unknown(f'{where}.custom_keys["{pattern}"]', rule, ("lr_mult", "decay_mult"))
