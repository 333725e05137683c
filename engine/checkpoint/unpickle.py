"""What a checkpoint's pickle may hold: names of a fixed list, and NumPy values made by our hands.

``torch.load(weights_only=True)`` runs no code, but it believes what a file says of its values. Some
of them crash a process: NumPy lets a file enlarge a dtype whose array exists, PyTorch rebuilds
sparse, nested and quantized tensors whose indices it does not check. So the names are looked at
before anything is built, and stand-ins take the states of NumPy's values and MMEngine's logs.
"""

from __future__ import annotations

import itertools
import math
import pickle
import pickletools
import re
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

_NAMES = re.compile(
    r"torch\.(\w+Storage|storage\.UntypedStorage|Size|device|(b?float|u?int|complex)\d\w*|bool)"
    r"|torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter)"
    r"|collections\.(OrderedDict|Counter)|_codecs\.encode"
    r"|(builtins|__builtin__)\.(set|bytes|bytearray|complex|getattr)"
    r"|numpy\.(ndarray|dtype)|numpy\._?core\.multiarray\.(scalar|_reconstruct)"
    r"|mmengine\.logging\.history_buffer\.HistoryBuffer"
)
_DTYPE = re.compile(r"[biufc]\d{1,2}|[US]\d{1,9}")  # no objects, no structures, no dates
_TEXTS_AND_NUMBERS = (str, bytes, bytearray, bool, int, float, complex, np.generic)
_OF_TORCH = (Tensor, torch.Size, torch.device, torch.dtype)
_MAX_VALUES = 1_000_000


def check_names(file: IO[bytes]) -> None:
    """Requires that a pickle names nothing but what this module and plain tensors need.

    Raises:
        pickle.UnpicklingError: For the first other name.
        ValueError: The file is no pickle.
    """
    for opcode, argument, _ in pickletools.genops(file):
        name = str(argument).replace(" ", ".")
        if opcode.name == "GLOBAL" and not _NAMES.fullmatch(name):
            raise pickle.UnpicklingError(f"GLOBAL {name}")


class _Dtype:
    """A dtype by its code alone; of what a state adds, only the order of the bytes is taken."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not _DTYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"GLOBAL numpy.dtype of {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


def _values(stand_in: _Dtype, shape: tuple[int, ...], raw: bytes, order: Any = "C") -> np.ndarray:
    dtype = stand_in.dtype
    if math.prod(shape) * dtype.itemsize != len(raw) or max((0, *shape)) > max(len(raw), 10**6):
        raise ValueError("a NumPy value is of another size than its dtype and shape say")
    if dtype.kind == "U" and np.any(np.frombuffer(raw, f"{dtype.byteorder}u4") > sys.maxunicode):
        raise ValueError("a NumPy text holds what is no character")
    return np.ndarray(shape, dtype, raw, order=order)


class _Array:
    """An array, of as many bytes as its shape and dtype need."""

    array: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        _, shape, stand_in, is_fortran, raw = state
        if not stand_in.dtype.itemsize:
            raise ValueError("a NumPy array is of items without a size")
        self.array = _values(stand_in, shape, raw, "F" if is_fortran else "C").copy(order="K")


class _History:
    """The log of a scalar. The table of statistics that a file brings along is left out."""

    state: dict

    def __setstate__(self, state: dict) -> None:
        self.state = state

    def make(self) -> HistoryBuffer:
        """Returns the log."""
        values, counts = (self.state[key].array for key in ("_log_history", "_count_history"))
        limit = self.state["max_length"]
        kinds = values.dtype.kind + counts.dtype.kind
        plain = values.ndim == counts.ndim == 1 and set(kinds) <= set("biuf")
        if not plain or len(values) != len(counts) or type(limit) is not int or limit < 1:
            raise ValueError("a log is not two rows of numbers of the same length")
        return HistoryBuffer(values, counts, limit)


def _scalar(stand_in: _Dtype, raw: bytes = b"") -> Any:
    return _values(stand_in, (), raw)[()]


def _reconstruct(kind: type, *_: Any) -> _Array:
    return kind()


def _no_bytes() -> bytes:
    """Stands in for ``bytes``, by which those of an empty array are pickled."""
    return b""


def _method(owner: Any, name: str) -> None:
    """Stands in for ``getattr``: a HistoryBuffer is pickled with references to its methods."""
    if owner is not _History or name.startswith("_"):
        raise pickle.UnpicklingError(f"GLOBAL getattr of {name!r}")


def stand_ins() -> list[Callable | tuple[Callable, str]]:
    """Returns, for ``safe_globals``, what is made for the names, of NumPy 1 and of NumPy 2."""
    made: list[Callable | tuple[Callable, str]] = [
        (_Array, "numpy.ndarray"),
        (_Dtype, "numpy.dtype"),
        (_History, "mmengine.logging.history_buffer.HistoryBuffer"),
        (_method, "builtins.getattr"),
        (_no_bytes, "builtins.bytes"),
    ]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        made += [(_scalar, f"{module}.scalar"), (_reconstruct, f"{module}._reconstruct")]
    return made


def plain(content: Any) -> Any:
    """Returns what was unpickled with the values themselves in place of their stand-ins.

    All containers are made anew, so that none is within itself or has attributes, but for the
    ``_metadata`` of a model's weights.

    Raises:
        pickle.UnpicklingError: For anything but tensors, numbers, texts and containers of them.
        ValueError: There are too many.
    """
    count = itertools.count(1)

    def walk(value: Any) -> Any:
        if next(count) > _MAX_VALUES:  # lists of lists of lists, each many times in the next
            raise ValueError(f"it holds more than {_MAX_VALUES:,} values")
        if isinstance(value, dict):
            made = {walk(key): walk(item) for key, item in dict.items(value)}
            if "_metadata" not in getattr(value, "__dict__", ()):
                return made
            of_a_model = OrderedDict(made)  # with the versions of its modules, and our identity
            vars(of_a_model)["_metadata"] = walk(vars(value)["_metadata"])
            return of_a_model
        if type(value) in (list, tuple, set):
            return type(value)(map(walk, value))
        if isinstance(value, _Array):
            return value.array
        if isinstance(value, _History):
            return value.make()
        if isinstance(value, _Dtype):
            return value.dtype
        if value is None or isinstance(value, _TEXTS_AND_NUMBERS + _OF_TORCH):
            return value
        raise pickle.UnpicklingError(f"GLOBAL {type(value).__name__}")

    return walk(content)
