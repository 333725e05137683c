"""What an evaluation needs besides predictions, checked before the training that it follows."""

from __future__ import annotations

from mmengine.runner import BaseLoop

from engine.data.dataset import BaseDataset
from engine.data.files import missing_files
from engine.errors import DataError


def check_files(dataset: BaseDataset) -> None:
    """Checks that the files of all records exist; each folder is read once.

    A dataset that passes over what it cannot read is left to itself.

    Raises:
        DataError: With the number of those that do not, and some of their names.
    """
    if getattr(dataset, "on_corrupt", "skip") == "skip":
        return
    records = (dataset.get_data_info(i) for i in range(len(dataset)))
    paths = {
        str(value)
        for record in records
        if "archive" not in record
        for key, value in record.items()
        if key.endswith("_path")
    }
    missing = missing_files(sorted(paths))
    if missing:
        raise DataError(
            f"{type(dataset).__name__}: {len(missing)} of {len(paths)} files do not exist, such as "
            f"{', '.join(missing[:3])}. Correct the folders that the config names, or fetch the "
            "missing files."
        )


def check_evaluation(loop: BaseLoop) -> list[str] | None:
    """Checks the files, a first sample, and what the metrics' ``prepare(dataset, sample)`` does.

    Args:
        loop: Of a validation or a test.

    Returns:
        Names of all figures, in the order in which they are reported; None if a metric has no
        ``prepare``.

    Raises:
        MMSapiensError: The evaluation would fail after the last prediction.
    """
    dataset = loop.dataloader.dataset
    check_files(dataset)
    metrics = loop.evaluator.metrics
    if not isinstance(dataset, BaseDataset) or not all(hasattr(m, "prepare") for m in metrics):
        return None
    sample = dataset[0]["data_samples"]
    return [name for metric in metrics for name in metric.prepare(dataset, sample)]
