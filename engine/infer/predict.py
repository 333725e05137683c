"""A model from a config and a checkpoint, and its predictions of image files of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DATASETS, init_default_scope
from mmengine.structures import PixelData
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from engine.allocator import keep_freed_memory
from engine.checkpoint import apply_weights, saved_dataset_meta
from engine.checkpoint.adapted import read_whole
from engine.data.packing import collate_samples
from engine.data.sample import DataSample
from engine.data.workers import explain
from engine.errors import NonFiniteError, WeightsError
from engine.infer.images import InputImage
from engine.infer.loader import loading
from engine.model.base import BaseModel, build_model
from engine.model.deferred import DeferredDraws
from engine.precision import keep_in

T = TypeVar("T")


def init_model(cfg: Config, checkpoint: str, device: str | torch.device) -> tuple[BaseModel, dict]:
    """Builds the model of a config and loads its weights; all of them must be in the file.

    Args:
        cfg: A config from :func:`engine.config.load_config`.
        checkpoint: Path of a .pth or .safetensors file.
        device: Where the model goes.

    Returns:
        The model in evaluation mode, in the precision of its training; and the metainfo of its
        dataset (classes, palette): that of the checkpoint, else that of the config's test dataset.

    Raises:
        WeightsError: If the file does not fit.
    """
    keep_freed_memory()
    init_default_scope(cfg.default_scope)
    loaded = read_whole(checkpoint)
    with DeferredDraws():  # nothing may be missing, so that nothing need be drawn
        model = build_model(cfg.model)
        apply_weights(model, loaded, source=checkpoint, assign=True)
    keep_in(model, model.eval_dtype)
    meta = dataset_meta(cfg, loaded, checkpoint)
    return model.to(device).eval(), meta


def dataset_meta(cfg: Config, loaded: dict[str, Any], checkpoint: str) -> dict[str, Any]:
    """Returns the metainfo of what is predicted: that of the checkpoint, else of the config.

    Args:
        cfg: As for :func:`init_model`.
        loaded: The checkpoint, as :func:`engine.checkpoint.read_checkpoint` returns it.
        checkpoint: Its path.

    Raises:
        WeightsError: If they are of different numbers of classes.
    """
    saved, of_config = saved_dataset_meta(loaded, checkpoint), {}
    if cfg.get("test_dataloader") is not None:  # lazily: the dataset's files need not be there
        of_config = DATASETS.build({**cfg.test_dataloader.dataset, "lazy_init": True}).metainfo
    num, expected = (len(meta.get("classes", ())) for meta in (saved, of_config))
    if num and expected and num != expected:
        raise WeightsError(
            f"{checkpoint}: its meta names {num} classes, and the config's dataset {expected}. "
            "Give the config of the training."
        )
    return {**of_config, **saved}  # released ones say little


class Failure(NamedTuple):
    """An image that could not be done, and why."""

    image: InputImage
    reason: str

    @classmethod
    def of(cls, image: InputImage, error: BaseException) -> Failure:
        """The failure that an error is."""
        return cls(image, f"{type(error).__name__}: {error}")


class ImageFiles(Dataset):
    """Runs a pipeline on image files; an error becomes a Failure.

    Args:
        images: The files.
        pipeline: Transforms, as config dicts.
        keep_pixels: Whether to give the pixels of files along with the samples, as
            :class:`Pixels`, unless the pipeline has its own way of reading them.
    """

    def __init__(
        self, images: Sequence[InputImage], pipeline: Sequence[dict], keep_pixels: bool = False
    ) -> None:
        self.images = images
        self.pipeline = Compose(list(pipeline))
        self.keep_pixels = keep_pixels and pipeline[0] == {"type": "LoadImage"}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.try_prepare(self.images[index], index)

    def try_prepare(self, image: InputImage, index: int) -> Any:
        """Returns what :meth:`prepare` does, or a Failure."""
        try:
            return self.prepare(image, index)
        except Exception as error:  # whatever is wrong with one file must not stop the others
            return Failure.of(image, error)

    def prepare(self, image: InputImage, index: int) -> Any:
        """Returns the packed sample of an image."""
        sample: dict[str, Any] = {"img_path": str(image.path), "sample_idx": index, "metainfo": {}}
        pixels = image.read() if self.keep_pixels else image.pixels
        if pixels is not None:
            sample["img"] = pixels
        packed = self.pipeline({**sample, "rng": np.random.default_rng(index)})
        if self.keep_pixels and pixels is not None:
            packed["pixels"] = Pixels(torch.from_numpy(pixels))
        return packed


@dataclass(frozen=True, eq=False)
class Pixels:
    """An image (H, W, 3) uint8 BGR as a tensor, which goes through shared memory.

    Inside of this class the loader does not copy it to pinned memory.
    """

    tensor: Tensor


Collated = tuple[dict | None, list[Failure | Pixels | None]]
"""A batch of what could be prepared; for each image its pixels, if they are kept, or a Failure."""


class Predicted(NamedTuple):
    """The prediction of an image.

    Attributes:
        image: The file.
        sample: With the prediction at the image's size.
        pixels: Of the image, (H, W, 3) uint8 BGR, if they are kept.
    """

    image: InputImage
    sample: DataSample
    pixels: NDArray | None


def image_pipeline(cfg: Config) -> list[dict]:
    """Returns the steps of a config's test dataset, without those that load labels."""
    return [
        step
        for step in cfg.test_dataloader.dataset.pipeline
        if step["type"] == "LoadImage" or not step["type"].startswith("Load")
    ]


