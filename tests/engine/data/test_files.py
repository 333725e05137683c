import glob
import logging
import os
import unicodedata

import pytest
from mmengine.logging import MMLogger

from engine.data.files import (
    Partner,
    as_on_disk,
    by_stem,
    collect_left_out,
    find_files,
    match_files,
    missing_files,
    pair_folders,
    read_list,
    require_partners,
)
from engine.errors import DataError

PARTNERS = {
    "mask_path": Partner("masks", (".npy", ".png"), "mask"),
    "depth_path": Partner("depths", (".npy",), "depth"),
}


@pytest.fixture
def root(tmp_path):
    for name in ("images/b.webp", "images/sub/a.JPG", "masks/b.png", "masks/sub/a.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("depths/b.npy", "depths/sub/a.npy", "depths/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_of_one_path_belong_together(root):
    records = pair_folders(root, "images", PARTNERS)
    assert [name for name, _ in records] == ["b", "sub/a"]
    assert records[1][1] == {
        "img_path": str(root / "images/sub/a.JPG"),
        "mask_path": str(root / "masks/sub/a.npy"),
        "depth_path": str(root / "depths/sub/a.npy"),
    }


@pytest.mark.parametrize(
    "lost, message",
    [
        ("masks/b.png", r"1 of 2 files have no mask in .*masks', such as .*b\.webp"),
        ("depths/b.npy", "have no depth"),
        ("images/b.webp", "have no image"),
    ],
)
def test_a_file_without_partner(root, lost, message):
    (root / lost).unlink()
    with pytest.raises(DataError, match=message):
        pair_folders(root, "images", PARTNERS)
    with collect_left_out() as left_out:
        records = pair_folders(root, "images", PARTNERS)
    assert [name for name, _ in records] == ["sub/a"]
    assert all(path.stem == "b" for path, _ in left_out.unpaired) and left_out.unpaired


def test_folders_without_images(tmp_path, root):
    with pytest.raises(DataError, match="nowhere' does not exist"):
        pair_folders(root, "nowhere", PARTNERS)
    with pytest.raises(DataError, match=r"No images \(\.jpg, .*\) in .*depths"):
        pair_folders(root, "depths", {})


@pytest.fixture
def warnings():
    """What is logged."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    MMLogger.get_current_instance().addHandler(handler)
    return messages


def test_linked_folders_are_searched_and_circles_are_not(tmp_path, warnings):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "a.png").touch()
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "real")
    (root / "again").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(root)
    assert find_files(root, (".png",)) == ["again/deep/a.png", "linked/deep/a.png"]
    (warning,) = warnings
    assert "passed over 2 links to a folder that holds them, such as" in warning


def test_patterns_do_not_go_round_in_circles(tmp_path, monkeypatch):
    """Two links back would be followed 40 deep, in 2 ** 40 ways."""
    for name in (
        "a.png",
        "sub/b.png",
        "sub/deep/c.png",
        "sub/deep/.d.png",
        "x[1]/e.png",
        ".f/g.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(pattern):
        return [os.path.relpath(path, tmp_path) for path in match_files(f"{tmp_path}/{pattern}")]

    patterns = ("**/*.png", "*.png", "s*/**/c.png", "sub/**", "**/deep/**/*.png", "**/x[[]1]/*")
    expected = [
        sorted(
            os.path.relpath(p, tmp_path) for p in set(glob.glob(f"{tmp_path}/{p}", recursive=True))
        )
        for p in patterns
    ]
    assert [found(p) for p in patterns] == [[n for n in e if n != "sub"] for e in expected]
    for name in ("back", "again"):
        (tmp_path / "sub" / name).symlink_to(tmp_path)
    assert found("**/*.png") == ["a.png", "sub/b.png", "sub/deep/c.png", "x[1]/e.png"]
    monkeypatch.chdir(tmp_path / "sub")
    assert [os.path.normpath(path) for path in match_files("**/c.png")] == ["deep/c.png"]


def test_what_a_search_passes_over_is_counted_and_named(tmp_path, warnings):
    for name in ("a.png", "b.heic", "c.HEIC", "README", ".hidden.png", "._a.png"):
        (tmp_path / name).touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "a.png").touch()
    assert find_files(tmp_path, (".png",)) == ["a.png"]
    said = " ".join(warnings)
    for text in (
        "2 files with the suffix .heic", "1 files without a suffix, such as", "README",
        "2 links to nothing", "1 no files, such as", "1 hidden folders",
    ):  # fmt: skip
        assert text in said
    assert ".hidden" not in said and "._a" not in said
    with collect_left_out() as left_out:
        find_files(tmp_path, (".png",))
    assert len(left_out.passed_over) == len(warnings) == 5, "collected instead of logged"


def test_letters_with_accents_pair_however_they_are_written(tmp_path):
    for form, name in (("NFC", "images/é.jpg"), ("NFD", "masks/é.png")):
        path = tmp_path / unicodedata.normalize(form, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    ((name, record),) = pair_folders(tmp_path, "images", {"mask_path": PARTNERS["mask_path"]})
    assert name == "\u00e9"
    assert all(os.path.exists(path) for path in record.values()), "paths stay as they are on disk"
    assert os.path.exists(as_on_disk(tmp_path, "masks/\u00e9.png"))
    assert os.path.exists(as_on_disk(tmp_path, "images/e\u0301.jpg"))
    (tmp_path / "images" / "e\u0301.png").touch()
    with pytest.raises(DataError, match="differ only in their suffix, or in how Unicode"):
        pair_folders(tmp_path, "images", {})


def test_if_nothing_pairs_names_of_both_sides_are_shown(root):
    for path in (root / "masks").rglob("*.*"):
        path.rename(path.with_name(f"{path.stem}_mask{path.suffix}"))
    message = r"No file has its mask in .*'b.webp', 'a.JPG' \(2\).*'b_mask.png', 'a_mask.npy'"
    with pytest.raises(DataError, match=message):
        pair_folders(root, "images", PARTNERS)
    with collect_left_out(), pytest.raises(DataError, match=message):
        pair_folders(root, "images", PARTNERS)


@pytest.mark.parametrize(("num", "dots"), [(3, ""), (4, ", ...")])
def test_of_many_names_three_are_shown(tmp_path, num, dots):
    names = [f"{letter}.png" for letter in "abcd"[:num]]
    files = by_stem(tmp_path, names)
    message = rf"The files are 'a.png', 'b.png', 'c.png'{dots} \({num}\). There are 'z.png' \(1\)"
    with pytest.raises(DataError, match=message):
        require_partners(files, by_stem(tmp_path, ["z.png"]), "mask", tmp_path)
    partners = by_stem(tmp_path, ["z.png", *names[:0]]) | {"d": tmp_path / "d.png"}
    files |= {"d": tmp_path / "d.png"}
    with pytest.raises(DataError, match=r"3 of 4 files .* such as .*a.png, .*b.png, .*c.png\. Add"):
        require_partners(files, partners, "mask", tmp_path)


def test_no_files_miss_no_partners(tmp_path):
    require_partners({}, by_stem(tmp_path, ["z.png"]), "mask", tmp_path)


def test_missing_files_are_returned_in_order(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "sub/b.png"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    asked = ["sub/c.png", "a.png", "gone/a.png", "sub/b.png", "b.png", "sub//b.png"]
    assert missing_files(asked) == ["sub/c.png", "gone/a.png", "b.png"]
    assert missing_files([]) == []


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"The list file .*none.txt' does not exist"):
        read_list(tmp_path / "none.txt")


def test_lists_with_byte_order_marks_and_line_ends_of_windows(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffé.jpg\r\n# no\r\n\r\n\ufeffb c.jpg\rd\u3000e.jpg".encode())
    assert read_list(path) == ["é.jpg", "b c.jpg", "d\u3000e.jpg"]


@pytest.mark.parametrize(
    "data, message",
    [
        ("a.jpg\n".encode("utf-16"), r"list.txt' is not in UTF-8 \(byte 0\).*PowerShell"),
        (b"a.jpg\nb\xff.jpg", r"not in UTF-8 \(byte 7\)"),
        (b"a.jpg\nb\0.jpg\n", r"Line 2 of .*list.txt' is no name of a file: 'b"),
    ],
)
def test_lists_that_are_no_text(tmp_path, data, message):
    (tmp_path / "list.txt").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_list(tmp_path / "list.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_list(tmp_path)
