"""What a check of a dataset is: something measured in each sample, and what all of them say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from engine.data.sample import Sample
from engine.tables import format_table

MIN_IMAGES = 10
"""Fewer images say nothing about the rest."""


class Item(NamedTuple):
    """A record of the dataset.

    Attributes:
        split: Of which data loader.
        record: Paths and annotations, as the dataset's ``get_data_info`` gives them.
    """

    split: str
    record: dict[str, Any]

    @property
    def path(self) -> str:
        """Names the record: its image."""
        return self.record.get("img_path", f"record {self.record.get('sample_idx')}")


@dataclass(frozen=True)
class Case:
    """One place where something was found.

    Args:
        path: The file.
        detail: What is special about this one.
        image: The path that names its sample, if that is another one.
    """

    path: str
    detail: str = ""
    image: str = ""

    @property
    def sample(self) -> str:
        """Names the sample, as ``Item.path`` does."""
        return self.image or self.path


@dataclass(frozen=True)
class Finding:
    """Something that a user should know.

    Args:
        kind: Short name, such as "unreadable".
        level: ``"fault"`` stops or spoils a training or its evaluation; a ``"note"`` does not.
        message: What it means and what to do.
        cases: Where.
    """

    kind: str
    level: Literal["fault", "note"]
    message: str
    cases: tuple[Case, ...]


def extent(values: ArrayLike) -> dict[str, float]:
    """Returns the least, the median and the greatest of some values, as a report has them."""
    values = np.asarray(values)
    return {
        "min": values.min().item(),
        "median": float(np.median(values)),
        "max": values.max().item(),
    }


def extent_table(title: str, extents: Mapping[str, dict[str, float]], form: str) -> str:
    """Tabulates extents by what they are of; ``form`` formats a number, such as ``"{:.1%}"``."""
    rows = [(name, *map(form.format, values.values())) for name, values in extents.items()]
    return format_table((title, "min", "median", "max"), rows)


@dataclass(frozen=True)
class Summary:
    """What a check says of a dataset.

    Args:
        findings: Faults and notes.
        figures: For the JSON report.
        tables: For the printed one.
    """

    findings: list[Finding]
    figures: dict[str, Any]
    tables: list[str]


class Check(Protocol):
    """Checks one field of the samples; a new field is one more class of this kind."""

    name: str
    """The field, and the key of its figures in the report."""
    key: str
    """The record's key that the field is read from; samples without it are not checked."""

    def measure(self, sample: Sample) -> Any:
        """Reads the field into a sample, as the loading transforms do, and measures it.

        Runs in worker processes. Checks see the same sample one after the other.

        Args:
            sample: The record with ``metainfo``, and the fields of the checks before this one.

        Returns:
            A small picklable object.

        Raises:
            Exception: Of any kind, if the file cannot be read; reported as "unreadable".
        """

    def summarise(self, metainfo: dict, measured: Sequence[tuple[Item, Any]]) -> Summary:
        """Says what the measurements of all samples mean.

        Args:
            metainfo: The dataset's.
            measured: Items and what ``measure`` returned for them.
        """
