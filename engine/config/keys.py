"""Unknown keys are errors, and an error about a misspelt key offers the right one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from engine.errors import ConfigError, near_miss


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``' Did you mean "x"?'`` for the nearest known name, or an empty string."""
    miss = near_miss(name, known)
    return f' Did you mean "{miss}"?' if miss else ""


def unknown_keys(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Says of each name that is no known one what was probably meant."""
    listing = ", ".join(sorted(known)) or "nothing"
    return [
        f'nothing reads the key "{name}".{did_you_mean(name, known)} Accepted here: {listing}.'
        for name in names
        if name not in known
    ]


def reject_unknown(where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Checks that every name is a known one.

    Args:
        where: Path in the config of the mapping that holds the names, for the message.
        names: Keys that the config gives.
        known: Keys that something reads.

    Raises:
        ConfigError: For the unknown names.
    """
    unknown = unknown_keys(names, known)
    if unknown:
        raise ConfigError(*unknown).within(where)
