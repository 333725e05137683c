"""Batched prediction over image files of any size; a bad file does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from torch.utils.data import DataLoader, Dataset

from engine.data.collate import collate_samples
from engine.data.sample import DataSample
from engine.infer.images import InputImage
from engine.model.base import BaseModel


class Failure(NamedTuple):
    """An image that could not be done, and why."""

    image: InputImage
    reason: str


class _ImageFiles(Dataset):
    """Runs the test pipeline, without its labels, on image files; an error becomes a Failure."""

    def __init__(self, images: Sequence[InputImage], pipeline: Sequence[dict]) -> None:
        self.images = images
        steps = [step for step in pipeline if _needs_only_the_image(step)]
        self.pipeline = Compose(steps)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        image = self.images[index]
        sample = {
            "img_path": str(image.path),
            "sample_idx": index,
            "metainfo": {},
            "rng": np.random.default_rng(index),
        }
        try:
            return self.pipeline(sample)
        except Exception as error:  # whatever is wrong with one file must not stop the others
            return Failure(image, f"{type(error).__name__}: {error}")


def _needs_only_the_image(step: dict) -> bool:
    return step["type"] == "LoadImage" or not step["type"].startswith("Load")


def _collate(items: list) -> tuple[dict | None, list[Failure]]:
    packed = [item for item in items if not isinstance(item, Failure)]
    failures = [item for item in items if isinstance(item, Failure)]
    return (collate_samples(packed) if packed else None), failures


def predict_images(
    model: BaseModel,
    cfg: Config,
    images: Sequence[InputImage],
    batch_size: int = 1,
    num_workers: int = 2,
) -> Iterator[tuple[InputImage, DataSample] | Failure]:
    """Predicts images in order of their batches.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config; the pipeline of its test dataset is used, without the steps that load
            labels.
        images: The files; sizes may be mixed.
        batch_size: Images a forward pass.
        num_workers: Processes that read and resize.

    Yields:
        The image and its data sample, predictions at the original size; or a :class:`Failure`.
    """
    loader = DataLoader(
        _ImageFiles(images, cfg.test_dataloader.dataset.pipeline),
        batch_size=batch_size,
        num_workers=min(num_workers, len(images)),
        collate_fn=_collate,
        pin_memory=model.device.type == "cuda",
    )
    for batch, failures in loader:
        yield from failures
        if batch is not None:
            with torch.inference_mode():
                predictions = model.test_step(batch)
            for sample in predictions:
                yield images[sample.sample_idx], sample
