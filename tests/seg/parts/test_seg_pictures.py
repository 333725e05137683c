"""Label maps as pictures: how much of the image shows through is the user's to say."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from engine.data.sample import DataSample
from seg.parts.pictures import SegVisualizer
from seg.parts.writer import SegWriter

META = {"classes": ("Background", "Hat"), "palette": ((0, 0, 0), (200, 100, 40))}


@pytest.mark.parametrize("opacity", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("by", ["writer", "visualizer"])
def test_the_opacity_of_files_and_of_panels(by, opacity, tmp_path):
    image = np.full((20, 30, 3), (80, 60, 20), np.uint8)  # RGB
    labels = torch.ones(1, 20, 30, dtype=torch.uint8)
    sample = DataSample(pred_sem_seg=PixelData(data=labels))
    if by == "writer":
        SegWriter(META, opacity).write(sample, image[..., ::-1], tmp_path / "a")
        picture = cv2.imread(str(tmp_path / "a.png"))[:, :30, ::-1]
    else:
        visualizer = SegVisualizer(f"opacity {opacity}", opacity)
        visualizer.dataset_meta = META
        _, picture, _ = visualizer.panels(image, sample)
    expected = (1 - opacity) * image[0, 0] + opacity * np.array(META["palette"][1])
    assert abs(picture - expected).max() <= 1
