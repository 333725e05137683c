"""How many images a second one data worker delivers, next to MMCV's eager transforms."""

from __future__ import annotations

import argparse
import pickle
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.registry import DATASETS, init_default_scope
from rich.console import Console

from engine.config import load_config
from engine.data.dataset import BaseDataset
from engine.data.mirror import pairs_of
from engine.data.sampling import SampleKey
from engine.tables import format_table
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
    console = Console(highlight=False, soft_wrap=True)
    sent = f"{timing.sent_bytes / 2**20:.2f} MiB a sample"
    console.print(f"{args.config}: {timing.num_samples} images, one worker, one thread, {sent}\n")
    pipelines = ("lazy (ours)", timing.lazy, timing.ratio), ("eager (MMCV)", timing.eager, 1.0)
    rows = [
        (name, f"{1000 * seconds:.2f}", f"{1 / seconds:.1f}", f"{ratio:.2f}" if ratio else "")
        for name, seconds, ratio in pipelines
        if seconds is not None
    ]
    console.print(format_table(("pipeline", "ms/image", "images/s", "ratio"), rows), end="\n\n")
    stages = [(name, f"{1000 * seconds:.3f}") for name, seconds in timing.stages.items()]
    console.print(format_table(("stage (ours)", "ms/image"), stages))


def measure(dataset: BaseDataset, num: int = 64, rounds: int = 3, seed: int = 0) -> DataTiming:
    """Times a dataset's pipeline and the eager one of the same recipe, on the same files.

    The two take turns, so that a busy machine slows both. A first turn of each warms caches and is
    not counted.

    Args:
        dataset: A dataset with a lazy train pipeline. One without eager counterpart is timed alone.
        num: Images a round; a smaller dataset is repeated.
        rounds: Turns each pipeline gets; every turn draws anew.
        seed: Of all draws.
    """
    pairs = pairs_of(dataset.metainfo, "classes") or ()
    eager = eager_pipeline(dataset.pipeline.transforms, pairs)
    samples = {"lazy": lambda epoch, index: dataset[SampleKey(seed, epoch, index)]}
    if eager is not None:
        samples["eager"] = lambda _, index: eager(dataset.get_data_info(index))
    stages: dict[str, float] = defaultdict(float)

    def take_turn(name: str, epoch: int) -> float:
        """Makes ``num`` samples; returns the seconds of one."""
        np.random.seed(seed + epoch)  # from which the eager pipeline draws
        start = time.perf_counter()
        for i in range(num):
            samples[name](epoch, i % len(dataset))
        return (time.perf_counter() - start) / num

    with single_threaded():
        turns = [{name: take_turn(name, epoch) for name in samples} for epoch in range(rounds + 1)]
        with _timed_stages(dataset, stages):
            take_turn("lazy", 0)
    seconds = {name: float(np.mean([turn[name] for turn in turns[1:]])) for name in samples}
    return DataTiming(
        lazy=seconds["lazy"],
        eager=seconds.get("eager"),
        stages={name: total / num for name, total in stages.items()},
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
