import re

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from engine.data import LoadImage, LoadLabels, Resize, Warp
from engine.data.loading import map_labels, read_image, read_labels
from engine.errors import ConfigError, DataError

RGB = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
GREY = RGB[..., 0]
ORIENTATION_TAG = 0x112


def save(path, values, **kwargs):
    Image.fromarray(values).save(path, **kwargs)
    return path


@pytest.mark.parametrize(
    ("values", "expected_rgb"),
    [
        (RGB, RGB),
        (GREY, np.dstack([GREY] * 3)),
        (np.dstack([RGB, GREY]), RGB),
        (np.dstack([GREY, RGB[..., 1]]), np.dstack([GREY] * 3)),
        (GREY.astype(np.uint16) * 257, np.dstack([GREY] * 3)),
        (GREY > 127, np.dstack([(GREY > 127) * np.uint8(255)] * 3)),
    ],
    ids=["rgb", "grey", "rgba", "grey+alpha", "16-bit", "1-bit"],
)
def test_any_png_becomes_three_8_bit_channels(tmp_path, values, expected_rgb):
    image = read_image(save(tmp_path / "image.png", values))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image[..., ::-1], expected_rgb)


def test_palette_image_becomes_its_colours(tmp_path):
    image = Image.fromarray(RGB).quantize(8)
    image.save(tmp_path / "image.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "image.png")[..., ::-1], np.asarray(image.convert("RGB"))
    )


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_keeps_the_upper_byte(tmp_path, channels):
    values = np.random.default_rng(1).integers(0, 65536, (8, 12, channels), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "image.png"), values)
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), values[..., :3] >> 8)


def test_palette_with_transparency_keeps_its_colours(tmp_path):
    image = Image.fromarray(RGB).quantize(8)
    image.save(tmp_path / "image.png", transparency=0)
    np.testing.assert_array_equal(
        read_image(tmp_path / "image.png")[..., ::-1], np.asarray(image.convert("RGB"))
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    plain = Image.fromarray(read_image(save(tmp_path / f"plain.{suffix}", RGB)))
    plain.getexif()[ORIENTATION_TAG] = orientation
    turned = read_image(save(tmp_path / f"turned.{suffix}", RGB, exif=exif))
    np.testing.assert_array_equal(turned, np.asarray(ImageOps.exif_transpose(plain)))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("kept", [0, 0.5])
def test_cut_files_are_errors(tmp_path, suffix, kept):
    path = save(tmp_path / f"cut.{suffix}", np.tile(RGB, (8, 8, 1)))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=f"cut.{suffix}"):
        read_image(path)


