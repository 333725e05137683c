"""Configs of evaluations: of a checkpoint, or of an exported file in its place."""

from __future__ import annotations

from mmengine.config import Config

from mmsapiens.export.model import has_graph, take_graph
from mmsapiens.preflight.start import check_data_roots, check_runs


def prepare(cfg: Config, checkpoint: str, graph: bool) -> None:
    """Makes of a config one whose ``Runner.test`` evaluates a file.

    Args:
        cfg: Of the model, with the input of the file's size: see
            :func:`mmsapiens.export.model.size_option`.
        checkpoint: A checkpoint or an exported file.
        graph: Whether the file's graph is to run: see :func:`mmsapiens.export.model.find_graph`.

    Raises:
        ConfigError: The config cannot be run, or the file needs ``graph``.
        DataError: The data are not there.
        WeightsError: The file is none of an export, or of another task.
    """
    take_graph(cfg, checkpoint, graph)
    check_runs(cfg, "test")
    check_data_roots(cfg, splits=("test",))
    cfg.load_from, cfg.resume = checkpoint, False
    cfg.adapter = None  # adapters are evaluated as they are used: merged into the weights
    cfg.allow_missing = ()  # what is evaluated must come from the checkpoint
    unused = {"PicturesHook"}
    if has_graph(cfg):
        cfg.load_from = None
        unused.add("EMAHook")  # it averages weights, of which there are none
    cfg.custom_hooks = [hook for hook in cfg.get("custom_hooks", []) if hook["type"] not in unused]
