"""Which results of an earlier run are taken as done."""

import json
import os
from pathlib import Path

import pytest

from engine.infer import InputImage
from engine.infer.manifest import NAME, Manifest, fingerprint

SUFFIXES = (".npy", ".png")


@pytest.fixture
def done(tmp_path):
    """A folder with the results of one image, all of one moment."""
    out = tmp_path / "out"
    Manifest(out, {"weights": "a"})
    image = InputImage(tmp_path / "a.jpg", "a")
    for path in (image.path, *(out / f"a{suffix}" for suffix in SUFFIXES)):
        path.touch()
    for path in (image.path, *out.iterdir()):
        set_time(path, 100)
    return out, image


def set_time(path, seconds):
    os.utime(path, ns=(seconds * 10**9, seconds * 10**9))


def has(out, image, **options):
    return Manifest(out, {"weights": "a"}, **options).has(image, SUFFIXES)


def test_what_is_as_old_as_the_manifest_and_the_image_is_done(done):
    assert has(*done)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_result_must_be_there_and_not_older(done, suffix):
    out, image = done
    set_time(out / f"a{suffix}", 99)
    assert not has(out, image)
    set_time(out / f"a{suffix}", 101)
    assert has(out, image)
    (out / f"a{suffix}").unlink()
    assert not has(out, image)


def test_a_changed_image_is_done_again(done):
    out, image = done
    set_time(image.path, 101)
    assert not has(out, image)


def test_other_settings_or_the_wish_do_all_again_and_the_same_do_not(done):
    out, image = done
    before = (out / NAME).stat().st_mtime_ns
    assert has(out, image) and (out / NAME).stat().st_mtime_ns == before
    assert not has(out, image, overwrite=True)
    for suffix in SUFFIXES:
        (out / f"a{suffix}").touch()
    assert has(out, image)
    assert not Manifest(out, {"weights": "b"}).has(image, SUFFIXES)
    assert json.loads((out / NAME).read_text()) == {"weights": "b"}


def test_a_manifest_that_is_no_text_is_written_anew(done):
    out, image = done
    (out / NAME).write_bytes(b"\xff\xfe")
    assert not has(out, image)
    assert json.loads((out / NAME).read_text()) == {"weights": "a"}


def test_a_file_is_told_from_itself_after_a_change(tmp_path):
    path = Path(tmp_path, "a.pth")
    path.write_text("1")
    set_time(path, 5)
    first = fingerprint(path)
    assert first == fingerprint(str(path)) and first["bytes"] == 1
    set_time(path, 6)
    assert fingerprint(path) != first
    path.write_text("12")
    set_time(path, 5)
    assert fingerprint(path) != first