def test_cut_jpeg_with_a_whole_thumbnail_is_an_error(tmp_path):
    """The thumbnail in the header ends with the marker that the image itself lacks."""
    thumbnail = save(tmp_path / "thumbnail.jpg", RGB).read_bytes()
    data = save(tmp_path / "image.jpg", np.tile(RGB, (8, 8, 1))).read_bytes()
    segment = b"\xff\xe2" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    path = tmp_path / "image.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    read_image(path)
    path.write_bytes(data[:2] + segment + data[2 : len(data) // 2])
    with pytest.raises(DataError, match="cut short"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_labels])
def test_missing_or_foreign_files_are_errors_that_name_them(tmp_path, read):
    with pytest.raises(DataError, match=r"gone\.png does not exist"):
        read(tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png"):
        read(tmp_path / "text.png")


def test_load_image_starts_the_geometry(tmp_path):
    sample = LoadImage()({"img_path": str(save(tmp_path / "image.png", RGB))})
    assert sample["ori_size_hw"] == sample["size_hw"] == (8, 12)
    assert sample["flip"] is False
    np.testing.assert_array_equal(sample["matrix"], np.eye(2, 3))


def test_load_image_keeps_a_given_array_and_checks_it():
    image = RGB.copy()
    assert LoadImage()({"img": image})["img"] is image
    with pytest.raises(DataError, match="float32"):
        LoadImage()({"img": RGB.astype(np.float32)})
    with pytest.raises(DataError, match="uint8"):
        LoadImage()({"img": GREY})


@pytest.fixture
def labelled(tmp_path, make_sample):
    """Makes a sample without labels, and a file of labels for it."""

    def make(labels, **kwargs):
        path = tmp_path / "labels.png"
        labels.save(path) if isinstance(labels, Image.Image) else save(path, labels)
        sample = make_sample((8, 12), seg_map_path=str(path), **kwargs)
        del sample["seg_map"]
        return sample

    return make


def test_palette_labels_are_indices(labelled):
    labels = GREY % 4
    image = Image.fromarray(labels)
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    sample = LoadLabels()(labelled(image))
    np.testing.assert_array_equal(sample["seg_map"], labels)
    assert sample["seg_map"].dtype == np.uint8


def test_16_bit_labels_are_read_where_they_fit(labelled):
    labels = (GREY % 4).astype(np.uint16)
    np.testing.assert_array_equal(LoadLabels()(labelled(labels))["seg_map"], labels)
    with pytest.raises(DataError, match=r"labels\.png holds values .*1000.*8-bit"):
        LoadLabels()(labelled(labels + 1000))


def test_colour_labels_are_an_error(labelled):
    with pytest.raises(DataError, match=r"labels\.png has 3 channels \(mode RGB\)"):
        LoadLabels()(labelled(RGB))


def test_labels_of_another_size_name_both_files_and_sizes(labelled):
    with pytest.raises(DataError, match=r"labels\.png is 8x11.*face\.png is 8x12"):
        LoadLabels()(labelled(GREY[:, :11]))


def test_label_beyond_the_classes_is_an_error_that_names_it(labelled):
    labels = GREY % 4
    labels[3, 4] = 37
    message = "label 37 in .*labels.png, but the dataset has 4 classes (0..3, 255 = ignored)"
    with pytest.raises(DataError, match=re.escape(message).replace(r"\.\*", ".*")):
        LoadLabels()(labelled(labels))


def test_another_label_than_255_may_be_the_ignored_one(labelled):
    sample = labelled(np.full((8, 12), 200, np.uint8))
    sample["metainfo"] = {**sample["metainfo"], "ignore_index": 200}
    assert (LoadLabels()(dict(sample))["seg_map"] == 200).all()
    Image.fromarray(np.full((8, 12), 255, np.uint8)).save(sample["seg_map_path"])
    with pytest.raises(DataError, match=r"label 255 .*200 = ignored"):
        LoadLabels()(sample)


def test_ignored_pixels_are_no_error(labelled):
    labels = GREY % 4
    labels[0] = 255
    np.testing.assert_array_equal(LoadLabels()(labelled(labels))["seg_map"], labels)


def test_label_map_maps_the_listed_labels_and_keeps_others(labelled):
    labels = GREY % 4
    sample = labelled(labels + (labels == 3) * np.uint8(34))
    sample["label_map"] = {37: 255, 0: 1}
    expected = np.array([1, 1, 2, 255])[labels]
    np.testing.assert_array_equal(LoadLabels()(sample)["seg_map"], expected)


@pytest.mark.parametrize("mapping", [{300: 1}, {1: -1}])
def test_label_map_out_of_range_is_a_config_error(labelled, mapping):
    sample = labelled(GREY % 4)
    sample["label_map"] = mapping
    with pytest.raises(ConfigError, match=r"0\.\.255"):
        LoadLabels()(sample)


def test_labels_loaded_after_warp_stay_at_original_size(labelled):
    labels = GREY % 4
    sample = Warp()(Resize(size_hw=(16, 6))(labelled(labels)))
    sample = LoadLabels()(sample)
    assert sample["img"].shape[:2] == (16, 6)
    np.testing.assert_array_equal(sample["seg_map"], labels)


def test_missing_inputs_say_what_to_do(labelled):
    sample = labelled(GREY % 4)
    with pytest.raises(DataError, match=r"face\.png has no label map"):
        LoadLabels()({**sample, "seg_map_path": None})
    del sample["ori_size_hw"]
    with pytest.raises(ConfigError, match="put LoadImage before"):
        LoadLabels()(sample)


def test_reading_equals_opencvs_own(tmp_path):
    path = save(tmp_path / "image.jpg", RGB)
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))


@pytest.mark.parametrize("label", [-1, 256])
def test_labels_beyond_a_byte_are_refused(tmp_path, label):
    Image.fromarray(np.array([[0, label]], np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=rf"holds values {min(label, 0)}\.\.{max(label, 0)} "):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("mapping", [{1: 256}, {1: -1}, {256: 1}, {-1: 0}])
def test_a_label_map_stays_within_a_byte(mapping):
    with pytest.raises(ConfigError, match=r"both must be in 0\.\.255"):
        map_labels(np.zeros((2, 2), np.uint8), mapping)
    labels = np.array([[0, 1], [254, 255]], np.uint8)
    assert map_labels(labels, {0: 255, 255: 0}).tolist() == [[255, 1], [254, 0]]
