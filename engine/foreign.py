"""What names of MMSegmentation, MMPose, MMPretrain, MMCV and the release are called here.

docs/porting.md shows this table; ``mmsapiens port`` and the error about an unknown name use it.
Names that are not here are the same, or there is nothing for them.
"""

from __future__ import annotations

from typing import NamedTuple

#: The packages' scopes -> ours.
SCOPES = {"mmseg": "seg", "mmpose": "pose", "mmpretrain": "pretrain"}


class Counterpart(NamedTuple):
    """What does here what another project's class does there.

    Attributes:
        name: Its registered name; empty if that takes something else.
        note: What else there is to know, or what to do instead.
    """

    name: str
    note: str = ""


_IN_WARP = "`Warp` moves every field of a sample with the image, so the image's transform does"
_PACKED = "it packs whatever the sample holds"
_PICTURES = "images are drawn by the `visualizer` of the task"

COUNTERPARTS: dict[str, Counterpart] = {
    # Models
    "SegDataPreProcessor": Counterpart("DataPreprocessor", "pipelines end in one size: no padding"),
    "PoseDataPreprocessor": Counterpart("DataPreprocessor"),
    "SelfSupDataPreprocessor": Counterpart("DataPreprocessor"),
    "ImgDataPreprocessor": Counterpart("DataPreprocessor"),
    "VitTransformerHead": Counterpart("VitHead"),
    "SegTTAModel": Counterpart("", "`model.test_views=dict(flip=True, scales=(...))`"),
    # Datasets and samplers
    "BaseSegDataset": Counterpart("SegFolderDataset", "`img_dir`, `seg_dir`, `classes`"),
    "DepthCombinedDataset": Counterpart("", "the one dataset itself, with the pipeline"),
    "NormalCombinedDataset": Counterpart("", "the one dataset itself, with the pipeline"),
    "GoliathEvalDataset": Counterpart("GoliathDataset", "the keypoints', of scope `pose`"),
    "Humans300M": Counterpart("ImageListDataset", "or `TarImageDataset`"),
    "CustomDataset": Counterpart("ImageListDataset", "images without labels"),
    "DefaultSampler": Counterpart("SeededSampler"),
    "InfiniteSampler": Counterpart("SeededSampler"),
    # Loading and packing
    "LoadImageFromFile": Counterpart("LoadImage"),
    "LoadAnnotations": Counterpart("LoadLabels", "`label_map` is an argument of the dataset"),
    "PackSegInputs": Counterpart("PackInputs", _PACKED),
    "PackPoseInputs": Counterpart("PackInputs", _PACKED),
    "PackDepthInputs": Counterpart("PackInputs", _PACKED),
    "PackNormalInputs": Counterpart("PackInputs", _PACKED),
    # Geometry
    "RandomDepthCrop": Counterpart("RandomCrop", _IN_WARP),
    "RandomNormalCrop": Counterpart("RandomCrop", _IN_WARP),
    "DepthResize": Counterpart("Resize", _IN_WARP),
    "NormalResize": Counterpart("Resize", _IN_WARP),
    "DepthRandomRotate": Counterpart("RandomRotate", _IN_WARP),
    "DepthRandomFlip": Counterpart("RandomFlip", _IN_WARP),
    "NormalRandomFlip": Counterpart("RandomFlip", _IN_WARP),
    "RandomDepthResizeCompensate": Counterpart("", _IN_WARP),
    "RandomNormalResizeCompensate": Counterpart("", _IN_WARP),
    "CenterCrop": Counterpart("", "`Resize(keep_ratio=True)`, or `RandomCrop`"),
    "Pad": Counterpart("", "`Resize`; `Warp` fills what the image does not show"),
    # Appearance and targets
    "PhotometricDistortion": Counterpart("PhotoMetricDistortion"),
    "Albumentation": Counterpart("", "`RandomBlur`, `CoarseDropout`"),
    "Normalize": Counterpart("", "`model.data_preprocessor` normalises, on the device"),
    "RandomGrayscale": Counterpart("", "`PhotoMetricDistortion(saturation_range=(0, 1))`"),
    "GenerateTarget": Counterpart("", "`model.head.decoder` draws heatmaps on the device"),
    "ToTensor": Counterpart("PackInputs", _PACKED),
    "ImageToTensor": Counterpart("PackInputs", _PACKED),
    "RandomApply": Counterpart("", "the argument `prob` of a transform"),
    "RandomChoice": Counterpart("", "the argument `prob` of a transform"),
    # Runs
    "AmpOptimWrapper": Counterpart("AutocastOptimWrapper", '`dtype="bfloat16"`, also on CPUs'),
    "OptimWrapper": Counterpart("AutocastOptimWrapper", '`dtype="float32"`'),
    "EpochBasedTrainLoop": Counterpart("ResumableTrainLoop"),
    "LearningRateDecayOptimWrapperConstructor": Counterpart("LayerDecayOptimWrapperConstructor"),
    "LearningRateDecayOptimizerConstructor": Counterpart("LayerDecayOptimWrapperConstructor"),
    "GoliathCocoWholeBodyMetric": Counterpart("GoliathMetric"),
    "SegVisualizationHook": Counterpart("PicturesHook", _PICTURES),
    "DepthVisualizationHook": Counterpart("PicturesHook", _PICTURES),
    "NormalVisualizationHook": Counterpart("PicturesHook", _PICTURES),
    "PoseVisualizationHook": Counterpart("PicturesHook", _PICTURES),
    "CustomPoseVisualizationHook": Counterpart("PicturesHook", _PICTURES),
    "GeneralPoseVisualizationHook": Counterpart("PicturesHook", _PICTURES),
    "PretrainVisualizationHook": Counterpart("PicturesHook", _PICTURES),
    "SegLocalVisualizer": Counterpart("SegVisualizer"),
    "PoseLocalVisualizer": Counterpart("PoseVisualizer"),
    "UniversalVisualizer": Counterpart("MAEVisualizer"),
}


def advice(name: str) -> str:
    """Returns what to write for a name of another project; empty if nothing is known of it."""
    counterpart = COUNTERPARTS.get(name.rpartition(".")[2])
    if counterpart is None:
        return ""
    note = counterpart.note.replace("`", "")
    if not counterpart.name:
        return f" Here that takes: {note}."
    return f' Here that is "{counterpart.name}"{f": {note}" if note else ""}.'
