"""The records of a config's data loaders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from engine.data.files import collect_left_out
from engine.errors import ConfigError, DataError
from mmsapiens.preflight.check import Case, Finding, Item

SPLITS = ("train", "val", "test")


def list_records(
    cfg: Config, split: str = "all", max_samples: int | None = None
) -> tuple[list[Item], dict[str, dict], list[Finding]]:
    """Lists the records of one split, or of all; loaders of the same records count once.

    Args:
        cfg: A config that :func:`engine.config.load_config` made.
        split: ``"train"``, ``"val"``, ``"test"`` or ``"all"``.
        max_samples: Take so many a split, spread evenly.

    Returns:
        All records; the metainfo of the datasets by split; files that belong to no record, and
        datasets that cannot be made.

    Raises:
        ConfigError: If the config has no such split, or its splits differ in their classes.
    """
    init_default_scope(cfg.get("default_scope", "mmengine"))
    items: list[Item] = []
    metainfos: dict[str, dict] = {}
    unpaired: dict[Case, None] = {}  # the splits of one folder find the same ones
    passed_over: dict[Case, None] = {}
    broken = []
    for name, dataset_cfg in _distinct(cfg, SPLITS if split == "all" else (split,)).items():
        dataset = DATASETS.build({**dataset_cfg, "pipeline": [], "lazy_init": True})
        metainfos[name] = dataset.metainfo
        with collect_left_out() as left_out:
            try:
                dataset.full_init()
            except DataError as error:
                broken.append(Case(name, str(error)))
                continue
            finally:
                unpaired.update((Case(str(path), why), None) for path, why in left_out.unpaired)
                passed_over.update(
                    (Case(str(path), what), None) for path, what in left_out.passed_over
                )
        for i in spread(len(dataset), max_samples):
            items.append(Item(name, dataset.get_data_info(i)))
    _check_classes(metainfos)
    findings = [
        Finding("unpaired", "fault", "files without their partner; add or remove", tuple(unpaired)),
        Finding("passed-over", "note", "files that are no part of it", tuple(passed_over)),
        Finding("broken-dataset", "fault", "datasets that cannot be made", tuple(broken)),
    ]
    return items, metainfos, [finding for finding in findings if finding.cases]


def _distinct(cfg: Config, splits: Sequence[str]) -> dict[str, dict]:
    """The datasets of the splits without pipelines; of equal ones the first."""
    distinct: dict[str, dict] = {}
    for split in splits:
        loader = cfg.get(f"{split}_dataloader")
        if loader is None:
            continue
        dataset = {k: v for k, v in loader["dataset"].items() if k not in ("pipeline", "test_mode")}
        if dataset not in distinct.values():
            distinct[split] = dataset
    if not distinct:
        raise ConfigError(
            f"{cfg.filename}: it has no {' or '.join(f'{s}_dataloader' for s in splits)} to check."
        )
    return distinct


def _check_classes(metainfos: dict[str, dict]) -> None:
    classes = {split: tuple(meta.get("classes", ())) for split, meta in metainfos.items()}
    if len(set(classes.values())) > 1:
        raise ConfigError(
            f"the splits {', '.join(classes)} differ in their classes: "
            f"{'; '.join(str(names) for names in classes.values())}. Check them one by one with "
            "--split, or correct the datasets."
        )


def spread(length: int, num: int | None) -> list[int]:
    """Indices of ``num`` records, evenly spread; all if there are fewer."""
    if num is None or num >= length:
        return list(range(length))
    return np.linspace(0, length - 1, num).astype(int).tolist()
