"""What errors are made of: places, lists, short forms and near misses."""

import pytest

from engine.errors import ConfigError, collect, edit_distance, near_miss, shorten


@pytest.mark.parametrize(
    ("value", "length", "text"),
    [
        ("a" * 58, 60, repr("a" * 58)),
        ("a" * 59, 60, "'" + "a" * 56 + "..."),
        ([1, 2, 3], 9, "[1, 2, 3]"),
        ([1, 2, 3], 8, "[1, 2..."),
    ],
)
def test_long_values_are_cut_off(value, length, text):
    assert shorten(value, length) == text and len(text) <= length
    assert shorten("b" * 99) == shorten("b" * 99, 60)


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("abc", "abd", 1),
     ("abc", "ab", 1), ("abc", "xabc", 1), ("abc", "acb", 2), ("kitten", "sitting", 3)],
)  # fmt: skip
def test_edits_between_two_words(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_the_nearest_name_within_the_distance():
    known = ("lr_mult", "decay_mult", "momentum")
    assert near_miss("decay_mul", known) == near_miss("decay_mu", known) == "decay_mult"
    assert near_miss("decay_m", known) is None
    assert near_miss("decay_m", known, 3) == "decay_mult"
    assert near_miss("decay_mul", known, 0) is None and near_miss("x", ()) is None
    assert near_miss("ad", ["ac", "ab"]) == "ab", "of equally near ones the first of the alphabet"


def test_errors_are_collected_once_each():
    def fail(*texts):
        raise ConfigError(*texts)

    errors = ["a"]
    assert not collect(errors, fail, "b", "a", "c") and errors == ["a", "b", "c"]
    assert collect(errors, str, "d") and errors == ["a", "b", "c"]
    with pytest.raises(ConfigError) as found:
        raise ConfigError("x", "y").within("a.py")
    assert found.value.args == ("a.py: x", "a.py: y")
