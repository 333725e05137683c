"""Label maps as pictures: how much of the image shows through is the user's to say."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from engine.data.sample import DataSample
from engine.errors import ConfigError
from seg.parts.pictures import SegVisualizer, draw_confusion, draw_legend, overlay
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


def test_a_legend_names_each_label_beside_its_colour():
    """The first one without a name, 2, and 255 are the ignored ones, in white."""
    legend = draw_legend(80, [1, 2, 255], *META.values())
    row = len(legend) // 4
    boxes = [legend[i * row + row // 2, row // 2 + 2] for i in range(4)]
    assert boxes[0].tolist() == [200, 100, 40] and (np.array(boxes[1:]) == 255).all()
    narrow = draw_legend(80, [1], *META.values())
    assert narrow.shape[1] < legend.shape[1], '"ignored" is longer than "Hat"'
    assert (
        draw_legend(80, [2], *META.values())[:20] == draw_legend(80, [255], *META.values())[:20]
    ).all()


def test_labels_without_a_colour_are_white():
    image = np.zeros((1, 3, 3), np.uint8)
    picture = overlay(image, np.array([[1, 2, 255]], np.uint8), META["palette"], opacity=1.0)
    assert picture[0].tolist() == [[200, 100, 40], [255] * 3, [255] * 3]


@pytest.mark.parametrize(("pixels", "is_written"), [(5, True), (4, False)])
def test_confusions_are_numbers_from_half_a_percent_on(pixels, is_written):
    confusion = np.array([[1000 - pixels, pixels], [0, 0]])
    cell = draw_confusion(confusion, META["classes"])[-2 * 26 : -26, -26:]
    assert (cell != cell[0, 0]).any() == is_written


def test_cells_of_a_confusion_have_the_side_asked_for():
    small, large = (draw_confusion(np.eye(2), META["classes"], cell=n) for n in (26, 40))
    assert large.shape[0] - small.shape[0] == large.shape[1] - small.shape[1] == 2 * 14


def test_probabilities_that_the_model_does_not_keep(tmp_path):
    sample = DataSample(pred_sem_seg=PixelData(data=torch.zeros(1, 4, 4, dtype=torch.uint8)))
    writer = SegWriter(META, save=["probabilities"])
    with pytest.raises(ConfigError, match="keeps no probabilities"):
        writer.write(sample, np.zeros((4, 4, 3), np.uint8), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_pictures_of_a_video_are_of_one_size():
    """Whatever labels occur; the legend names all classes."""
    image = np.zeros((20, 30, 3), np.uint8)
    writer = SegWriter(META)
    draw = writer.frame_drawer()
    maps = [torch.full((1, 20, 30), label, dtype=torch.uint8) for label in (0, 1)]
    samples = [DataSample(pred_sem_seg=PixelData(data=labels)) for labels in maps]
    none, hat = (draw(sample, image) for sample in samples)
    np.testing.assert_array_equal(none[:, 30:], hat[:, 30:])
    np.testing.assert_array_equal(hat[:, 30:], draw_legend(20, [0, 1], *META.values()))
    assert len({writer.picture(sample, image).shape for sample in samples}) == 2
