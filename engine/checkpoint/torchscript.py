"""Weights of a TorchScript archive, such as the released ``*_torchscript.pt2``; no code of it runs.

Such an archive pickles its modules as objects of classes whose code it brings along. The pickle is
read here with stand-ins for these classes, which hold what the modules held; what it names besides
is refused. Of the code, only the lists that say which tensors are no weights are read, as text.
"""

from __future__ import annotations

import io
import itertools
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.checkpoint.match import BACKBONE, PATCHES
from engine.errors import WeightsError

_CODE = "__torch__"
_CLASS = re.compile(
    r"^class (\w+)\(Module\):\n(?:  __\w+__ = .*\n)*?  __buffers__ = \[(.*)\]", re.M
)
_CURE = "Give the .pth file that it was made from."
_MAX_CODE = 2**20
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
_MAX_VALUES = 1_000_000
_LISTS = re.compile(r"torch\.jit\._pickle\.build_(int|bool|double|tensor)list")
_STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in (
        *(("Float", torch.float32), ("Double", torch.float64), ("Half", torch.float16)),
        *(("BFloat16", torch.bfloat16), ("Long", torch.int64), ("Int", torch.int32)),
        *(("Short", torch.int16), ("Char", torch.int8), ("Byte", torch.uint8)),
        ("Bool", torch.bool),
    )
}
_OF_BACKBONE = ("cls_token", "pos_embed", "patch_embed", "layers", "ln1")
_OF_HEAD = ("deconv_layers", "conv_layers", "conv_seg", "final_layer")
_LAST_LAYERS = {"conv_seg": "decode_head.", "final_layer": "head."}
"""What the heads end with, and their names in a model."""


def is_torchscript(names: Iterable[str]) -> bool:
    """Whether an archive of these files is TorchScript."""
    last = [name.rpartition("/")[2] for name in names]
    return last.count("data.pkl") == last.count("constants.pkl") == 1


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Reads the weights of a traced or scripted model, under the names of ours.

    Args:
        path: The archive; that it is whole was checked. The tensors stay mapped to it.

    Returns:
        The tensors by name; not those that a model only keeps, such as the mean of images.

    Raises:
        WeightsError: It names anything but modules, tensors and plain values, or has no weights.
        Exception: It is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        model = _Unpickler(path, archive).load()
        if not isinstance(model, _Module):
            raise WeightsError(f"{path} is TorchScript, but no module.")
        tensors = dict(_walk(model, "", _buffers_of(archive), itertools.count(1)))
    if not tensors:
        raise WeightsError(
            f"{path} is TorchScript whose weights have no names, as after torch.jit.freeze. {_CURE}"
        )
    return _under_our_names(tensors)


class _Module:
    """Stands in for a module; its attributes are those that were pickled."""

    kind = ""
    """The name of its class."""


class _Unpickler(pickle.Unpickler):
    """Makes nothing but tensors, stand-ins for modules, and plain values.

    What it gives for a name is made anew each time, as a pickle may change it.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        (pickled,) = (n for n in archive.namelist() if n.rpartition("/")[2] == "data.pkl")
        content = archive.read(pickled)
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in _PUTS and int(argument or 0) > len(content):
                raise ValueError("it numbers its values beyond their count")  # in so long a table
        super().__init__(io.BytesIO(content))
        self._path = path
        self._sizes = {info.filename: info.file_size for info in archive.infolist()}
        self._folder = pickled.removesuffix(".pkl")
        self._reader: Any = torch._C.PyTorchFileReader(str(path))
        self._file = torch.UntypedStorage.from_file(str(path), False, path.stat().st_size)

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands for a name.

        Raises:
            WeightsError: For all names but those of modules, tensors and typed lists.
        """
        full = f"{module}.{name}"
        if module == _CODE or module.startswith(f"{_CODE}."):
            return type("_Module", (_Module,), {"kind": full})
        if full in _STORAGES:
            return _STORAGES[full]
        made: dict[str, Callable] = {
            "torch._utils._rebuild_tensor_v2": lambda *args: _tensor(*args[:4]),
            "collections.OrderedDict": lambda: None,  # of hooks, which a tensor has none of
            "torch.device": lambda *args: None,
            "torch.jit._pickle.restore_type_tag": lambda value, tag: value,
        }
        if _LISTS.fullmatch(full):
            return lambda values: values
        if full not in made:
            raise self._refusal(full)
        return made[full]

    def persistent_load(self, reference: Any) -> Tensor:
        """Returns the numbers of a storage, mapped."""
        kind, dtype, key, _, count = reference
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise self._refusal(str(kind))
        begin, num_bytes = self._reader.get_record_offset(f"data/{key}"), count * dtype.itemsize
        if num_bytes != self._sizes[f"{self._folder}/{key}"] or begin % dtype.itemsize:
            raise ValueError(f"data/{key} is of another size or place than its numbers need")
        return torch.empty(0, dtype=dtype).set_(
            self._file[begin : begin + num_bytes], 0, (count,), (1,)
        )

    def _refusal(self, name: str) -> WeightsError:
        return WeightsError(
            f"{self._path} is TorchScript that contains {name}. Expected modules, tensors and "
            f"plain values. {_CURE}"
        )


def _tensor(numbers: Tensor, offset: int, size: tuple, stride: tuple) -> Tensor:
    """A view of a storage's numbers; PyTorch checks that it is within."""
    return numbers.as_strided(size, stride, offset)


def _walk(
    module: _Module, prefix: str, buffers: dict[str, set[str]], count: Iterator[int]
) -> Iterator[tuple[str, Tensor]]:
    """Yields the weights of a module and of those in it."""
    for name, value in vars(module).items():
        if next(count) > _MAX_VALUES:  # modules that are many times in others
            raise ValueError(f"it holds more than {_MAX_VALUES:,} values")
        if isinstance(value, _Module):
            yield from _walk(value, f"{prefix}{name}.", buffers, count)
        elif isinstance(value, Tensor) and name not in buffers.get(type(module).kind, ()):
            yield f"{prefix}{name}", value


def _buffers_of(archive: zipfile.ZipFile) -> dict[str, set[str]]:
    """Returns the tensors of each class that are no weights: what its code says.

    A trace does not tell buffers that belong to the weights from others. The models of this family
    have none that do.
    """
    found = {}
    for entry in archive.infolist():
        _, is_code, name = entry.filename.partition(f"/code/{_CODE}")
        if not is_code or not name.endswith(".py") or entry.file_size > _MAX_CODE:
            continue
        module = _CODE + name.removesuffix(".py").replace("/", ".")
        for match in _CLASS.finditer(archive.read(entry).decode("utf-8", "replace")):
            found[f"{module}.{match[1]}"] = set(re.findall(r'"(\w+)"', match[2]))
    return found


def _under_our_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names the tensors as our models do, whatever was around backbone and head when traced."""
    places: list[tuple[str, str, tuple[str, ...]]] = [
        (name.removesuffix(PATCHES), BACKBONE, _OF_BACKBONE)
        for name in tensors
        if name.endswith(PATCHES)
    ]
    places += [
        (name.removesuffix(f"{last}.weight"), ours, _OF_HEAD)
        for last, ours in _LAST_LAYERS.items()
        for name in tensors
        if name.endswith(f"{last}.weight")
    ]
    renamed = {}
    for name, tensor in tensors.items():
        for prefix, ours, parts in places:
            rest = name.removeprefix(prefix)
            if name.startswith(prefix) and rest.partition(".")[0] in parts:
                name = ours + rest
                break
        renamed[name] = tensor
    return renamed
