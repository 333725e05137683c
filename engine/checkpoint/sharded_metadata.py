"""What lies where in a sharded checkpoint, read without running what the folder contains.

PyTorch reads the index of such a folder, ``.metadata``, by ``pickle.load``, which calls whatever
the file names: a folder from elsewhere could run any code. An index is numbers, names and a few of
PyTorch's own records of them, so only these are made here, and what they claim is compared with the
files before anything is read. The tensors themselves PyTorch reads by its ``weights_only`` loader,
of whose names :func:`engine.checkpoint.unpickle.check_names` lets fewer pass.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import FileSystemReader, filesystem, metadata
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

from engine.checkpoint.unpickle import check_names
from engine.errors import WeightsError

_RECORDS = {
    record.__name__: record
    for record in (
        metadata.ChunkStorageMetadata,
        metadata.Metadata,
        metadata.MetadataIndex,
        metadata.StorageMeta,
        metadata.TensorProperties,
        metadata.TensorStorageMetadata,
        metadata._MEM_FORMAT_ENCODING,
        filesystem._StorageInfo,
    )
}


class SafeReader(FileSystemReader):
    """PyTorch's reader of a folder, with an index that was checked, as each part is when read."""

    def __init__(self, folder: Path, index: Metadata) -> None:
        super().__init__(folder)
        self._index = index

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Returns the index."""
        return self._index

    def _slice_file(self, file: Any, info: Any) -> io.BytesIO:
        """Returns what lies at a place: an archive of ``torch.save`` with one tensor."""
        file.seek(info.offset)
        content = io.BytesIO(file.read(info.length))
        with zipfile.ZipFile(content) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"{info.relative_path}: the checksum of {damaged} is wrong")
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    check_names(io.BytesIO(archive.read(name)))
        content.seek(0)
        return content


def read_index(folder: Path) -> Metadata:
    """Reads and checks the index of a sharded checkpoint.

    Raises:
        WeightsError: It cannot be read, names anything else, or is not of the files beside it.
    """
    try:
        with (folder / ".metadata").open("rb") as file:
            index = _Unpickler(file).load()
        _check_index(index, folder)
        return index
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise WeightsError(
            f"{folder} is not a sharded checkpoint, or was not copied whole "
            f"({type(error).__name__}: {error}). Copy it again, or take an earlier one."
        ) from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Returns one of the records, a dtype, or what stands in for a path, which nothing reads.

        Raises:
            pickle.UnpicklingError: For any other name.
        """
        record = _RECORDS.get(name)
        if record is not None and record.__module__ == module:
            return record
        if (module, name) == ("torch", "Size"):
            return torch.Size
        if module == "torch" and isinstance(vars(torch).get(name), torch.dtype):
            return vars(torch)[name]
        if (module, name) == ("torch.serialization", "_get_layout"):
            return {"torch.strided": torch.strided}.__getitem__
        if module in ("pathlib", "pathlib._local") and name.endswith("Path"):
            return lambda *_: None
        raise pickle.UnpicklingError(f"it names {module}.{name}, which could run code")


def _check_index(index: Metadata, folder: Path) -> None:
    """Requires whole tensors, each of parts that lie one beside the other in the files."""
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.distcp")}
    room = dict.fromkeys(index.state_dict_metadata, 0)
    for place, info in index.storage_data.items():
        span = (info.offset, info.length)
        if not all(type(n) is int and n >= 0 for n in span) or info.transform_descriptors:
            raise ValueError(f"{place.fqn} lies at no place in a file")
        if info.offset + info.length > sizes.get(info.relative_path, -1):
            raise ValueError(f"{info.relative_path} is missing or was cut short")
        room[place.fqn] += info.length
    for name, tensor in index.state_dict_metadata.items():
        if not isinstance(tensor, TensorStorageMetadata):
            raise ValueError(f"{name} is no tensor")
        volume = sum(math.prod(chunk.sizes) for chunk in tensor.chunks)
        num = math.prod(tensor.size)
        if volume != num or num * tensor.properties.dtype.itemsize > room[name]:
            raise ValueError(f"{name} is not whole")
