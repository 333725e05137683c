import builtins
import struct

import numpy as np
import pytest

from engine.errors import ConfigError, DataError
from seg.surface.reading import read_exr_depth

OpenEXR = pytest.importorskip("OpenEXR", reason="needs the extra mmsapiens[exr]")

HEIGHT, WIDTH = 9, 30
BLOCK = struct.pack("<ii", 0, 4 * WIDTH)  # row and size, before the first row's pixels


def write_exr(path, channels, compression="NO", **header):
    header = {"compression": getattr(OpenEXR, f"{compression}_COMPRESSION"), **header}
    OpenEXR.File(header, channels).write(str(path))


def damaged(path, change):
    """Writes float rows one after the other, uncompressed, and changes the file's bytes."""
    depth = np.arange(1, HEIGHT * WIDTH + 1, dtype=np.float32).reshape(HEIGHT, WIDTH)
    write_exr(path, {"Z": depth})
    path.write_bytes(change(bytearray(path.read_bytes())))


@pytest.mark.parametrize("compression", ["NO", "ZIPS", "ZIP", "PIZ", "RLE"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint32"])
def test_reads_what_was_written(tmp_path, compression, dtype):
    depth = np.linspace(1, 90, 37 * 11).reshape(37, 11).astype(dtype)
    other = np.zeros((37, 11), np.float16)
    window = (np.array([5, -3], np.int32), np.array([15, 33], np.int32))
    channels = {"A": other, "view.Z": depth}
    write_exr(tmp_path / "a.exr", channels, compression, dataWindow=window)
    read = read_exr_depth(tmp_path / "a.exr")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, depth.astype(np.float32))


def test_reads_tiles(tmp_path):
    depth = np.random.default_rng(0).random((100, 70), np.float32)
    tiles = OpenEXR.TileDescription()
    write_exr(tmp_path / "a.exr", {"Z": depth}, type=OpenEXR.tiledimage, tiles=tiles)
    np.testing.assert_array_equal(read_exr_depth(tmp_path / "a.exr"), depth)


@pytest.mark.parametrize("names, chosen", [("RVZ", "Z"), ("RV", "V"), ("ARY", "Y"), ("ARG", "R")])
def test_which_channel_is_depth(tmp_path, names, chosen):
    channels = {name: np.full((2, 3), ord(name), np.float32) for name in names}
    write_exr(tmp_path / "a.exr", channels)
    assert read_exr_depth(tmp_path / "a.exr").tolist() == [[ord(chosen)] * 3] * 2


def test_the_only_channel_may_have_any_name(tmp_path):
    write_exr(tmp_path / "a.exr", {"distance": np.full((2, 3), 7, np.float32)}, "ZIP")
    assert read_exr_depth(tmp_path / "a.exr").tolist() == [[7] * 3] * 2


def test_no_channel_of_depth(tmp_path):
    write_exr(tmp_path / "a.exr", {name: np.ones((2, 3), np.float32) for name in "AB"})
    with pytest.raises(DataError, match=r"a\.exr has the channels.*one called Z"):
        read_exr_depth(tmp_path / "a.exr")


def test_several_parts(tmp_path):
    channels = {"Z": np.ones((2, 3), np.float32)}
    OpenEXR.File([OpenEXR.Part({}, channels, name) for name in "ab"]).write(str(tmp_path / "a.exr"))
    with pytest.raises(DataError, match=r"a\.exr has 2 parts"):
        read_exr_depth(tmp_path / "a.exr")


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.exr does not exist"):
        read_exr_depth(tmp_path / "a.exr")


@pytest.mark.parametrize("length", [0, 6, 60, 290, 900, -1])
def test_a_cut_file(tmp_path, length):
    damaged(tmp_path / "a.exr", lambda data: data[:length])
    with pytest.raises(DataError, match=r"a\.exr is damaged"):
        read_exr_depth(tmp_path / "a.exr")


@pytest.mark.parametrize("row", [2, -1, HEIGHT], ids=["duplicate", "negative", "beyond"])
def test_a_row_that_is_not_where_it_should_be(tmp_path, row):
    def change(data):
        start = data.index(BLOCK) + 3 * (len(BLOCK) + 4 * WIDTH)
        struct.pack_into("<i", data, start, row)
        return data

    damaged(tmp_path / "a.exr", change)
    with pytest.raises(DataError, match=r"a\.exr is damaged"):
        read_exr_depth(tmp_path / "a.exr")


def test_a_row_that_the_table_names_twice(tmp_path):
    def change(data):
        first = data.index(BLOCK)
        struct.pack_into("<Q", data, first - 8 * (HEIGHT - 3), first)  # the entry of row 3
        return data

    damaged(tmp_path / "a.exr", change)
    with pytest.raises(DataError, match=r"a\.exr is damaged"):
        read_exr_depth(tmp_path / "a.exr")


def test_a_huge_size_is_refused_by_the_header(tmp_path, monkeypatch):
    write_exr(tmp_path / "a.exr", {"Z": np.zeros((40, 50), np.float32)}, "ZIP")
    read_exr_depth(tmp_path / "a.exr")
    monkeypatch.setenv("MMSAPIENS_MAX_PIXELS", "1999")
    with pytest.raises(DataError, match=r"a\.exr: its header says 40x50"):
        read_exr_depth(tmp_path / "a.exr")


def test_a_header_that_cannot_be_followed(tmp_path):
    write_exr(tmp_path / "a.exr", {"Z": np.zeros((40, 50), np.float32)})
    data = (tmp_path / "a.exr").read_bytes()
    place = data.index(b"box2i\0") + 6
    for size in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"):
        (tmp_path / "a.exr").write_bytes(data[:place] + size + data[place + 4 :])
        with pytest.raises(DataError, match=r"a\.exr is damaged.*header cannot be followed"):
            read_exr_depth(tmp_path / "a.exr")


def test_without_the_library(tmp_path, monkeypatch):
    importer = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "OpenEXR":
            raise ImportError(name)
        return importer(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"mmsapiens\[exr\]"):
        read_exr_depth(tmp_path / "a.exr")


def test_files_of_several_parts_and_deep_ones_are_named(tmp_path):
    depth = np.ones((4, 5), np.float32)
    header = {"type": OpenEXR.scanlineimage}
    parts = [OpenEXR.Part(dict(header), {"Z": depth}, name) for name in "ab"]
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    with pytest.raises(DataError, match=r"parts\.exr has 2 parts"):
        read_exr_depth(tmp_path / "parts.exr")
    deep = np.empty((4, 5), object)
    for place in np.ndindex(deep.shape):
        deep[place] = np.ones(2, np.float32)
    header = {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION}
    OpenEXR.File(header, {"Z": deep}).write(str(tmp_path / "deep.exr"))
    with pytest.raises(DataError, match=r"deep\.exr is deep or subsampled"):
        read_exr_depth(tmp_path / "deep.exr")
