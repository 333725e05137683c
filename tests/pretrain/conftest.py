"""A pretraining of seconds."""

import cv2
import numpy as np
import pytest

from engine.config import load_config

TINIEST = {"embed_dims": 32, "num_layers": 1, "num_heads": 2, "feedforward_channels": 64}


@pytest.fixture
def images_dir(tmp_path):
    """Six images of noise, 0.png to 5.png."""
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for index in range(6):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(images / f"{index}.png"), pixels)
    return images


@pytest.fixture
def mae_config(root, images_dir):
    """Loads a pretraining config, shrunk; options by dotted key with ``__`` for dots."""

    def load(name="synthetic/mae_sapiens_tiny_synthetic-256x256", **options):
        defaults = {
            "input_size_hw": (32, 32),
            "train_dataloader.dataset.data_root": str(images_dir),
            "train_dataloader.batch_size": 2,
            "train_dataloader.num_workers": 0,
            "train_dataloader.persistent_workers": False,
            "custom_hooks": [],
            "default_hooks.checkpoint.interval": 1,
            "default_hooks.logger.interval": 1,
        }
        options = {key.replace("__", "."): value for key, value in options.items()}
        cfg = load_config(root / f"configs/pretrain/{name}.py", {**defaults, **options})
        cfg.model.backbone.arch = TINIEST
        cfg.launcher = "none"
        return cfg

    return load
