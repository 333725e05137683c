"""One predictor a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from engine.data.sample import DataSample
from engine.errors import ConfigError
from engine.infer import Failure, InputImage, predict_images
from mmsapiens.predictors.predictor import Predictor, R
from mmsapiens.predictors.results import Depth, Features, Normals, Parts, People, Source
from pose.infer import BoxesFile, BoxSource, PeopleOfImage, PoseWriter, predict_people, whole_image
from pose.infer.boxes import Boxes
from pretrain.features import FeatureWriter
from seg.parts.writer import SegWriter
from seg.people import MARGIN, check_people, predict_maps
from seg.surface.writer import DepthWriter, NormalWriter


class ImagePredictor(Predictor[R]):
    """Predicts whole images."""

    def predict(self, images: Sequence[InputImage], **options: Any) -> Iterator[R | Failure]:
        """Predicts images, in their order."""
        workers = 0 if any(image.pixels is not None for image in images) else self.num_workers
        for item in predict_images(self.model, self.cfg, images, self.batch_size, workers):
            if isinstance(item, Failure):
                yield item
            else:
                # On the CPU, as a list of results must not fill a GPU.
                yield self.result(item.image, item.sample.cpu())

    @abstractmethod
    def result(self, image: InputImage, sample: DataSample) -> R:
        """Makes the result of a data sample."""

    def source(self, image: InputImage, sample: DataSample) -> Source:
        """Returns what a result draws and writes itself with."""
        return Source(image, sample, self.writer)


class DensePredictor(ImagePredictor[R]):
    """Predicts whole images, or the people in them one by one.

    Options of a call:
        boxes: Where the people are, as for :class:`PosePredictor`; without it, or with None, whole
            images are predicted. For what of boxes that overlap lies on top, and what is outside
            all of them, see :func:`seg.people.predict_maps`.
        box_margin: Factor of a box's width and height, at least 1.
    """

    options = ("boxes", "box_margin")

    def check_options(self, **options: Any) -> None:
        """Checks that there are no others than ``boxes`` and ``box_margin``."""
        super().check_options(**options)
        if options.get("boxes") is not None:
            check_people(self.cfg, options.get("box_margin", MARGIN))
        elif "box_margin" in options:
            raise ConfigError("box_margin is of boxes, which are not given.")

    def predict(
        self,
        images: Sequence[InputImage],
        boxes: Any = None,
        box_margin: float = MARGIN,
        **options: Any,
    ) -> Iterator[R | Failure]:
        """Predicts images, in their order."""
        if boxes is None:
            yield from super().predict(images)
            return
        workers = 0 if any(image.pixels is not None for image in images) else self.num_workers
        model: Any = self.model
        source, size = box_source(boxes), self.batch_size
        for item in predict_maps(model, self.cfg, images, source, size, workers, box_margin):
            yield item if isinstance(item, Failure) else self.result(item.image, item.sample)


class PartSegmenter(DensePredictor[Parts]):
    """Finds body parts, or the classes of another segmentation; gives :class:`Parts`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.dataset_meta["classes"])

    def result(self, image: InputImage, sample: DataSample) -> Parts:
        """Makes the result of a data sample."""
        source, labels = self.source(image, sample), sample.pred_sem_seg.data[0].cpu().numpy()
        kept = sample.get("seg_probabilities")
        probabilities = None if kept is None else kept.data.cpu().numpy()
        return Parts(
            source=source, labels=labels, classes=self.classes, probabilities=probabilities
        )


class DepthPredictor(DensePredictor[Depth]):
    """Predicts relative depth; gives :class:`Depth`."""

    def result(self, image: InputImage, sample: DataSample) -> Depth:
        """Makes the result of a data sample."""
        depth = sample.pred_depth_map.data[0].float().cpu().numpy()
        return Depth(source=self.source(image, sample), depth=depth)


class NormalPredictor(DensePredictor[Normals]):
    """Predicts surface normals; gives :class:`Normals`."""

    def result(self, image: InputImage, sample: DataSample) -> Normals:
        """Makes the result of a data sample."""
        normals = sample.pred_normal_map.data.float().cpu().numpy().transpose(1, 2, 0)
        return Normals(source=self.source(image, sample), normals=np.ascontiguousarray(normals))


class FeaturePredictor(ImagePredictor[Features]):
    """Gives the :class:`Features` of a backbone."""

    def result(self, image: InputImage, sample: DataSample) -> Features:
        """Makes the result of a data sample."""
        maps = sample.attention.data.float().cpu().numpy() if "attention" in sample else None
        features = sample.features.data.float().cpu().numpy()
        return Features(source=self.source(image, sample), features=features, attention=maps)


class PosePredictor(Predictor[People]):
    """Finds the keypoints of people; gives :class:`People`.

    Options of a call:
        boxes: Where the people are: an array (N, 4) or (N, 5), x1, y1, x2, y2 (, score) in pixels,
            for every image; a JSON file of boxes by image name; or a function of the pixels and
            the name of an image, such as :class:`pose.infer.OnnxDetector`. By default the whole
            image is taken for one person.
    """

    default_batch_size = 8
    options = ("boxes",)

    def predict(
        self, images: Sequence[InputImage], boxes: Any = None, **options: Any
    ) -> Iterator[People | Failure]:
        """Predicts images, in their order."""
        workers = 0 if any(image.pixels is not None for image in images) else self.num_workers
        found = predict_people(
            self.model, self.cfg, images, box_source(boxes), self.batch_size, workers
        )
        for item in found:
            yield item if isinstance(item, Failure) else self.result(item)

    def result(self, found: PeopleOfImage) -> People:
        """Makes the result of an image."""
        people = found.sample.pred_instances
        return People(
            source=Source(found.image, found.sample, self.writer),
            keypoints=people.keypoints.numpy(),
            scores=people.keypoint_scores.numpy(),
            boxes=people.bboxes.numpy(),
            box_scores=people.bbox_scores.numpy(),
            names=tuple(self.model.metainfo.keypoints),
        )


class GivenBoxes:
    """The same boxes for every image."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes

    def __call__(self, image_bgr: Any, name: str) -> Boxes:
        """Returns them."""
        return self.boxes


def box_source(boxes: Any) -> BoxSource:
    """Returns what finds people, from the option ``boxes``.

    Raises:
        ConfigError: If it is nothing of the kind.
    """
    if boxes is None:
        return whole_image
    if callable(boxes):
        return boxes
    if isinstance(boxes, str) or hasattr(boxes, "__fspath__"):
        return BoxesFile(boxes)
    try:
        array = np.asarray(boxes, np.float32)
        array = array.reshape(len(array), -1) if array.size else array.reshape(0, 5)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"boxes: {error}") from error
    if array.shape[1] == 4:
        array = np.column_stack([array, np.ones(len(array), np.float32)])
    if array.shape[1] != 5:
        raise ConfigError(
            f"boxes: expected (N, 4) or (N, 5), x1, y1, x2, y2 (, score); found {array.shape}."
        )
    return GivenBoxes(array)


BY_WRITER: Mapping[type, type[Predictor]] = {
    SegWriter: PartSegmenter,
    DepthWriter: DepthPredictor,
    NormalWriter: NormalPredictor,
    FeatureWriter: FeaturePredictor,
    PoseWriter: PosePredictor,
}
"""The predictor of a config, by its writer."""