def collate(items: list) -> Collated:
    """Makes a batch of packed samples, some of which may be Failures."""
    packed = [item for item in items if not isinstance(item, Failure)]
    kept = [item if isinstance(item, Failure) else item.pop("pixels", None) for item in items]
    return (collate_samples(packed) if packed else None), kept


def predict_images(
    model: BaseModel,
    cfg: Config,
    images: Sequence[InputImage],
    batch_size: int = 1,
    num_workers: int = 2,
    keep_pixels: bool = False,
) -> Iterator[Predicted | Failure]:
    """Predicts images, in their order.

    Args:
        model: From :func:`engine.infer.init_model`.
        cfg: Its config; of its test dataset the :func:`image_pipeline` is used.
        images: The files; sizes may be mixed.
        batch_size: Images a forward pass.
        num_workers: Processes that read and resize.
        keep_pixels: Whether to hand on the pixels of the images.

    Yields:
        The image, its data sample, predictions at the original size, and its pixels; or a
        :class:`Failure`.
    """
    files = ImageFiles(images, image_pipeline(cfg), keep_pixels)
    next_image = iter(images).__next__
    with loading(files, num_workers, batch_size, collate, model.device.type == "cuda") as batches:
        for collated in batches:
            for predicted, kept in zip(predict_batch(model, collated), collated[1], strict=True):
                image = next_image()
                if isinstance(predicted, Failure):
                    yield predicted
                elif isinstance(predicted, Exception):
                    yield Failure.of(image, predicted)
                else:
                    pixels = kept.tensor.numpy() if isinstance(kept, Pixels) else None
                    yield Predicted(image, predicted, pixels)


def predict_batch(
    model: BaseModel, collated: Collated
) -> Iterator[DataSample | Exception | Failure]:
    """Predicts a batch, in the order of its images; of each gives the prediction, or what failed.

    Args:
        model: From :func:`engine.infer.init_model`.
        collated: From :func:`collate`.
    """
    batch, kept = collated
    done = iter(()) if batch is None else _predict_each(model, batch)
    for item in kept:
        yield item if isinstance(item, Failure) else next(done)


def _predict_each(model: BaseModel, batch: dict) -> Iterator[DataSample | Exception]:
    """Predicts the images of a batch together, or one by one if that fails."""
    samples: list[DataSample] = batch["data_samples"]
    predicted = try_predict(lambda: model.test_step(batch))
    if not isinstance(predicted, Exception):
        yield from map(_require_finite, predicted)
    elif len(samples) == 1:
        yield predicted
    else:
        for i, sample in enumerate(samples):
            yield from _predict_each(
                model, {"inputs": batch["inputs"][i : i + 1], "data_samples": [sample]}
            )


def _require_finite(sample: DataSample) -> DataSample | NonFiniteError:
    """Returns the sample; or an error if a map, such as of depth, is NaN or infinite anywhere."""
    maps = [value.data for value in sample.values() if isinstance(value, PixelData)]
    if all(values.isfinite().all() for values in maps):
        return sample
    return NonFiniteError("NaN or infinity in the prediction")


def try_predict(predict: Callable[[], T]) -> T | Exception:
    """Predicts; returns what that raises, such as that the memory does not suffice.

    A prediction that fails must not stop those of other images. That a data worker has ended, which
    PyTorch may say at any moment, is raised.
    """
    try:
        with torch.inference_mode():
            return predict()
    except Exception as error:
        if explain(error) is not error:
            raise
        problem = error.with_traceback(None)  # its frames hold the tensors that filled the memory
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return problem
