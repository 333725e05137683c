"""What a config and a command line say of the files of predictions."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.data.sample import DataSample
from engine.infer import build_writer
from engine.infer.images import InputImage
from engine.infer.manifest import Manifest
from engine.infer.results import Results
from engine.infer.unfinished import complete

META = {"classes": ("skin", "hair"), "palette": ((0, 0, 0), (9, 9, 9))}


def test_the_command_line_goes_before_the_config(face_config):
    cfg = face_config(writer__opacity=0.25)
    assert build_writer(cfg, META).opacity == 0.25
    assert build_writer(cfg, META, {"opacity": 0.75}).opacity == 0.75


def test_two_that_write_the_same_file_do_not_spoil_it(tmp_path):
    path = tmp_path / "a.png"
    with complete(path) as first, first.open("wb") as file:
        file.write(b"first")
        file.flush()
        with complete(path) as second:
            second.write_bytes(b"second")
            assert not path.exists() and second.suffix == ".png"
        assert path.read_bytes() == b"second"
        file.write(b", whole")
    assert path.read_bytes() == b"first, whole" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stem", ["a" * 251, "ä" * 125, "a" * 239, "a" * 240])
def test_the_longest_names_can_be_written(tmp_path, stem):
    """Of 255 bytes at most; what is unfinished has no room for a beginning."""
    path, manifest = tmp_path / f"{stem}.png", Manifest(tmp_path, {})
    with complete(path) as unfinished:
        unfinished.write_bytes(b"whole")
        assert unfinished.suffix == ".png" and unfinished.name.startswith(".unfinished-")
    image = InputImage(path, stem)
    manifest.mark(image)
    assert path.read_bytes() == b"whole" and manifest.is_marked(image)
    assert not manifest.is_marked(InputImage(path, f"b{stem[1:]}"))


def test_what_was_left_unfinished_is_replaced_and_what_fails_leaves_nothing(tmp_path):
    path = tmp_path / "a.png"
    (tmp_path / ".unfinished-a.png").write_bytes(b"longer, of a run that was killed")
    with complete(path) as unfinished:
        unfinished.write_bytes(b"whole")
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyError), complete(path):
        raise KeyError
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("num", [5, 200], ids=["fewer than may wait", "more"])
def test_what_cannot_be_written_is_told_in_the_order_of_the_images(num, tmp_path):
    def write(sample, pixels, out_stem):
        if int(out_stem.name) % 3:
            raise OSError(out_stem.name)

    done = []
    writer = SimpleNamespace(
        needs_image=False, write=write, collect=lambda _: None, finish=done.append
    )
    results = Results(writer, tmp_path)
    for i in range(num):
        results.add(InputImage(Path(f"{i}.jpg"), f"{i}"), DataSample())
    bad = [i for i in range(num) if i % 3]
    assert results.close() == num - len(bad) and done == [tmp_path]
    assert [failure.reason for failure in results.failures] == [f"OSError: {i}" for i in bad]
