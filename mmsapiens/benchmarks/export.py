"""What a model's exported files are: difference, size, time, and their figure on the test set."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from rich.console import Console

from engine.compile import compile_blocks
from engine.config import load_config
from engine.errors import ConfigError, WeightsError
from engine.infer import init_model
from engine.precision import autocast_context
from engine.runner import Runner
from engine.tables import format_table
from mmsapiens.benchmarks.timing import best_seconds
from mmsapiens.evaluation import prepare
from mmsapiens.export.graphs import Graph
from mmsapiens.export.write import Exported, Options, export

MODELS = ("eager", "compiled")
"""What runs without a file."""


class Kind(NamedTuple):
    """A format, one of :data:`MODELS`, and its dtype."""

    format: str
    dtype: str

    @property
    def options(self) -> Options:
        """How its file is made."""
        aot = self.format == "aot"
        return Options("pt2" if aot else self.format, self.dtype, aot=aot)


@dataclass(frozen=True)
class Matrix:
    """What is measured.

    Args:
        config: Of the model.
        checkpoint: Its weights.
        options: Overrides of the config.
        device: Where models and files run; files for the CPU alone are not timed elsewhere.
        batch_size: Images a forward pass.
        rounds: Turns of each.
    """

    config: str
    checkpoint: str
    options: dict[str, Any]
    device: torch.device
    batch_size: int
    rounds: int

    def cfg(self, dtype: str) -> Config:
        """Returns the config, to be evaluated in a precision."""
        return load_config(self.config, {**self.options, "model.eval_dtype": dtype})

    def export(self, kinds: list[Kind], folder: Path) -> Iterator[tuple[Kind, Exported | str]]:
        """Makes the files; of one that is refused gives the reason."""
        for kind in kinds:
            if kind.format in MODELS:
                continue
            try:
                of_format = folder / kind.format
                yield kind, export(self.cfg("float32"), self.checkpoint, of_format, kind.options)
            except (ConfigError, WeightsError) as error:
                yield kind, str(error)

    def time(self, kinds: list[Kind], files: dict[Kind, Exported]) -> dict[Kind, float]:
        """Returns the seconds that an image takes through the network, by what runs it."""
        size_hw = self.cfg("float32").input_size_hw
        images = torch.randn(self.batch_size, 3, *size_hw, device=self.device)
        tasks = {kind: self._model(kind, images) for kind in kinds if self._runs_as_model(kind)}
        for kind, file in files.items():
            is_for_cpu = kind.format == "aot"
            if kind.format == "safetensors" or (is_for_cpu and self.device.type != "cpu"):
                continue
            tasks[kind] = _through_file(Graph(file.path, file.metadata, self.device), images)
        with torch.inference_mode():
            seconds = best_seconds(tasks, self.rounds, one_thread=False)
        return {kind: of_batch / self.batch_size for kind, of_batch in seconds.items()}

    def _runs_as_model(self, kind: Kind) -> bool:
        no_half = kind.dtype == "float16" and self.device.type == "cpu"  # autocast has none
        return kind.format in MODELS and not no_half

    def _model(self, kind: Kind, images: torch.Tensor) -> Callable[[], object]:
        model, _ = init_model(self.cfg(kind.dtype), self.checkpoint, self.device)
        if kind.format == "compiled":
            compile_blocks(model)

        def forward() -> object:
            with autocast_context(self.device.type, kind.dtype):
                return model.forward_tensor(images).float().cpu()

        return forward

    def evaluate(self, kind: Kind, path: str) -> dict[str, float]:
        """Returns the figures of the test set; none of a config that has none.

        Weights alone are evaluated in float32: what they lost shows.
        """
        cfg = self.cfg(kind.dtype if kind.format in MODELS else "float32")
        if cfg.get("test_evaluator") is None:
            return {}
        prepare(cfg, path, graph=kind.format not in (*MODELS, "safetensors"))
        cfg.log_level = "ERROR"
        cfg.test_dataloader.update(num_workers=0, persistent_workers=False)  # which would stay
        with tempfile.TemporaryDirectory() as cfg.work_dir:
            # By the second alone, MMEngine would give two runs one visualizer and its folder.
            cfg.experiment_name = Path(cfg.work_dir).name
            figures: dict[str, float] = Runner.from_cfg(cfg).test()
        return figures


def run(args: argparse.Namespace) -> None:
    """Makes the files, runs them in turns, evaluates each, and prints a table."""
    MMLogger.get_current_instance().setLevel("ERROR")
    matrix = Matrix(
        args.config,
        args.checkpoint,
        args.cfg_options or {},
        torch.device(args.device),
        args.batch_size,
        args.rounds,
    )
    formats = [*MODELS[: 1 + args.compile], *args.formats]
    kinds = [Kind(name, dtype) for dtype in args.dtypes for name in formats]
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory() as folder:
        made = dict(matrix.export(kinds, Path(folder)))
        files = {kind: file for kind, file in made.items() if isinstance(file, Exported)}
        seconds = matrix.time(kinds, files)
        paths = {kind: str(file.path) for kind, file in files.items()}
        paths |= {k: args.checkpoint for k in seconds if k.format == "eager"}
        figures = {kind: matrix.evaluate(kind, paths[kind]) for kind in kinds if kind in paths}
        found = table(kinds, files, seconds, figures)
    on = torch.cuda.get_device_name() if matrix.device.type == "cuda" else "CPU"
    heading = f"{args.config}: batch of {args.batch_size}, {on}, {torch.get_num_threads()} threads"
    console.print(f"{heading}, fastest of {args.rounds}\n")
    console.print(found)
    for kind, reason in made.items():
        if isinstance(reason, str):
            console.print(f"\n{kind.format} {kind.dtype}: {reason}")


def table(
    kinds: list[Kind],
    files: dict[Kind, Exported],
    seconds: dict[Kind, float],
    figures: dict[Kind, dict[str, float]],
) -> str:
    """Formats a row of each kind; differences are to the model in float32."""
    first = next((name for found in figures.values() for name in found), "")
    rows = []
    for kind in kinds:
        if kind not in files and kind not in seconds:
            continue
        file, time = files.get(kind), seconds.get(kind)
        found = figures.get(kind, {}).get(first)
        rows.append(
            (
                f"{kind.format} {kind.dtype}",
                f"{file.comparison.largest:.1e}" if file else "",
                f"{file.num_bytes / 2**20:.1f}" if file else "",
                f"{1000 * time:.1f}" if time is not None else "",
                f"{found:.3f}" if found is not None else "",
            )
        )
    return format_table(("file", "largest difference", "MiB", "ms/image", first), rows)


def _through_file(graph: Graph, images: torch.Tensor) -> Callable[[], object]:
    given = images.to(getattr(torch, graph.metadata["dtype"]))
    return lambda: graph(given).cpu()
