import numpy as np
import pytest
from PIL import Image

from engine.data.colours import labels_of_colours, parse_color_map
from engine.data.loading import LoadLabels, read_labels
from engine.errors import ConfigError, DataError

COLOURS = {(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 2, (0, 0, 255): 255, (254, 0, 0): 3}


@pytest.fixture
def labels():
    return np.random.default_rng(0).choice([0, 1, 2, 3, 255], (20, 30)).astype(np.uint8)


def painted(labels):
    rgb = np.zeros((*labels.shape, 3), np.uint8)
    for colour, label in COLOURS.items():
        rgb[labels == label] = colour
    return rgb


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_become_their_labels(tmp_path, labels, mode):
    image = Image.fromarray(painted(labels)).convert("RGB")
    image = image.quantize(8) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png", COLOURS), labels)


def test_grey_levels_are_colours_too(tmp_path):
    Image.fromarray(np.array([[0, 128], [128, 0]], np.uint8)).save(tmp_path / "a.png")
    read = read_labels(tmp_path / "a.png", {(0, 0, 0): 0, (128, 128, 128): 1})
    assert read.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("colour", [(1, 0, 0), (255, 255, 255), (0, 0, 1)])
def test_another_colour_is_named_with_its_place(labels, colour):
    rgb = painted(labels)
    rgb[7, 3] = rgb[8, 1] = colour
    message = rf"a.png: the colour \({', '.join(map(str, colour))}\) at x=3, y=7, and 2 pixels"
    with pytest.raises(DataError, match=message):
        labels_of_colours(rgb, COLOURS, "a.png")


def test_a_label_map_comes_after_the_colours(tmp_path, make_sample, labels):
    Image.fromarray(painted(labels)).save(tmp_path / "a.png")
    sample = make_sample((20, 30), seg_map_path=str(tmp_path / "a.png"))
    sample |= {"color_map": COLOURS, "label_map": {1: 2, 2: 255}}
    loaded = LoadLabels()(sample)["seg_map"]
    assert set(loaded[labels == 1]) == {2} and set(loaded[labels == 2]) == {255}
    np.testing.assert_array_equal(loaded == 3, labels == 3)


def test_colour_files_without_a_color_map_say_what_to_give(tmp_path, labels):
    Image.fromarray(painted(labels)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a.png has 3 channels.*color_map={\(r, g, b\): class}"):
        read_labels(tmp_path / "a.png")


def test_keys_of_a_config():
    given = {(1, 2, 3): 0, "4, 5, 6": 1, "(7, 8, 9)": 2, "#0A0b0c": 3, "[13,14,15]": 4}
    assert parse_color_map(given) == {
        (1, 2, 3): 0, (4, 5, 6): 1, (7, 8, 9): 2, (10, 11, 12): 3, (13, 14, 15): 4
    }  # fmt: skip


def test_the_ends_of_what_a_colour_and_a_label_may_be():
    given = {(0, 255, 0): 255, "#ff00ff": 0, "255 255 255": 0}
    assert parse_color_map(given) == {(0, 255, 0): 255, (255, 0, 255): 0, (255, 255, 255): 0}


def test_a_colour_may_be_written_twice_if_it_means_the_same():
    assert parse_color_map({"#ff0000": 1, (255, 0, 0): 1}) == {(255, 0, 0): 1}


@pytest.mark.parametrize(
    ("color_map", "message"),
    [
        ({(1, 2): 0}, r"maps \(1, 2\) to 0; expected a colour"),
        ({(1, 2, 256): 0}, "expected a colour"),
        ({(-1, 2, 3): 0}, r"maps \(-1, 2, 3\) to 0; expected a colour"),
        ({(1.0, 2, 3): 0}, "expected a colour"),
        ({7: 0}, "maps 7 to 0; expected a colour"),
        ({"1, 2, 3": -1}, r"label in 0..255"),
        ({"red": 1}, "maps 'red' to 1; expected a colour"),
        ({"1, 2, 3": 256}, r"label in 0..255"),
        ({"1, 2, 3": "skin"}, r"label in 0..255"),
        ({"1, 2, 3": 0, (1, 2, 3): 1}, r"the colour \(1, 2, 3\) to 0 and to 1"),
    ],
)
def test_what_is_no_map_of_colours(color_map, message):
    with pytest.raises(ConfigError, match=message):
        parse_color_map(color_map)
