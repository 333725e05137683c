import pytest

from engine.data.arguments import require_probability, require_range, require_size
from engine.errors import ConfigError


class Shake:
    """Stands in for a transform."""


def test_good_arguments_pass():
    assert require_size(Shake(), [64, 48]) == (64, 48)
    assert require_size(Shake(), (1, 1)) == (1, 1)
    assert require_probability(Shake(), 1) == 1
    assert require_probability(Shake(), 0) == 0
    assert require_range(Shake(), "span", (2, 2)) == (2, 2)
    assert require_range(Shake(), "span", [0.5, 2]) == (0.5, 2)
    assert require_range(Shake(), "span", (0.5, 1), most=1) == (0.5, 1)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: require_size(Shake(), None), "Shake has no size_hw.*input_size_hw"),
        (lambda: require_size(Shake(), (64,)), r"Shake: size_hw is \(height, width\)"),
        (lambda: require_size(Shake(), (64, 0)), "Shake: size_hw"),
        (lambda: require_size(Shake(), (0, 64)), "Shake: size_hw"),
        (lambda: require_size(Shake(), (64, 48, 3)), "Shake: size_hw"),
        (lambda: require_probability(Shake(), -0.1), "found -0.1"),
        (lambda: require_probability(Shake(), 1.1), r"Shake: prob is in \[0, 1\], found 1.1"),
        (lambda: require_range(Shake(), "span", (2, 1)), "Shake: span is .* low <= high, found"),
        (lambda: require_range(Shake(), "span", (0, 1)), "0 < low"),
        (lambda: require_range(Shake(), "span", (1,)), "span"),
        (lambda: require_range(Shake(), "span", (0.5, 1.5), most=1), "high <= 1, found"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
