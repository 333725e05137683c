"""How many images a second one data worker delivers, next to MMCV's eager transforms."""

from __future__ import annotations

import argparse
import pickle
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.registry import DATASETS, init_default_scope
from rich.console import Console
from rich.table import Table

from engine.config import load_config
from engine.data.dataset import BaseDataset
from engine.data.mirror import pairs_of
from engine.data.sampling import SampleKey
from mmsapiens.benchmarks.eager import eager_pipeline
from mmsapiens.benchmarks.timing import single_threaded


@dataclass(frozen=True)
class DataTiming:
    """Seconds an image takes from disk to packed sample, one process, one thread."""

    lazy: float
    eager: float | None
    """None if a transform has no eager counterpart here, as those of depth, normals and pose."""
    stages: dict[str, float]
    """Of the lazy pipeline's transforms, by name."""
    num_samples: int
    """Images timed in each pipeline."""
    sent_bytes: int
    """Size of a packed sample, as a worker sends it."""

    @property
    def ratio(self) -> float | None:
        """How many times as many images a second the lazy pipeline delivers."""
        return None if self.eager is None else self.eager / self.lazy


def run(args: argparse.Namespace) -> None:
    """Measures the train pipeline of a config and prints the result."""
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get("default_scope", "mmengine"))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    timing = measure(dataset, num=args.num, rounds=args.rounds)
    console = Console()
    sent = f"{timing.sent_bytes / 2**20:.2f} MiB a sample"
    console.print(f"{args.config}: {timing.num_samples} images, one worker, one thread, {sent}")
    summary = Table("pipeline", "ms/image", "images/s", "ratio")
    for name, seconds, ratio in (
        ("lazy (ours)", timing.lazy, timing.ratio),
        ("eager (MMCV)", timing.eager, 1.0),
    ):
        if seconds is not None:
            shown = "" if ratio is None else f"{ratio:.2f}"
            summary.add_row(name, f"{1000 * seconds:.2f}", f"{1 / seconds:.1f}", shown)
    console.print(summary)
    stages = Table("stage (ours)", "ms/image")
    for name, seconds in timing.stages.items():
        stages.add_row(name, f"{1000 * seconds:.3f}")
    console.print(stages)


def measure(dataset: BaseDataset, num: int = 64, rounds: int = 3, seed: int = 0) -> DataTiming:
    """Times a dataset's pipeline and the eager one of the same recipe, on the same files.

    The two take turns, so that a busy machine slows both. The first images of each warm caches
    and are not counted.

    Args:
        dataset: A dataset with a lazy train pipeline. One without eager counterpart is timed alone.
        num: Images a round; a smaller dataset is repeated.
        rounds: Turns each pipeline gets; every turn draws anew.
        seed: Of all draws.
    """
    pairs = pairs_of(dataset.metainfo, "classes") or ()
    eager = eager_pipeline(dataset.pipeline.transforms, pairs)
    indices = [i % len(dataset) for i in range(num)]
    times: dict[str, float] = defaultdict(float)
    stages: dict[str, float] = defaultdict(float)

    def pass_lazy(epoch: int, indices: Sequence[int] = indices) -> float:
        start = time.perf_counter()
        for index in indices:
            dataset[SampleKey(seed, epoch, index)]
        return time.perf_counter() - start

    def pass_eager(epoch: int) -> float:
        if eager is None:
            return 0.0
        np.random.seed(seed + epoch)
        start = time.perf_counter()
        for index in indices:
            eager(dataset.get_data_info(index))
        return time.perf_counter() - start

    with single_threaded():
        pass_lazy(rounds, indices[:4])
        pass_eager(rounds)
        for epoch in range(rounds):
            times["lazy"] += pass_lazy(epoch)
            times["eager"] += pass_eager(epoch)
        with _timed_stages(dataset, stages):
            pass_lazy(0)
    return DataTiming(
        lazy=times["lazy"] / (num * rounds),
        eager=None if eager is None else times["eager"] / (num * rounds),
        stages={name: seconds / num for name, seconds in stages.items()},
        num_samples=num * rounds,
        sent_bytes=len(pickle.dumps(dataset[SampleKey(seed, 0, 0)])),
    )


@contextmanager
def _timed_stages(dataset: BaseDataset, stages: dict[str, float]) -> Iterator[None]:
    """Adds the seconds that each transform takes to ``stages``."""

    def timed(transform: Callable) -> Callable:
        def call(sample: dict[str, Any]) -> Any:
            start = time.perf_counter()
            result = transform(sample)
            stages[type(transform).__name__] += time.perf_counter() - start
            return result

        return call

    transforms = dataset.pipeline.transforms
    dataset.pipeline.transforms = [timed(transform) for transform in transforms]
    try:
        yield
    finally:
        dataset.pipeline.transforms = transforms
