"""What the index of an MP4 says of its pictures."""

from struct import pack

import pytest

from engine.infer.video.containers import is_cut_off, num_pictures


def box(kind, *contents):
    content = b"".join(contents)
    return pack(">I4s", 8 + len(content), kind) + content


def times(kind, version, ticks, duration):
    """A header of a movie or its media, with the times of version 0 or 1."""
    form = ">4x2QIQ" if version else ">4x2I2I"
    return box(kind, bytes([version]) + pack(form, 0, 0, ticks, duration)[1:])


def edit_list(version, *edits):
    entries = [pack(">Qqi" if version else ">Iii", *edit, 1) for edit in edits]
    return box(b"edts", box(b"elst", bytes([version, 0, 0, 0]), pack(">I", len(edits)), *entries))


def movie(version=0, edits=(), handler=b"vide", num=50):
    """Two seconds of 50 pictures, after a track of sound; the movie counts milliseconds."""
    table = box(b"stbl", box(b"stsz", pack(">3I", 0, 0, num)))
    media = [times(b"mdhd", version, 25, 50), box(b"hdlr", bytes(8), handler), box(b"minf", table)]
    sound = box(b"trak", box(b"mdia", box(b"hdlr", bytes(8), b"soun")))
    tracks = [
        sound,
        box(b"trak", edit_list(version, *edits) if edits else b"", box(b"mdia", *media)),
    ]
    return box(b"ftyp", b"isom") + box(b"moov", times(b"mvhd", version, 1000, 2000), *tracks)


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "num"),
    [
        ((), 50),
        ([(2000, 0)], 50),
        ([(2000, 2)], 50),  # the delay of a codec that looks ahead
        ([(1990, 0)], 50),  # rounded
        ([(700, 0), (1300, 18)], 50),
        ([(500, -1), (2000, 0)], 50),  # a pause before
        ([(1900, 0)], None),
        ([(1000, -1), (1000, 25)], None),
    ],
)
def test_all_pictures_count_unless_some_are_not_shown(tmp_path, version, edits, num):
    path = tmp_path / "a.mp4"
    path.write_bytes(movie(version, edits))
    assert num_pictures(path) == num


@pytest.mark.parametrize(
    "content", [b"", b"moov", movie(handler=b"soun"), box(b"ftyp"), movie()[:-4], bytes(100)]
)
def test_files_that_do_not_say(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert num_pictures(path) is None


def test_boxes_of_64_bits_and_to_the_end(tmp_path):
    path = tmp_path / "a.mp4"
    long = pack(">I4sQ", 1, b"mdat", 26) + bytes(10)
    path.write_bytes(long + movie() + pack(">I4s", 0, b"free") + bytes(9))
    assert num_pictures(path) == 50 and not is_cut_off(path)
    path.write_bytes(movie() + long[:-1])
    assert num_pictures(path) == 50 and is_cut_off(path)


@pytest.mark.parametrize(
    ("size", "content", "cut_off"),
    [
        (b"\x8a", 10, False),  # seven bits of size
        (b"\x8a", 9, True),
        (b"\x41\x2c", 300, False),  # fourteen
        (b"\x41\x2c", 299, True),
        (b"\x01" + bytes(5) + b"\x01\x2c", 300, False),  # fifty-six
        (b"\x01" + bytes(5) + b"\x01\x2c", 299, True),
        (b"\xff", 3, False),  # not known when it was written
        (b"\x01" + b"\xff" * 7, 3, False),
        (b"", 0, False),  # the file ends before its size
    ],
)
def test_a_matroska_ends_where_its_segment_ends(tmp_path, size, content, cut_off):
    path = tmp_path / "a.webm"
    header = b"\x1a\x45\xdf\xa3\x84webm"
    path.write_bytes(header + b"\x18\x53\x80\x67" + size + bytes(content))
    assert is_cut_off(path) is cut_off and num_pictures(path) is None
    path.write_bytes(header + bytes(content))
    assert not is_cut_off(path)


def test_boxes_end_where_the_file_ends(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(movie())
    assert not is_cut_off(path)
    path.write_bytes(movie()[:-1])
    assert is_cut_off(path)
