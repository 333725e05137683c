"""What the arguments of several commands may be."""

import argparse

import pytest

from mmsapiens.commands.arguments import (
    CfgOptions,
    add_flip,
    finite,
    natural_int,
    positive_int,
    share,
    view_options,
)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (positive_int, "1", 1),
        (natural_int, "0", 0),
        (share, "0", 0.0),
        (share, "1", 1.0),
        (share, "0.5", 0.5),
        (finite, "-0.5", -0.5),
    ],
)
def test_numbers(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (positive_int, "0", "0 is not positive"),
        (natural_int, "-1", "-1 is negative"),
        (share, "-0.001", "is not between 0 and 1"),
        (share, "1.001", "is not between 0 and 1"),
        (share, "nan", "is not between 0 and 1"),
        (finite, "nan", "nan is not finite"),
        (finite, "-inf", "-inf is not finite"),
    ],
)
def test_numbers_beyond_their_range(read, text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        read(text)


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--cfg-options", nargs="+", action=CfgOptions)
    add_flip(parser)
    return parser


def test_options_given_more_than_once_are_merged_and_the_last_wins(parser):
    words = ["--cfg-options", "a=1", "b.c=x=y", "--flip", "--cfg-options", "a=2", "d=[1, 2]"]
    args = parser.parse_args(words)
    assert args.cfg_options == {"a": 2, "b.c": "x=y", "d": [1, 2]}
    assert view_options(args) == {"model.test_views.flip": True}
    assert view_options(parser.parse_args([])) == {}


@pytest.mark.parametrize(
    ("word", "message"), [("a", "'a': expected key=value"), ("a=[1", "'a=[1': ']' is missing")]
)
def test_options_that_cannot_be_read(parser, word, message, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", word])
    assert message in capsys.readouterr().err
