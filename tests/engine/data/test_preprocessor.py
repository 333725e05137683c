import numpy as np
import pytest
import torch
from mmengine.registry import MODELS

from engine.data import DataPreprocessor, PackInputs, collate_samples
from engine.errors import ConfigError


def test_normalises_as_rgb(make_sample):
    samples = [make_sample(seed=seed) for seed in range(2)]
    batch = collate_samples([PackInputs()(dict(sample)) for sample in samples])
    result = MODELS.build({"type": "DataPreprocessor"})(batch, training=True)
    rgb = np.stack([sample["img"][..., ::-1] for sample in samples]).astype(np.float64)
    expected = (rgb - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)
    assert result["inputs"].dtype == torch.float32
    np.testing.assert_allclose(result["inputs"].permute(0, 2, 3, 1), expected, rtol=0, atol=1e-5)
    assert len(result["data_samples"]) == 2
    assert batch["inputs"].dtype == torch.uint8, "the batch itself is left alone"


def test_denormalising_gives_the_pixels_back_as_rgb(make_sample):
    batch = collate_samples([PackInputs()(make_sample())])
    preprocessor = DataPreprocessor()
    images = preprocessor(batch)["inputs"]
    assert torch.equal(preprocessor.denormalise(images), batch["inputs"].flip(1))
    assert preprocessor.denormalise(images + 9).max() == 255


def test_channel_order_and_statistics_can_be_set():
    images = torch.arange(3, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    keep = DataPreprocessor(mean=(0, 0, 0), std=(1, 1, 2), bgr_to_rgb=False)
    result = keep({"inputs": images, "data_samples": []})["inputs"]
    assert result[0, :, 0, 0].tolist() == [0, 1, 1]


def test_nothing_of_it_is_saved():
    assert not DataPreprocessor().state_dict()


def test_a_list_of_images_is_an_error():
    with pytest.raises(ConfigError, match="collate_samples"):
        DataPreprocessor()({"inputs": [torch.zeros(3, 4, 4)], "data_samples": []})


def test_follows_the_model_to_its_device():
    preprocessor = DataPreprocessor().to("meta")
    result = preprocessor({"inputs": torch.zeros(1, 3, 4, 4, dtype=torch.uint8)})
    assert result["inputs"].device.type == "meta"
