"""The base of every task's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModel as MMEngineBaseModel
from mmengine.model import initialize
from mmengine.registry import MODELS
from torch import Tensor, nn

from engine.data.packing import give_targets, stack_targets
from engine.data.sample import DataSample
from engine.errors import ConfigError, DataError
from engine.parallel.shards import device_of
from engine.precision import autocast_context, autocast_dtype

if TYPE_CHECKING:
    from typing_extensions import Self


class Targets(dict[str, Tensor]):
    """What a batch is to learn, by the names of the field table: ``seg_map`` (B, 1, H, W), ..."""

    def __missing__(self, name: str) -> Tensor:
        """Says what to do about a target that is not there.

        Raises:
            DataError: Always.
        """
        raise DataError(
            f'the loss needs the target "{name}", and the batch has {", ".join(self) or "none"}. '
            "Let the pipeline load it before PackInputs, for every sample and in one size."
        )


class BaseModel(MMEngineBaseModel):
    """An MMEngine model that evaluates in the precision it was trained in.

    Args:
        data_preprocessor: Config of the preprocessor; a ``DataPreprocessor`` by default.
        eval_dtype: Precision of ``val_step`` and ``test_step``: "bfloat16", "float16" or
            "float32". ``load_config`` fills in that of the training.

    Raises:
        ConfigError: If ``eval_dtype`` is none of them.
    """

    def __init__(self, data_preprocessor: dict | None = None, eval_dtype: str = "float32") -> None:
        super().__init__(data_preprocessor=data_preprocessor or {"type": "DataPreprocessor"})
        autocast_dtype(eval_dtype, "model.eval_dtype")
        self.eval_dtype = eval_dtype
        self._backbone_learns = True

    def freeze_backbone(self) -> None:
        """Lets the backbone learn nothing, and run as in an evaluation from now on.

        Autograd records nothing of what has no parameter that learns.
        """
        self.backbone.requires_grad_(False)
        self._backbone_learns = False
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switches to training or evaluation; a frozen backbone stays in evaluation."""
        super().train(mode)
        if not self._backbone_learns:
            self.backbone.eval()
        return self

    @property
    def device(self) -> torch.device:
        """Device that the parameters compute on."""
        return device_of(next(self.parameters()))

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

    def sum_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Does :meth:`parse_losses` on this rank alone."""
        return super().parse_losses(losses)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums the terms whose names contain "loss".

        Returns:
            The sum, to be differentiated, and all terms for the log, averaged over the ranks.
        """
        total, log_vars = self.sum_losses(losses)
        values = torch.stack([value.detach().float() for value in log_vars.values()])
        all_reduce(values, "mean")
        return total, dict(zip(log_vars, values, strict=True))

    def val_step(self, data: dict) -> list:
        """Predicts a collated batch; returns data samples."""
        with autocast_context(self.device.type, self.eval_dtype):
            return super().val_step(data)

    def test_step(self, data: dict) -> list:
        """The same as :meth:`val_step`."""
        return self.val_step(data)

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[DataSample] | None = None,
        mode: str = "tensor",
        targets: dict[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Runs one of the three modes of MMEngine.

        Args:
            inputs: Normalised images (B, 3, H, W).
            data_samples: One data sample an image.
            mode: "tensor" for the head's raw output, "loss" for a dict of losses, "predict" for
                data samples with predictions.
            targets: What the data samples hold of the truth, stacked, as ``collate_samples`` takes
                it out of them; made of the data samples if absent.
            **kwargs: What the method of the mode takes besides.
        """
        if mode == "tensor":
            return self.forward_tensor(inputs, **kwargs)
        if mode == "loss":
            targets = stack_targets(data_samples or []) if targets is None else targets
            return self.loss(inputs, Targets(targets), data_samples, **kwargs)
        if mode == "predict":
            if data_samples is not None and targets:
                give_targets(data_samples, targets)  # metrics look for the truth there
            return self.predict(inputs, data_samples, **kwargs)
        raise ValueError(f"mode={mode!r}: expected 'tensor', 'loss' or 'predict'.")

    def forward_tensor(self, inputs: Tensor) -> Any:
        """Returns the head's raw output."""
        raise NotImplementedError

    def loss(
        self, inputs: Tensor, targets: Targets, data_samples: list[DataSample] | None = None
    ) -> dict[str, Tensor]:
        """Returns the named losses, and other scalars to log."""
        raise NotImplementedError

    def synthetic_targets(self, inputs: Tensor) -> dict[str, Tensor]:
        """Returns random targets for :meth:`loss`, to measure its speed.

        Raises:
            ConfigError: If the model's class does not say how.
        """
        raise ConfigError(
            f"{type(self).__name__} makes no targets for a benchmark: write its method "
            "synthetic_targets(inputs)."
        )

    def predict(self, inputs: Tensor, data_samples: list[DataSample] | None = None) -> list:
        """Returns the data samples with the predictions added."""
        raise NotImplementedError


def build_model(model: nn.Module | dict) -> BaseModel:
    """Builds a model from its config; a model passes through.

    Raises:
        ConfigError: If a part refuses its arguments.
    """
    return cast(BaseModel, model if isinstance(model, nn.Module) else MODELS.build(model))
