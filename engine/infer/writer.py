"""From predictions to files: what every writer can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from mmengine.config import Config
from numpy.typing import NDArray

from engine.config.keys import did_you_mean
from engine.config.walk import parameters
from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.image_files import write_rgb
from engine.infer.images import InputImage
from engine.infer.unfinished import complete
from engine.registry import WRITERS


class Output(NamedTuple):
    """One of the files that a writer makes of an image.

    Attributes:
        suffix: What its name is the stem with; the end of it says the format.
        write: Writes it: gets the sample, the image (H, W, 3) uint8 BGR, and the path.
        needs_image: Whether it looks at the image, which otherwise is not read again.
    """

    suffix: str
    write: Callable[[DataSample, NDArray, Path], None]
    needs_image: bool = True


class Writer(ABC):
    """Makes the files of predicted images.

    Each task has one, registered in ``WRITERS`` and named by the config's top-level ``writer``. A
    writer with an argument ``dataset_meta`` gets what is predicted: classes, colours. Images are
    written by several threads.

    Args:
        save: Names of the outputs to write; by default ``default_save``.

    Attributes:
        outputs: What is written, by name.
        common: Names of the files that :meth:`finish` writes.
        takes_masks: Whether :meth:`write` uses ``sample.mask`` (1, H, W), the foreground.
        film: Name of the output that is of a video one file, ``<stem>.mp4``.
        video_save: What is written of a video by default.
        label_suffix: Of the file that :meth:`write_labels` makes; None if there is none.

    Raises:
        ConfigError: If there is no such output.
    """

    default_save: ClassVar[Sequence[str]] = ()
    common: Sequence[str] = ()
    takes_masks: bool = False
    label_suffix: str | None = None
    film: ClassVar[str] = "picture"
    video_save: ClassVar[Sequence[str]] = ("picture",)

    def __init__(self, save: Sequence[str] | None = None) -> None:
        known = self.all_outputs()
        chosen = self.default_save if save is None else save
        for name in chosen:
            if name not in known:
                raise ConfigError(
                    f"{type(self).__name__}: save is of {', '.join(known)}; found {name!r}."
                    f"{did_you_mean(name, known)}"
                )
        self.outputs = {name: known[name] for name in dict.fromkeys(chosen)}

    @abstractmethod
    def all_outputs(self) -> dict[str, Output]:
        """Returns all that there is to write, by name."""

    @property
    def needs_image(self) -> bool:
        """Whether :meth:`write` looks at the image; else it may be of no pixels, (0, 0, 3)."""
        return any(output.needs_image for output in self.outputs.values())

    @property
    def sure_suffixes(self) -> tuple[str, ...] | None:
        """Of the files that every image has; None if they do not hold all that matters later."""
        return self.suffixes

    def check(self, images: Iterable[InputImage]) -> None:  # noqa: B027 - most have nothing to do
        """Checks, before the first is predicted, that all images can be written.

        Raises:
            ConfigError: If one cannot.
        """

    def collect(self, sample: DataSample) -> None:  # noqa: B027
        """Keeps of an image that is written what :meth:`finish` needs; from several threads."""

    def recall(self, image: InputImage, out_dir: Path) -> None:  # noqa: B027
        """Does so from the files that an earlier run has left of an image."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files of an image, such as ``("_seg.npy", ".npy", ".png")``."""
        return tuple(output.suffix for output in self.outputs.values())

    @property
    def video_suffixes(self) -> tuple[str, ...]:
        """Of the files of a whole video."""
        return (".json", ".mp4") if self.film in self.outputs else (".json",)

    @property
    def of_frames(self) -> tuple[str, ...]:
        """Names of the outputs that a video has for each frame."""
        return tuple(name for name in self.outputs if name != self.film)

    def write(self, sample: DataSample, image_bgr: NDArray, out_stem: Path) -> None:
        """Writes the results of an image; each appears under its name when it is complete.

        Args:
            sample: With the prediction, at the image's size or in its pixels.
            image_bgr: The image (H, W, 3) uint8.
            out_stem: Path of the results without suffix.
        """
        for name, output in self.outputs.items():
            if self.has(name, sample):
                with complete(Path(f"{out_stem}{output.suffix}")) as unfinished:
                    output.write(sample, image_bgr, unfinished)

    def has(self, name: str, sample: DataSample) -> bool:
        """Whether there is an output of that name of an image."""
        return True

    def picture(self, sample: DataSample, image_bgr: NDArray) -> NDArray:
        """Returns the picture of a prediction, (H', W', 3) uint8 RGB; see :meth:`write`."""
        raise NotImplementedError(f"{type(self).__name__} draws no pictures.")

    def frame_drawer(self) -> Callable[[DataSample, NDArray], NDArray]:
        """Returns what draws the frames of one video, in their order: :meth:`picture`, of one size.

        What is relative in the picture of an image is so to all frames until then.
        """
        return self.picture

    def write_picture(self, sample: DataSample, image_bgr: NDArray, path: Path) -> None:
        """Writes :meth:`picture`."""
        write_rgb(path, self.picture(sample, image_bgr))

    def write_labels(self, sample: DataSample, out_stem: Path) -> None:
        """Writes the prediction alone, in the form of the dataset's labels; for ``test --out``."""
        raise NotImplementedError(f"{type(self).__name__} has no files of labels.")

    def finish(self, out_dir: Path) -> None:  # noqa: B027 - most have nothing to do
        """Writes what is of all images, once the last of them is written."""


PICTURE_FORMATS = ("png", "jpg", "webp")
MASK_FORMATS = ("npy", "png")


def check_format(name: str, value: str, known: Sequence[str]) -> str:
    """Returns the suffix of a format.

    Raises:
        ConfigError: If it is unknown.
    """
    if value not in known:
        raise ConfigError(f"{name} is one of {', '.join(known)}; found {value!r}.")
    return f".{value}"


def find_writer(cfg: Config, options: Iterable[str] = ()) -> type[Writer]:
    """Returns the class of the config's writer.

    Args:
        cfg: A config with a ``writer``.
        options: Arguments that a command line gives.

    Raises:
        ConfigError: If the writer does not know one of the options.
    """
    writer = WRITERS.get(cfg.writer.type)
    for option in options:
        if option not in parameters(writer).names:
            raise ConfigError(
                f"--{option.replace('_', '-')}: {cfg.writer.type} has no such option."
            )
    return writer


def build_writer(cfg: Config, dataset_meta: dict, options: dict[str, Any] | None = None) -> Writer:
    """Builds the config's writer.

    Args:
        cfg: A config with a ``writer``.
        dataset_meta: Of what is predicted: classes, colours, keypoints.
        options: Arguments that a command line gives; they come before those of the config.

    Raises:
        ConfigError: If the writer does not know one of the options.
    """
    writer = find_writer(cfg, options or ())
    meta = {"dataset_meta": dataset_meta} if "dataset_meta" in parameters(writer).names else {}
    return WRITERS.build({**cfg.writer, **meta, **(options or {})})
