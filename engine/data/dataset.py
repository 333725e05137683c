"""The base of every dataset: sorted records, reproducible samples, errors that name the file.

Files that cannot be read are counted, over a process and its data workers.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
import torch
from mmengine.dataset import BaseDataset as MMEngineBaseDataset
from mmengine.dist import get_world_size
from mmengine.logging import print_log

from engine.data.sampling import SampleKey
from engine.errors import ConfigError, DataError, MMSapiensError

MAX_SHARE = 0.01
_MOST_NAMES = 20


class Metainfo(TypedDict, total=False):
    """What a config can say of a dataset's labels.

    Attributes:
        classes: Names in the order of their ids.
        palette: RGB (0-255) a class.
        flip_pairs: Pairs of names that a mirror exchanges.
        ignore_index: Label that does not count.
    """

    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    flip_pairs: Sequence[tuple[str, str]]
    ignore_index: int


class CorruptRecords:
    """Which records a process and its data workers have read, and which of them were corrupt.

    One byte a record, in memory shared with the workers, so that the count is the same for any
    number of them and is seen by the process itself.

    Args:
        num_records: Length of the dataset.
        source: The dataset's name, for the messages.
        name_of: Names the record of an index.
    """

    def __init__(self, num_records: int, source: str, name_of: Callable[[int], str] = str) -> None:
        self.source = source
        self.name_of = name_of
        self.read = torch.zeros(num_records, dtype=torch.bool).share_memory_()
        self.corrupt = torch.zeros(num_records, dtype=torch.bool).share_memory_()
        self.share_of_epoch = -(-num_records // get_world_size())

    def __len__(self) -> int:
        return int(self.corrupt.sum())

    def add(self, index: int, error: DataError) -> None:
        """Notes a corrupt record; warns of it the first time.

        Raises:
            DataError: If they are more than one and more than 1 % of the records read so far, or
                of those that this process reads in an epoch if these are more.
        """
        if self.corrupt[index]:
            return
        self.corrupt[index] = True
        base = max(self.share_of_epoch, int(self.read.sum()))
        count = f"{len(self)} of {base} samples cannot be read"
        if len(self) > max(1, MAX_SHARE * base):
            raise DataError(
                f'{self.source}: {count}; on_corrupt="skip" allows {MAX_SHARE:.0%}. Mend or remove '
                f"them, after mmsapiens check CONFIG has found the others. So far: "
                f"{self._names()}. The last one: {error}"
            ) from error
        warning = f"{self.source}: the next sample takes the place of {index} ({count}): {error}"
        print_log(warning, "current", logging.WARNING)

    def _names(self) -> str:
        indices = self.corrupt.nonzero().flatten().tolist()
        more = f", and {len(indices) - _MOST_NAMES} more" if len(indices) > _MOST_NAMES else ""
        return ", ".join(self.name_of(index) for index in indices[:_MOST_NAMES]) + more


class BaseDataset(MMEngineBaseDataset):
    """Maps a sample key to a packed sample.

    Compared with MMEngine's base, a sample that cannot be made is an error that names its file,
    replaced by another one only if ``on_corrupt`` says so, and all randomness of a sample comes
    from a generator that travels with it, seeded by (run seed, epoch, index). Hence the data of a
    run does not depend on the number of workers or ranks.

    Args:
        data_root: Folder of the dataset; must exist.
        pipeline: Transforms, as config dicts.
        metainfo: Overrides of the class's METAINFO.
        test_mode: Kept for MMEngine's loops; nothing here depends on it.
        indices: Use only the first n records, or those listed.
        lazy_init: Do not read the records yet; the metainfo is available all the same.
        on_corrupt: What to do about a sample whose files cannot be read or contradict the
            metainfo: ``"raise"``, or ``"skip"``: warn, count it, and take the next record's sample
            with the same seed and epoch. More than 1 % of such samples are an error all the same.
            For training only: an evaluation would count the next sample twice.
    """

    file_options: Mapping[str, Any] = MappingProxyType({})
    """How the files of this dataset are to be read, such as ``label_map``: part of every record."""

    def __init__(
        self,
        data_root: str = "",
        pipeline: Sequence[dict] = (),
        metainfo: Annotated[dict | None, Metainfo] = None,
        test_mode: bool = False,
        indices: int | Sequence[int] | None = None,
        lazy_init: bool = False,
        on_corrupt: Literal["raise", "skip"] = "raise",
    ) -> None:
        if on_corrupt not in ("raise", "skip"):
            raise ConfigError(f"on_corrupt={on_corrupt!r}: expected 'raise' or 'skip'.")
        self.on_corrupt = on_corrupt
        self._corrupt: CorruptRecords | None = None
        super().__init__(
            data_root=data_root,
            data_prefix={},
            metainfo=metainfo,
            pipeline=list(pipeline),
            test_mode=test_mode,
            indices=indices,
            lazy_init=lazy_init,
        )

    def full_init(self) -> None:
        """Reads the records, once.

        Raises:
            DataError: If the data root does not exist or holds no record.
        """
        if self._fully_initialized:
            return
        name = type(self).__name__
        if self.data_root and not Path(self.data_root).is_dir():
            raise DataError(
                f"{name}: the data root {str(self.data_root)!r} does not exist. Set the "
                "environment variable DATA_ROOT to the folder that holds your datasets, or "
                "data_root of this dataset in the config."
            )
        super().full_init()
        if self.on_corrupt == "skip":
            self._corrupt = CorruptRecords(len(self), name, self._name_of)

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.data_list:  # of which MMEngine's would say that it cannot be concatenated
            chosen = "" if self._indices is None else f" of indices={self._indices}"
            raise DataError(
                f"{type(self).__name__}: no sample{chosen} was found in {str(self.data_root)!r}. "
                "Correct data_root, or what else the config says of which samples to use."
            )
        packed = [np.frombuffer(pickle.dumps(record), np.uint8) for record in self.data_list]
        self.data_list.clear()  # MMEngine's collects all garbage here, which takes up to a second
        return np.concatenate(packed), np.cumsum([len(data) for data in packed])

    def get_data_info(self, idx: int) -> dict:
        """Returns a record: the paths of its files, and how they are to be read."""
        return {**super().get_data_info(idx), **self.file_options}

    @property
    def num_corrupt(self) -> int:
        """How many records were skipped so far, by this process and its data workers."""
        return 0 if self._corrupt is None else len(self._corrupt)

    def __getitem__(self, key: SampleKey | int) -> Any:
        """Returns the packed sample of ``key``; a plain index means seed 0, epoch 0."""
        key = key if isinstance(key, SampleKey) else SampleKey(0, 0, int(key))
        self.full_init()
        for _ in range(len(self)):
            record = self.record_of(key)
            if self._corrupt is not None:
                self._corrupt.read[record] = True
            try:
                return self._make(key)
            except DataError as error:
                if self._corrupt is None:
                    raise
                self._corrupt.add(record, error)
            except MMSapiensError:
                raise
            except Exception as error:
                raise DataError(
                    f"{self._describe(key)}: {type(error).__name__}: {error} "
                    f"(sample {tuple(key)} = seed, epoch, index)"
                ) from error
            key = key._replace(index=(key.index + 1) % len(self))
        raise DataError(
            f"{type(self).__name__}: none of its {len(self)} samples can be read; the warnings "
            "above say why."
        )

    def record_of(self, key: SampleKey) -> int:
        """Returns the index of the record that a sample is made of; not every one need be used."""
        return key.index

    def _make(self, key: SampleKey) -> Any:
        packed = self._draw(key)
        if packed is None:
            raise DataError(f"{self._describe(key)}: a transform returned None.")
        return packed

    def _draw(self, key: SampleKey) -> Any:
        """Returns what the pipeline makes of ``key``; None if a transform rejects it."""
        sample = self.get_data_info(self.record_of(key))
        sample["metainfo"] = self._metainfo
        sample["sample_key"] = tuple(key)
        sample["rng"] = np.random.default_rng([key.seed, key.epoch, key.index])
        return self.pipeline(sample)

    def _describe(self, key: SampleKey) -> str:
        return f"{type(self).__name__}: {self._name_of(self.record_of(key))}"

    def _name_of(self, index: int) -> str:
        return str(self.get_data_info(index).get("img_path", f"record {index}"))
