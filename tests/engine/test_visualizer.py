import numpy as np
import pytest

from engine.data.sample import DataSample
from engine.visualizer import PanelVisualizer


class TwoPanels(PanelVisualizer):
    def panels(self, image, data_sample):
        return [self.shrink(image), 255 - self.shrink(image)]


@pytest.mark.parametrize("size_hw, drawn_hw", [((40, 30), (10, 16)), ((8, 6), (8, 12))])
def test_panels_stand_side_by_side_and_are_only_scaled_down(size_hw, drawn_hw):
    visualizer = TwoPanels(f"test_panels_{size_hw[0]}", max_height=10)
    picture = visualizer.draw(np.full((*size_hw, 3), 7, np.uint8), DataSample())
    assert picture.shape == (*drawn_hw, 3) and picture.dtype == np.uint8
    assert (picture[:, : drawn_hw[1] // 2] == 7).all() and (picture[:, -1] == 248).all()


def test_a_picture_goes_to_the_backends(tmp_path):
    visualizer = TwoPanels(
        "test_backends", vis_backends=[dict(type="LocalVisBackend")], save_dir=str(tmp_path)
    )
    visualizer.add_datasample("person", np.zeros((4, 4, 3), np.uint8), DataSample(), step=3)
    assert [path.name for path in tmp_path.rglob("*.png")] == ["person_3.png"]


def test_of_each_name_the_last_pictures_stay_on_the_disk(tmp_path):
    visualizer = TwoPanels(
        "test_keep",
        keep_pictures=2,
        vis_backends=[dict(type="LocalVisBackend")],
        save_dir=str(tmp_path),
    )
    for step in (5, 9, 10, 100):
        for name in ("val_1", "val_10", "confusion_matrix"):
            visualizer.add_image(name, np.zeros((4, 4, 3), np.uint8), step=step)
    left = {path.name for path in tmp_path.rglob("*.png")}
    names = ("val_1", "val_10", "confusion_matrix")
    assert left == {f"{name}_{step}.png" for name in names for step in (10, 100)}
