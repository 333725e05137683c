"""Tar archives that are damaged, joined or hold links."""

import io
import tarfile

import numpy as np
import pytest

from engine.data.files import collect_left_out
from engine.errors import DataError
from pretrain.archives import list_images

NUM = 20


def add(tar, name, size=700, **attributes):
    member = tarfile.TarInfo(name)
    member.size = size
    for key, value in attributes.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(np.random.default_rng(size).bytes(size)))


@pytest.fixture
def path(tmp_path):
    """An archive of 20 images of two blocks each, each behind a header of one."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for i in range(NUM):
            add(tar, f"{i:02d}.jpg")
    assert len(list_images(tmp_path / "a.tar")) == NUM
    return tmp_path / "a.tar"


TENTH = 10 * 3 * 512


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda d: d[:TENTH] + b"\xff" + d[TENTH + 1 :], r"'09.jpg', at byte 15360, .* damaged"),
        (lambda d: d[:TENTH] + bytes(512) + d[TENTH + 512 :], r"'09.jpg', at byte 15360"),
        (lambda d: d[:TENTH], r"it ends after member 10, '09.jpg', without the mark"),
        (lambda d: d[: TENTH + 700], "unexpected end|ends"),
        (lambda d: d[:TENTH] + bytes(len(d) - TENTH), "bytes of zeros follow"),
        (lambda d: d + d, r"'19.jpg', at byte 30720, .*byte 40960; archives joined by cat"),
        (lambda d: d + b"x", "data follow the end"),
    ],
    ids=["flipped", "zeroed", "cut between", "cut within", "zero tail", "joined", "more"],
)
def test_damage_is_an_error_that_says_where(path, damage, message):
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"a\.tar cannot be read.*{message}"):
        list_images(path)


def end_in_record(path, blocks):
    data = path.read_bytes()[: NUM * 3 * 512] + bytes(1024)
    path.write_bytes(data + bytes(-len(data) % (512 * blocks)))


@pytest.mark.parametrize("blocks", [2, 20, 512, 2048])
def test_archives_end_in_records_of_any_usual_length(path, blocks):
    end_in_record(path, blocks)
    assert len(list_images(path)) == NUM


def test_no_record_is_longer_than_a_mebibyte(path):
    end_in_record(path, 4096)
    with pytest.raises(DataError, match="bytes of zeros follow"):
        list_images(path)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_links_are_the_images_that_they_lead_to(tmp_path, form):
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
        add(tar, "./train/a.jpg")
        add(tar, "train/hard.jpg", 0, type=tarfile.LNKTYPE, linkname="./train/a.jpg")
        add(tar, "val/soft.jpg", 0, type=tarfile.SYMTYPE, linkname="../train/hard.jpg")
        add(tar, f"{'long' * 60}.jpg", 900)
        add(tar, "folder.jpg", 0, type=tarfile.DIRTYPE)
    spans = [record["img_span"] for record in list_images(tmp_path / "a.tar")]
    assert len(spans) == 4 and spans[0] == spans[1] == spans[2] != spans[3]
    data = (tmp_path / "a.tar").read_bytes()
    assert data[spans[1][0] :][: spans[1][1]] == np.random.default_rng(700).bytes(700)


@pytest.mark.parametrize(
    "kind, link", [("LNKTYPE", "gone.jpg"), ("SYMTYPE", "/a.jpg"), ("SYMTYPE", "b.jpg")]
)
def test_links_that_lead_nowhere_are_errors(tmp_path, kind, link):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "a.jpg")
        add(tar, "b.jpg", 0, type=getattr(tarfile, kind), linkname=link)
    with pytest.raises(DataError, match=r"a.tar: the image 'b.jpg' is no plain file in it"):
        list_images(tmp_path / "a.tar")


def test_a_sparse_image_is_an_error(tmp_path):
    """Its bytes in the archive are not those of the file."""
    sparse = {"GNU.sparse.size": "700", "GNU.sparse.map": "0,300,600,100"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "a.jpg", 400, pax_headers=sparse)
    with pytest.raises(DataError, match=r"the image 'a.jpg' is no plain file .* without --sparse"):
        list_images(tmp_path / "a.tar")


def test_a_negative_size_does_not_lead_back(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "a.jpg")
    member = tarfile.TarInfo("b.jpg")
    member.size = -1024
    header = member.tobuf(tarfile.GNU_FORMAT)
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[: 3 * 512] + header + bytes(10240))
    with pytest.raises(DataError, match=r"a.tar cannot be read"):
        list_images(tmp_path / "a.tar")


def test_members_that_are_no_images_are_counted(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("a.jpg", "a.txt", "b.jpg", "b.txt", "b.json"):
            add(tar, name)
    with collect_left_out() as left_out:
        assert len(list_images(tmp_path / "a.tar")) == 2
    assert [text for _, text in left_out.passed_over] == [
        "1 members with .json, such as b.json", "2 members with .txt, such as a.txt",
    ]  # fmt: skip


def test_hidden_members_are_no_images(tmp_path):
    """macOS packs ._a.jpg, attributes of a.jpg, beside it."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("./._a.jpg", "./a.jpg", ".hidden/b.jpg", "sub/._.jpg"):
            add(tar, name)
    names = [record["img_path"].split("a.tar/")[1] for record in list_images(tmp_path / "a.tar")]
    assert names == ["./a.jpg", ".hidden/b.jpg"]


def test_a_zeroed_long_name_is_an_error(tmp_path):
    """Such a name is in a block of its own, which no checksum covers."""
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        add(tar, f"{'long' * 60}.jpg")
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[512:1024] = bytes(512)
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(DataError, match=r"a.tar cannot be read.* at byte 0 has no name"):
        list_images(tmp_path / "a.tar")
