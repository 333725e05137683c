"""What the predictors of all tasks share."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from engine.data.workers import explain
from engine.errors import ConfigError, DataError
from engine.infer import Failure, InputImage, build_writer
from engine.model.base import BaseModel
from mmsapiens.predictors.inputs import ColorOrder, is_one, list_images
from mmsapiens.predictors.results import Result

if TYPE_CHECKING:
    from typing_extensions import Self

    from mmsapiens.export.write import Exported

R = TypeVar("R", bound=Result)


class Predictor(ABC, Generic[R]):
    """A model, ready to predict; :func:`mmsapiens.load` makes it.

    Several threads may use it. As a context manager it lets go of the model at the end:
    ``with mmsapiens.load(...) as model: ...``

    Args:
        cfg: Of the model.
        model: In evaluation mode, with its weights.
        dataset_meta: Names of classes, colours.
        checkpoint: Where the weights are from, for :meth:`export`.
        batch_size: Images, or people who are cut out, a forward pass.
        num_workers: Processes that read image files; images in memory need none.

    Attributes:
        cfg, model, batch_size, num_workers: As given; the last two may be changed.
    """

    default_batch_size: ClassVar[int] = 1
    options: ClassVar[Sequence[str]] = ()
    """Names of the options of a call that are the task's own."""

    def __init__(
        self,
        cfg: Config,
        model: BaseModel,
        dataset_meta: dict[str, Any],
        *,
        checkpoint: str | Path | None = None,
        batch_size: int | None = None,
        num_workers: int = 0,
    ) -> None:
        self.cfg = cfg
        self.model = model
        self.dataset_meta = dataset_meta
        self.checkpoint = checkpoint
        self.batch_size = self.default_batch_size if batch_size is None else batch_size
        self.num_workers = num_workers
        self._check_ready()
        self.writer = build_writer(cfg, dataset_meta)

    def __call__(
        self,
        source: Any,
        *,
        stream: bool = False,
        color: ColorOrder = "bgr",
        on_error: Literal["raise", "skip"] = "raise",
        **options: Any,
    ) -> Any:
        """Predicts an image, or many.

        Args:
            source: An image: path, bytes of a file, NumPy array (H, W, 3) or (H, W) uint8, PIL
                image, or tensor (3, H, W), RGB, uint8 or float in [0, 1]. Or many: the frames of a
                video; a folder with its sub-folders, a glob pattern or a ``.txt`` file of paths, of
                images and videos; or an iterable of images.
            stream: Whether many images give an iterator, which holds one batch in memory, in place
                of a list.
            color: Order of the channels of NumPy arrays: "bgr", as OpenCV reads, or "rgb".
            on_error: What an image does that cannot be predicted: "raise" a DataError, or "skip"
                the image, with a warning.
            **options: Of the task: see its class.

        Returns:
            The result of one image; a list of results, or an iterator, of many.

        Raises:
            DataError: If an image cannot be read or predicted, or nothing is there.
            ConfigError: If an option is unknown, or the model was let go of.
        """
        if color not in ("bgr", "rgb") or on_error not in ("raise", "skip"):
            raise ConfigError(
                f"color={color!r}, on_error={on_error!r}: expected 'bgr' or 'rgb', and 'raise' or "
                "'skip'."
            )
        self._check_ready()
        self.check_options(**options)
        results = _explained(self._stream(source, color, on_error, options))
        if is_one(source):
            found = list(results)
            if not found:
                raise DataError(f"{source}: it could not be predicted; the warning says why.")
            return iter(found) if stream else found[0]
        return results if stream else list(results)

    def check_options(self, **options: Any) -> None:
        """Checks the options of the task.

        Raises:
            ConfigError: If there is one that the task does not have.
        """
        unknown = [name for name in options if name not in self.options]
        if unknown:
            raise ConfigError(f"{type(self).__name__} has no option {unknown[0]!r}.")

    def _check_ready(self) -> None:
        for name, least in (("batch_size", 1), ("num_workers", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} is an integer of at least {least}; found {value!r}.")
        if not hasattr(self, "model"):
            raise ConfigError("The model was let go of at the end of its with block: load it anew.")

    def _stream(
        self, source: Any, color: ColorOrder, on_error: str, options: dict[str, Any]
    ) -> Iterator[R]:
        for images in list_images(source, color, self.batch_size):
            found = (
                iter([images]) if isinstance(images, Failure) else self.predict(images, **options)
            )
            for item in found:
                if not isinstance(item, Failure):
                    yield item
                elif on_error == "raise":
                    raise DataError(f"{item.image.path}: {item.reason}")
                else:
                    print_log(f"{item.image.path}: {item.reason}", "current", logging.WARNING)

    @abstractmethod
    def predict(self, images: Sequence[InputImage], **options: Any) -> Iterator[R | Failure]:
        """Predicts images, in their order."""

    def export(
        self,
        format: str,
        output: str | Path,
        *,
        dtype: str = "float32",
        batch: int | None = None,
        normalise: str = "outside",
        aot: bool = False,
        images: str | Path | None = None,
        overwrite: bool = False,
    ) -> Exported:
        """Writes the model's checkpoint as a file that runs without this framework, and checks it.

        For another size of images, load the model with ``options={"input_size_hw": (H, W)}``.

        Args:
            format: "torchscript", "pt2", "onnx" or "safetensors".
            output: Folder of the file.
            dtype: Of weights and products: "float32", "float16" or "bfloat16".
            batch: Images a batch; None for any number.
            normalise: "inside" for a file that takes pixels, else it takes (rgb - mean) / std.
            aot: Whether to compile the pt2, for this machine's CPU.
            images: Image, folder, pattern or list to check with; rendered people by default.
            overwrite: Whether the file may exist.

        Returns:
            The file's ``path``, its ``metadata``, and the ``comparison`` with the model.

        Raises:
            ConfigError: The options contradict each other, or the model is an exported file itself.
            OutputError: The file exists, or cannot be written.
            WeightsError: The file computes something else than the model; it was deleted.
        """
        from mmsapiens.export.model import has_graph
        from mmsapiens.export.write import Options, export

        if self.checkpoint is None or has_graph(self.cfg):
            raise ConfigError("Only a model that was loaded from a checkpoint can be exported.")
        options = Options(format, dtype, batch, normalise, aot)
        return export(
            self.cfg, self.checkpoint, output, options, images=images, overwrite=overwrite
        )

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def dtype(self) -> str:
        """In which precision products are computed."""
        return self.model.eval_dtype

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__dict__.pop("model", None)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _explained(results: Iterator[R]) -> Iterator[R]:
    """Says in a sentence of ours if a process that reads images has ended."""
    try:
        yield from results
    except RuntimeError as error:
        explained = explain(error)
        if explained is error:
            raise
        raise explained from error
