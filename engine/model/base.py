"""The base of every task's model."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModel as MMEngineBaseModel
from mmengine.model import initialize
from mmengine.registry import MODELS
from torch import Tensor, nn

from engine.errors import ConfigError, MMSapiensError
from engine.precision import autocast_context


class BaseModel(MMEngineBaseModel):
    """An MMEngine model that evaluates in the precision it was trained in.

    Attributes:
        autocast_dtype: Name of the precision of ``val_step`` and ``test_step`` ("bfloat16",
            "float16" or "float32"); the runner sets it to that of the optimizer wrapper.
        last_losses: This rank's terms of the last training loss, by name.
        dataset_meta: The metainfo of the dataset that is predicted, such as its classes; the runner
            and ``engine.infer.init_model`` set it.
    """

    autocast_dtype: str = "float32"
    last_losses: Mapping[str, Tensor] = MappingProxyType({})
    dataset_meta: Mapping[str, Any] | None = None

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.parameters()).device

    def init_weights(self, load_pretrained: bool = True) -> None:
        """Initialises all parts, then loads the pretrained weights that their ``init_cfg`` names.

        Args:
            load_pretrained: False if a checkpoint of the whole model follows anyway, so that the
                files of the pretraining need not exist.
        """
        for child in self.children():
            if hasattr(child, "init_weights"):
                child.init_weights()
        for child in self.children():
            init_cfg = getattr(child, "init_cfg", None)
            if init_cfg and (load_pretrained or init_cfg["type"] != "Pretrained"):
                initialize(child, init_cfg)
        self._is_init = True

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums the terms whose names contain "loss".

        Returns:
            The sum, to be differentiated, and all terms for the log, averaged over the ranks.
        """
        total, log_vars = super().parse_losses(losses)
        self.last_losses = {name: value.detach() for name, value in log_vars.items()}
        values = torch.stack([value.float() for value in self.last_losses.values()])
        all_reduce(values, "mean")
        return total, dict(zip(self.last_losses, values, strict=True))

    def val_step(self, data: dict) -> list:
        """Predicts a collated batch; returns data samples."""
        with autocast_context(self.device.type, self.autocast_dtype):
            return super().val_step(data)

    def test_step(self, data: dict) -> list:
        """The same as :meth:`val_step`."""
        return self.val_step(data)

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor", **kwargs: Any
    ) -> Any:
        """Runs one of the three modes of MMEngine.

        Args:
            inputs: Normalised images (B, 3, H, W).
            data_samples: One data sample an image.
            mode: "tensor" for the head's raw output, "loss" for a dict of losses, "predict" for
                data samples with predictions.
            **kwargs: What the method of the mode takes besides.
        """
        if mode == "tensor":
            return self.forward_tensor(inputs, **kwargs)
        if mode == "loss":
            return self.loss(inputs, data_samples, **kwargs)
        if mode == "predict":
            return self.predict(inputs, data_samples, **kwargs)
        raise ValueError(f"mode={mode!r}: expected 'tensor', 'loss' or 'predict'.")

    def forward_tensor(self, inputs: Tensor) -> Any:
        """Returns the head's raw output."""
        raise NotImplementedError

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Returns the named losses, and other scalars to log."""
        raise NotImplementedError

    def synthetic_samples(self, inputs: Tensor) -> list:
        """Returns data samples with random targets for :meth:`loss`, to measure its speed.

        Raises:
            ConfigError: If the model's class does not say how.
        """
        raise ConfigError(
            f"{type(self).__name__} makes no targets for a benchmark: write its method "
            "synthetic_samples(inputs)."
        )

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Returns the data samples with the predictions added."""
        raise NotImplementedError


def build_model(model: nn.Module | dict) -> BaseModel:
    """Builds a model from its config; a model passes through.

    Raises:
        ConfigError: If a part refuses its arguments.
    """
    if isinstance(model, nn.Module):
        return cast(BaseModel, model)
    try:
        return MODELS.build(model)
    except MMSapiensError:
        raise
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error
