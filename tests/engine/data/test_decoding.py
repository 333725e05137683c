"""JPEGs that are decoded when the canvas is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from PIL import Image

from engine.data import LoadImage, PackInputs, RandomResizedCrop, Resize, Warp, geometry
from engine.data.decoding import EncodedJpeg, read_bytes, read_json
from engine.data.loading import read_image
from engine.errors import ConfigError, DataError

ORIENTATION_TAG = 0x112


def smooth_image(height, width):
    y, x = np.mgrid[:height, :width] / 40
    waves = [np.sin(x + i) * np.cos(y - i) for i in range(3)]
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8)


@pytest.fixture
def jpeg(tmp_path):
    """Writes a smooth JPEG; returns its path."""

    def write(size_hw=(400, 320), orientation=1):
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        path = tmp_path / "image.jpg"
        Image.fromarray(smooth_image(*size_hw)).save(path, quality=95, exif=exif)
        return path

    return write


def load(path, reduce=True):
    return LoadImage(reduce=reduce)({"img_path": str(path), "rng": np.random.default_rng(0)})


def decoded_sizes(monkeypatch):
    """Records the size of every decoded image."""
    sizes = []
    decode = EncodedJpeg.decode

    def record(self, reduction=1):
        image = decode(self, reduction)
        sizes.append(image.shape[:2])
        return image

    monkeypatch.setattr(EncodedJpeg, "decode", record)
    return sizes


def test_the_header_tells_the_size_and_nothing_is_decoded(jpeg):
    sample = load(jpeg((40, 30), orientation=6))
    assert isinstance(sample["img"], EncodedJpeg)
    assert sample["size_hw"] == sample["ori_size_hw"] == (30, 40)


def test_other_formats_are_decoded_at_once(tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), smooth_image(8, 8))
    assert isinstance(load(path)["img"], np.ndarray)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_at_full_resolution_nothing_changes(interpolation, jpeg):
    path = jpeg((60, 50))
    steps = Compose([Resize(size_hw=(48, 40)), Warp(interpolation=interpolation)])
    np.testing.assert_array_equal(steps(load(path))["img"], steps(load(path, reduce=False))["img"])


@pytest.mark.parametrize(
    ("to_hw", "decoded_hw"),
    [
        ((201, 160), (400, 320)),
        ((200, 160), (200, 160)),
        ((130, 150), (200, 160)),
        ((100, 80), (100, 80)),
        ((20, 20), (50, 40)),
    ],
)
def test_decodes_at_the_lowest_resolution_that_the_canvas_does_not_exceed(
    to_hw, decoded_hw, jpeg, monkeypatch
):
    sizes = decoded_sizes(monkeypatch)
    sample = Warp()(Resize(size_hw=to_hw)(load(jpeg())))
    assert sizes == [decoded_hw] and sample["img"].shape[:2] == to_hw
    np.testing.assert_array_equal(sample["warp_matrix"], geometry.resize((400, 320), to_hw))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size_hw", [(400, 320), (397, 323)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_pictures_are_not_shifted(interpolation, size_hw, orientation, jpeg):
    path = jpeg(size_hw, orientation)
    matrix = geometry.compose(geometry.crop(16, 24), geometry.resize((256, 240), (64, 60)))
    results = []
    for reduce in (False, True):
        sample = {**load(path, reduce), "matrix": matrix, "size_hw": (64, 60)}
        results.append(Warp(interpolation=interpolation)(sample)["img"].astype(int))
    # Half a pixel of the canvas would be a difference of 5.
    assert np.abs(results[0] - results[1]).mean() < 1


def test_crops_of_photographs_are_whole_pixels_of_the_reduced_picture(jpeg, monkeypatch):
    sizes = decoded_sizes(monkeypatch)
    path = jpeg((403, 411))
    warp = Warp(interpolation="bicubic")
    for seed in range(10):
        sample = {**load(path), "rng": np.random.default_rng(seed)}
        warp(RandomResizedCrop(size_hw=(40, 40))(sample))
    assert set(sizes) == {(101, 103), (51, 52)}


def test_a_reduced_picture_that_does_not_fit_is_not_taken(jpeg, monkeypatch):
    """Bicubic resizing takes whole pixels, which these are not at 1/2."""
    sizes = decoded_sizes(monkeypatch)
    matrix = geometry.compose(geometry.crop(3, 5), geometry.resize((200, 200), (50, 50)))
    sample = {**load(jpeg()), "matrix": matrix, "size_hw": (50, 50)}
    Warp(interpolation="bicubic")(sample)
    assert sizes == [(400, 320)]


def test_packing_without_warp_says_what_is_missing(jpeg):
    with pytest.raises(ConfigError, match="Warp"):
        PackInputs()(load(jpeg()))


def test_damage_is_found_at_the_header_or_when_decoding(jpeg):
    path = jpeg()
    data = path.read_bytes()
    path.write_bytes(data[:20])
    with pytest.raises(DataError, match=r"image.jpg .20 bytes. is not an image that can be read"):
        load(path)
    path.write_bytes(data[:-200])
    with pytest.raises(DataError, match=r"image.jpg is cut short"):
        Warp()(load(path))


def test_a_part_of_a_file_is_an_image(jpeg, tmp_path):
    path = jpeg((8, 8))
    data = path.read_bytes()
    archive = tmp_path / "archive"
    archive.write_bytes(b"before" + data + b"after")
    sample = {"img_path": "archive/1.jpg", "archive": str(archive), "img_span": (6, len(data))}
    np.testing.assert_array_equal(LoadImage()(dict(sample))["img"], read_image(path))
    with pytest.raises(DataError, match="archive ends within an image"):
        LoadImage()({**sample, "img_span": (100, len(data))})


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"none\.jpg does not exist"):
        read_bytes(tmp_path / "none.jpg")
    for path in (tmp_path, "a\0b.jpg"):
        with pytest.raises(DataError, match="cannot be read"):
            read_bytes(path)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json cannot be read as JSON"):
        read_json(tmp_path / "a.json")


def test_the_part_may_end_with_the_file(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_bytes(tmp_path / "a", (4, 6)) == b"456789"
    assert read_bytes(tmp_path / "a", (0, 4)) == b"0123"
    with pytest.raises(DataError, match="ends within an image"):
        read_bytes(tmp_path / "a", (4, 7))


@pytest.mark.parametrize(
    ("size_hw", "orientation", "reduced_hw"),
    [((9, 16), 1, (5, 8)), ((9, 16), 3, None), ((16, 9), 3, None), ((16, 8), 3, (8, 4))],
)
def test_turned_images_are_reduced_where_their_grid_stays(jpeg, size_hw, orientation, reduced_hw):
    assert load(jpeg(size_hw, orientation))["img"].reduced_hw(2) == reduced_hw


def test_pixels_of_another_size_than_the_header_said(jpeg):
    whole = load(jpeg((16, 8)))["img"]
    with pytest.raises(DataError, match="the header says another size than the image has"):
        replace(whole, shape=(16, 9, 3)).decode()
