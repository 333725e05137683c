"""Pictures of samples after augmentation, with labels drawn by the config's visualizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

from mmengine.config import Config
from mmengine.registry import DATASETS, VISUALIZERS, init_default_scope
from numpy.typing import NDArray

from engine.data.sample import DataSample
from engine.data.sampling import SampleKey
from engine.errors import ConfigError
from engine.image_files import image_rgb, write_rgb

Draw = Callable[[NDArray, DataSample], NDArray]
"""Draws the labels of a sample on or beside its image (H, W, 3) RGB; returns a picture in RGB."""


def build_draw(cfg: Config, metainfo: dict) -> Draw:
    """Returns the ``draw`` of the config's visualizer; without one, samples are plain images."""
    init_default_scope(cfg.get("default_scope", "mmengine"))
    settings = cfg.get("visualizer") or {"type": "Visualizer"}
    # MMEngine gives the first visualizer of a name to all who ask, whatever their settings.
    name = f"preflight_{uuid4().hex}"
    visualizer = VISUALIZERS.build({**settings, "name": name, "vis_backends": None})
    visualizer.dataset_meta = metainfo
    return getattr(visualizer, "draw", lambda image, data_sample: image)


def browse(
    cfg: Config, split: str, num: int, out_dir: Path, *, seed: int = 0, epoch: int = 0
) -> Iterator[Path]:
    """Writes samples as the model gets them: after the pipeline, with labels drawn.

    Args:
        cfg: A config that :func:`engine.config.load_config` made.
        split: ``"train"``, ``"val"`` or ``"test"``.
        num: How many; the first ones of the dataset.
        out_dir: Folder of the pictures.
        seed: Of the run, as ``randomness.seed`` sets it.
        epoch: Counted from 0.

    Yields:
        The path of each picture.

    Raises:
        ConfigError: If the config has no such split.
        DataError: If a sample cannot be made.
    """
    init_default_scope(cfg.get("default_scope", "mmengine"))
    loader = cfg.get(f"{split}_dataloader")
    if loader is None:
        raise ConfigError(f"{cfg.filename}: there is no {split}_dataloader.")
    dataset = DATASETS.build(loader["dataset"])
    draw = build_draw(cfg, dataset.metainfo)
    out_dir.mkdir(parents=True, exist_ok=True)
    for index in range(min(num, len(dataset))):
        packed = dataset[SampleKey(seed, epoch, index)]
        picture = draw(image_rgb(packed), packed["data_samples"])
        stem = Path(packed["data_samples"].metainfo.get("img_path", "sample")).stem
        path = out_dir / f"{index:06d}_{stem}.png"
        write_rgb(path, picture)
        yield path
