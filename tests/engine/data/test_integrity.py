"""Damaged and oversized images are named before they cost memory or pass for others."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from engine.data import LoadImage
from engine.data.decoding import decode_image
from engine.data.integrity import (
    LIMIT_VARIABLE,
    decoder_warnings,
    max_pixels,
    open_image,
    require_size,
)
from engine.data.loading import read_image, read_labels
from engine.errors import ConfigError, DataError


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(height, width, *others):
    """A grey PNG whose pixels are missing, with chunks before its end."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), pixels, *others, chunk(b"IEND", b"")]
    )


@pytest.fixture
def photo():
    """A smooth image with some noise (120, 160, 3)."""
    y, x = np.mgrid[:120, :160]
    waves = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 20)], -1)
    noise = np.random.default_rng(0).normal(0, 8, waves.shape)
    return (128 + 90 * waves + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("read", [read_image, read_labels])
def test_a_tiny_file_of_a_huge_image_is_refused_by_its_header(tmp_path, read):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(30000, 30000))
    with pytest.raises(DataError, match=rf"bomb.png.*{LIMIT_VARIABLE}"):
        read(path)


@pytest.mark.parametrize("reduce", [True, False])
def test_so_is_a_jpeg_whether_it_is_decoded_at_once_or_not(tmp_path, photo, reduce):
    data = cv2.imencode(".jpg", photo)[1].tobytes()
    frame = data.index(b"\xff\xc0") + 5
    size = struct.pack(">HH", 60000, 60000)
    (tmp_path / "bomb.jpg").write_bytes(data[:frame] + size + data[frame + 4 :])
    with pytest.raises(DataError, match=rf"bomb.jpg.*{LIMIT_VARIABLE}"):
        LoadImage(reduce=reduce)({"img_path": str(tmp_path / "bomb.jpg")})


def test_the_limit_can_be_set(monkeypatch, photo):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    data = cv2.imencode(".png", photo)[1].tobytes()
    monkeypatch.setenv(LIMIT_VARIABLE, "19199")
    with pytest.raises(DataError, match=r"a.png: .* 120x160 pixels .* At most 19199 pixels"):
        decode_image(data, "a.png")
    monkeypatch.setenv(LIMIT_VARIABLE, "19200")
    assert np.array_equal(decode_image(data, "a.png"), photo)
    monkeypatch.setenv(LIMIT_VARIABLE, "1000000000")
    with (
        pytest.raises(DataError, match="not an image that"),
        open_image(png(20000, 20000), "a.png") as image,
    ):
        image.load()
    assert Image.MAX_IMAGE_PIXELS == 10**9, "Pillow's own limit gives way"
    monkeypatch.setenv(LIMIT_VARIABLE, "1e9")
    with pytest.raises(ConfigError, match="expected a number of pixels"):
        max_pixels()


def test_a_limit_is_above_zero_and_below_pillows_leaves_that_alone(monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    with pytest.raises(ConfigError, match="expected a number of pixels above 0"):
        max_pixels()
    pillows = Image.MAX_IMAGE_PIXELS
    monkeypatch.setenv(LIMIT_VARIABLE, "1")
    assert max_pixels() == 1 and pillows == Image.MAX_IMAGE_PIXELS
    require_size("dot.png", 1, 1)
    with pytest.raises(DataError, match="At most 1 pixels"):
        require_size("dash.png", 1, 2)


@pytest.mark.parametrize("size_hw", [(0, 5), (5, 0)])
def test_a_header_without_pixels_is_damaged(size_hw):
    message = f"a.png is damaged: its header says {size_hw[0]}x{size_hw[1]}"
    with pytest.raises(DataError, match=message):
        require_size("a.png", *size_hw)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_a_cut_at_any_place_is_an_error(photo, suffix):
    data = cv2.imencode(suffix, photo)[1].tobytes()
    for length in np.linspace(0, len(data) - 3, 25).astype(int):
        with pytest.raises(DataError, match=r"a\.img"):
            decode_image(data[:length], "a.img")


def test_each_byte_of_a_png_counts(photo):
    """Also those of chunks that decoders only warn of, or do not look at."""
    whole = cv2.imencode(".png", photo)[1].tobytes()
    whole = whole[:-12] + chunk(b"tEXt", b"Comment\0taken at home") + whole[-12:]
    assert np.array_equal(decode_image(whole, "a.png"), photo)
    for place in [*range(60), *range(60, len(whole), 997), *range(len(whole) - 60, len(whole))]:
        data = bytearray(whole)
        data[place] ^= 4
        with pytest.raises(DataError, match=r"a\.png"):
            decode_image(bytes(data), "a.png")


def test_what_follows_the_end_of_a_png_does_not_matter(photo):
    data = cv2.imencode(".png", photo)[1].tobytes()
    assert np.array_equal(decode_image(data + bytes(7), "a.png"), photo)


@pytest.fixture
def scratched(photo, tmp_path):
    """A JPEG with changed bytes before its end marker, which decodes to another picture."""
    data = bytearray(cv2.imencode(".jpg", photo)[1].tobytes())
    start = data.index(b"\xff\xda") + 200
    data[start : start + 40] = bytes(40)
    path = tmp_path / "scratched.jpg"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("reduce", [True, False])
def test_damage_to_a_jpeg_is_refused_if_asked_for(scratched, reduce):
    sample = LoadImage(reduce=reduce)({"img_path": str(scratched)})
    if reduce:
        assert sample["img"].decode(2).shape == (60, 80, 3)
    with pytest.raises(DataError, match=r"scratched.jpg is damaged: Corrupt JPEG data: "):
        strict = LoadImage(reduce=reduce, strict=True)({"img_path": str(scratched)})
        strict["img"].decode(2)


def test_damage_to_the_order_of_scans_is_refused_if_asked_for(photo):
    data = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    third = data.index(b"\xff\xda", second + 2)
    twice = data[:third] + data[second:]
    assert decode_image(twice, "a.jpg").shape == photo.shape
    with pytest.raises(DataError, match=r"a.jpg is damaged: Inconsistent progression"):
        decode_image(twice, "a.jpg", strict=True)
    decode_image(data, "a.jpg", strict=True)


def test_a_sound_jpeg_is_read_strictly(photo):
    data = cv2.imencode(".jpg", photo)[1].tobytes()
    strict = decode_image(data, "a.jpg", strict=True)
    assert np.array_equal(strict, decode_image(data, "a.jpg"))


def test_other_words_on_standard_error_are_passed_on(scratched, capfd):
    with decoder_warnings() as found:
        os.write(2, b"before\nno end of line")
        decode_image(scratched.read_bytes(), scratched)
    os.write(2, b" after\n")
    assert len(found) == 1 and found[0].startswith("Corrupt JPEG data")
    assert capfd.readouterr().err.startswith("before\nno end of line after")
