"""Exported files in place of a checkpoint: their graph runs, and the model's code does the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel as MMEngineBaseModel
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from engine.data.sample import DataSample
from engine.errors import ConfigError, WeightsError
from engine.infer import dataset_meta, init_model
from engine.model.base import BaseModel, build_model
from engine.model.deferred import DeferredDraws
from mmsapiens.export.describe import task_of
from mmsapiens.export.graphs import FORMATS, Graph
from mmsapiens.export.metadata import ONNX, read_metadata


@MODELS.register_module()
class ExportedModel(BaseModel):
    """The model of a config, whose raw output the graph of a file makes.

    Views, decoding and sizes are the code of the model, which has no weights.

    Args:
        file: The exported file.
        model: Config of the model that it was made of.

    Raises:
        ConfigError: The model needs more of the network than raw output at one size.
        WeightsError: The file is none of an export, or has other outputs than the model.
    """

    def __init__(self, file: str, model: dict[str, Any]) -> None:
        metadata = require_metadata(file)
        given = {key: metadata["input"][key] for key in ("mean", "std")}
        preprocessor = model.get("data_preprocessor") or {"type": "DataPreprocessor"}
        super().__init__({**preprocessor, **given})
        with DeferredDraws():  # no weight is ever drawn
            inner: Any = build_model(model)
        if inner.test_views.scales != (1.0,):
            raise ConfigError(
                f"{file} takes images of one size: set model.test_views.scales=(1.0,)."
            )
        if getattr(inner, "attention_query", None):
            raise ConfigError(f"{file} gives no attention: leave model.attention_query out.")
        if (channels := _channels(inner)) != metadata["output"]["channels"]:
            raise WeightsError(
                f"{file} has {metadata['output']['channels']} outputs, and the model of the config "
                f"{channels}. Give the file's config: {metadata['config']}."
            )
        for module in inner.modules():
            module._parameters.clear()
        inner.forward_tensor = self.forward_tensor
        self.inner: Any = inner
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # tells the device
        self.path, self.metadata = Path(file), metadata
        self.eval_dtype = metadata["dtype"]
        self._graph: Graph | None = None

    def __getattr__(self, name: str) -> Any:
        """Returns what the model of the config has: its keypoints, its decoder."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def init_weights(self, load_pretrained: bool = True) -> None:
        """Leaves the graph as it is."""

    def val_step(self, data: dict) -> list:
        """Predicts a collated batch; the graph itself says in which precision."""
        return MMEngineBaseModel.val_step(self, data)

    def forward_tensor(self, inputs: Tensor) -> Tensor:
        """Maps normalised images (B, 3, H, W) to raw output (B, C, h, w)."""
        graph = self.graph_on(inputs.device)
        if self.metadata["input"]["normalise"] == "inside":
            preprocessor: Any = self.data_preprocessor
            return graph(preprocessor.denormalise(inputs))
        return graph(inputs.to(getattr(torch, self.metadata["dtype"])))

    def graph_on(self, device: torch.device) -> Graph:
        """Returns the graph on a device, where the file is opened the first time.

        Raises:
            WeightsError: It cannot be opened.
        """
        if self._graph is None or self._graph.device != device:
            self._graph = Graph(self.path, self.metadata, device)
        return self._graph

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Adds the predictions of the config's model to the data samples."""
        found: list[DataSample] = self.inner.predict(inputs, data_samples)
        return found


def _channels(model: Any) -> int:
    """Of a model's raw output."""
    if hasattr(model, "decode_head"):
        return int(model.decode_head.num_classes)
    return int(model.head.out_channels if hasattr(model, "head") else model.backbone.embed_dims)


def find_graph(path: str | Path, graph: bool) -> dict[str, Any] | None:
    """Returns the metadata of a file whose graph is to run; None of one that holds weights.

    TorchScript is both: its weights are taken, unless the graph is asked for.

    Args:
        path: A checkpoint or an exported file.
        graph: Whether the user asks for the graph, and so trusts the file.

    Raises:
        ConfigError: The file may run code, and the user does not ask for it; or it has no graph.
        WeightsError: It is no exported file, or its metadata cannot be read.
    """
    if graph or Path(path).suffix == ONNX:
        return require_metadata(path)
    metadata = read_metadata(path) if Path(path).suffix in (".pt2", ".pt") else None
    if metadata is None or metadata["file"] == "torchscript":
        return None
    raise ConfigError(
        f"{path} is a program of torch.export, and opening one may run code that is in it. If it "
        "is your own, ask for it: --graph, or in Python graph=True."
    )


def require_metadata(path: str | Path) -> dict[str, Any]:
    """Returns the metadata of an exported file with a graph.

    Raises:
        WeightsError: It is none.
    """
    if not Path(path).is_file():
        raise WeightsError(f"{path} is not a file. Correct the path.")
    metadata = read_metadata(path)
    if metadata is None or metadata["file"] not in FORMATS:
        raise WeightsError(
            f"{path} has no graph of an export: expected a file that `mmsapiens export` made as "
            "torchscript, pt2 or onnx. Leave out --graph: the weights of a checkpoint or of a "
            "released TorchScript are taken without."
        )
    return metadata


def size_option(path: str | Path) -> dict[str, Any]:
    """Returns the override of a config that gives its input the size of an exported file's.

    Its positions are of that size, whether its graph runs or its weights are taken.
    """
    metadata = read_metadata(path)
    return {"input_size_hw": tuple(metadata["input"]["size_hw"])} if metadata else {}


def take_graph(cfg: Config, path: str | Path, graph: bool) -> None:
    """Makes the model of a config that of an exported file, if its graph is to run.

    Args:
        cfg: With the input of the file's size: see :func:`size_option`.
        path: A checkpoint or an exported file.
        graph: See :func:`find_graph`, also for what is raised besides.

    Raises:
        WeightsError: The file is of another task.
    """
    metadata = find_graph(path, graph)
    if metadata is None:
        return
    task = task_of(cfg)
    if metadata["task"] != task:
        raise WeightsError(
            f"{path} is of {metadata['task']}, and the config of {task}. Give the file's config: "
            f"{metadata['config']}."
        )
    cfg.model = {"type": ExportedModel.__name__, "file": str(path), "model": cfg.model}


def has_graph(cfg: Config) -> bool:
    """Whether the model of a config is that of an exported file."""
    return bool(cfg.model.type == ExportedModel.__name__)


def init_any(
    cfg: Config, checkpoint: str, device: torch.device
) -> tuple[BaseModel, dict[str, Any]]:
    """Does :func:`engine.infer.init_model`, also after :func:`take_graph`."""
    if not has_graph(cfg):
        return init_model(cfg, checkpoint, device)
    init_default_scope(cfg.default_scope)
    meta = meta_of_file(cfg, checkpoint)
    model: Any = build_model(cfg.model).to(device).eval()
    model.graph_on(model.device)  # here, not at the first image, is said that it cannot be opened
    return model, meta


def meta_of_file(cfg: Config, path: str) -> dict[str, Any]:
    """Returns the names and colours of what an exported file predicts."""
    metadata = require_metadata(path)
    saved = {key: metadata[key] for key in ("classes", "palette") if metadata.get(key)}
    return dataset_meta(cfg, {"meta": {"dataset_meta": saved}}, path)
