"""What the arguments of several transforms must be."""

from __future__ import annotations

from collections.abc import Sequence

from engine.data.geometry import SizeHW
from engine.errors import ConfigError


def require_size(owner: object, size_hw: Sequence[int] | None) -> SizeHW:
    """Returns a (height, width) of whole pixels, at least 1.

    Raises:
        ConfigError: It is not, or was not given.
    """
    name = type(owner).__name__
    if size_hw is None:
        raise ConfigError(
            f"{name} has no size_hw. Set the config's top-level input_size_hw=(H, W), which "
            f"load_config copies into every transform, or write {name}(size_hw=(H, W))."
        )
    if len(size_hw) != 2 or min(size_hw) < 1:
        raise ConfigError(f"{name}: size_hw is (height, width) in pixels, found {size_hw!r}.")
    return int(size_hw[0]), int(size_hw[1])


def require_probability(owner: object, prob: float) -> float:
    """Returns a number in [0, 1].

    Raises:
        ConfigError: It is not.
    """
    if not 0 <= prob <= 1:
        raise ConfigError(f"{type(owner).__name__}: prob is in [0, 1], found {prob!r}.")
    return prob


def require_range(
    owner: object, name: str, values: Sequence[float], most: float | None = None
) -> tuple[float, float]:
    """Returns (low, high) with 0 < low <= high, and high <= ``most`` if that is given.

    Raises:
        ConfigError: They are not; ``name`` is the argument's.
    """
    limit = "" if most is None else f" <= {most:g}"
    if len(values) != 2 or not 0 < values[0] <= values[1] or (most and values[1] > most):
        raise ConfigError(
            f"{type(owner).__name__}: {name} is (low, high) with 0 < low <= high{limit}, found "
            f"{values!r}."
        )
    return values[0], values[1]
