"""Values and annotations."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Protocol, TypedDict, TypeVar, Union

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from engine.config.expected import EXPECTED, expected
from engine.config.values import Range, describe, problems

T = TypeVar("T")


class Named(TypedDict):
    name: str


class Options(Named, total=False):
    size: Annotated[int, Range(1)]
    mode: Literal["a", "b"]


class Readable(Protocol):
    def read(self) -> str: ...


FIT = [
    (5, int),
    (5, float),
    (True, bool),
    ("a", str),
    (Path("a"), str),
    ("a", Path),
    ("float32", torch.dtype),
    (None, Optional[int]),  # noqa: UP045  as older signatures say it
    (5, int | str),
    ("a", Union[int, str]),  # noqa: UP007
    ("a", Literal["a", 1]),
    ([1, 2], tuple[int, int]),
    ((1, 2), list[int]),
    ([], Sequence[int]),
    ([(1, 2.5)], Sequence[tuple[int, float]]),
    ((1, 2, 3), tuple[int, ...]),
    ({"a": 1}, dict[str, int]),
    ({"a": 1}, Mapping),
    ({"type": "AdamW"}, Optimizer),
    ({"type": "Linear"}, nn.Module),
    (nn.Identity(), nn.Module | dict),
    ({"type": "collate"}, Callable[[list], Any]),
    (len, Callable),
    ([1], Iterable),
    (0, Annotated[float, Range(0, 1)]),
    ({"name": "x", "size": 3}, Options),
    (object(), Any),
    (object(), T),
    (object(), Readable),
]
UNFIT = [
    (5.0, int, "x: expected a whole number, found 5.0."),
    (True, int, "x: expected a whole number, found True."),
    (1, bool, "x: expected True or False, found 1."),
    ("1e-4", float, "x: expected a number, found '1e-4'."),
    (math.nan, float, "x: expected a number, found nan."),
    (5, str, "x: expected a text, found 5."),
    (None, int, "x: expected a whole number, found None."),
    ("c", Literal["a", "b"], "x: expected one of 'a', 'b', found 'c'."),
    (True, Literal[1], "x: expected one of 1, found True."),
    ([1, 2, 3], tuple[int, int], "x: expected (a whole number, a whole number), found [1, 2, 3]."),
    ([1, "a"], list[int], "x[1]: expected a whole number, found 'a'."),
    ("ab", Sequence[str], "x: expected a list, each item a text, found 'ab'."),
    ([5], list[dict], "x[0]: expected a dict, found 5."),
    ({"a": {"b c": "d"}}, dict[str, dict[str, int]], """x.a["b c"]: expected a whole number, """),
    (5, Optimizer, "x: expected a dict, found 5."),
    ([{}], Optimizer, "x: expected a dict, found [{}]."),
    (5, Callable, "x: expected a function, found 5."),
    (5, dict[str, int] | None, "x: expected a dict or None, found 5."),
    ({"a": "b"}, dict[str, int] | None, "x.a: expected a whole number, found 'b'."),
    (-1, Annotated[int, Range(1)], "x: expected a whole number >= 1, found -1."),
    (2, Annotated[float, Range(0, 1)], "x: expected a number in [0, 1], found 2."),
    (math.inf, Annotated[float, Range(0)], "x: expected a number >= 0, found inf."),
    ("a", Annotated[int, Range(1)] | None, "x: expected a whole number >= 1 or None, found 'a'."),
    ({"name": "x", "sise": 3}, Options, 'x: nothing reads the key "sise". Did you mean "size"?'),
    ({"size": 3}, Options, "x: name is missing, a text."),
    ({"name": "x", "mode": "c"}, Options | None, "x.mode: expected one of 'a', 'b', found 'c'."),
    (5, Options, "x: expected a dict, found 5."),
    ({"name": 5}, Annotated[dict | None, Options], "x.name: expected a text, found 5."),
]


@pytest.mark.parametrize(("value", "hint"), FIT)
def test_values_that_fit(value, hint):
    assert problems("x", value, hint) == []


@pytest.mark.parametrize(("value", "hint", "text"), UNFIT)
def test_values_that_do_not(value, hint, text):
    (found,) = problems("x", value, hint)
    assert found.startswith(text)


def test_long_values_are_cut():
    (found,) = problems("x", list(range(1000)), int)
    assert len(found) < 150 and found.endswith("....")


@pytest.mark.parametrize("hint", EXPECTED.values(), ids=EXPECTED)
def test_whatever_is_expected_can_be_said(hint):
    assert "<" not in describe(hint).replace("<=", "")


def test_a_class_of_a_users_own_may_mean_anything_by_a_name():
    class Own(nn.Module):
        def __init__(self, prob: float) -> None:
            super().__init__()

    Own.__module__ = "my_package.models"
    assert expected(Own, "prob") is None and expected(nn.Module, "prob") is not None
