import struct
import zlib

import numpy as np
import pytest

from engine.data.exr import read_exr_depth
from engine.errors import DataError


def attribute(name, kind, value):
    return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value


def zip_block(raw):
    data = np.frombuffer(raw, np.uint8)
    split = np.concatenate([data[::2], data[1::2]]).astype(np.int64)
    split[1:] = (np.diff(split) + 128) % 256
    packed = zlib.compress(split.astype(np.uint8).tobytes())
    return packed if len(packed) < len(raw) else raw


def write_exr(path, channels, compression, top=0, version=2):
    """Writes channels {name: (H, W)} as the format's documentation says, in scan lines."""
    kinds = {"uint32": 0, "float16": 1, "float32": 2}
    names = sorted(channels)
    height, width = channels[names[0]].shape
    chlist = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3xii", kinds[channels[name].dtype.name], 0, 1, 1)
        for name in names
    )
    window = struct.pack("<4i", 5, top, 5 + width - 1, top + height - 1)
    header = struct.pack("<ii", 20000630, version)
    header += attribute("channels", "chlist", chlist + b"\0")
    header += attribute("compression", "compression", bytes([compression]))
    header += attribute("dataWindow", "box2i", window)
    header += attribute("lineOrder", "lineOrder", b"\0") + b"\0"
    lines = 16 if compression == 3 else 1
    blocks = []
    for start in range(0, height, lines):
        rows = range(start, min(start + lines, height))
        raw = b"".join(channels[name][row].tobytes() for row in rows for name in names)
        raw = zip_block(raw) if compression else raw
        blocks.append(struct.pack("<ii", top + start, len(raw)) + raw)
    offset = len(header) + 8 * len(blocks)
    table = b""
    for block in blocks:
        table += struct.pack("<Q", offset)
        offset += len(block)
    path.write_bytes(header + table + b"".join(blocks))


@pytest.mark.parametrize("compression", [0, 2, 3], ids=["none", "zips", "zip"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint32"])
def test_reads_what_was_written(tmp_path, compression, dtype):
    depth = np.linspace(1, 90, 37 * 11).reshape(37, 11).astype(dtype)
    other = np.zeros((37, 11), np.float16)
    write_exr(tmp_path / "a.exr", {"A": other, "view.Z": depth}, compression, top=-3)
    read = read_exr_depth(tmp_path / "a.exr")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, depth.astype(np.float32))


def test_the_only_channel_may_have_any_name(tmp_path):
    write_exr(tmp_path / "a.exr", {"distance": np.full((2, 3), 7, np.float32)}, 3)
    assert read_exr_depth(tmp_path / "a.exr").tolist() == [[7] * 3] * 2


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(compression=4), "compression 4.*Save it with ZIP"),
        (dict(compression=0, version=2 | 0x200), "scan lines"),
        (dict(compression=0, names=("A", "B")), "one called Z"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, options, message):
    names = options.pop("names", ("Z",))
    write_exr(tmp_path / "a.exr", {n: np.ones((2, 3), np.float32) for n in names}, **options)
    with pytest.raises(DataError, match=message):
        read_exr_depth(tmp_path / "a.exr")


@pytest.mark.parametrize("length", [0, 6, 60, 290])
def test_a_cut_file(tmp_path, length):
    write_exr(tmp_path / "a.exr", {"Z": np.ones((9, 30), np.float32)}, 0)
    data = (tmp_path / "a.exr").read_bytes()
    (tmp_path / "a.exr").write_bytes(data[:length])
    with pytest.raises(DataError, match=r"a\.exr is damaged"):
        read_exr_depth(tmp_path / "a.exr")
