import pytest

from engine.data.files import Partner, leave_out_unpaired, pair_folders
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
    with leave_out_unpaired() as left_out:
        records = pair_folders(root, "images", PARTNERS)
    assert [name for name, _ in records] == ["sub/a"]
    assert all(path.stem == "b" for path, _ in left_out) and left_out


def test_folders_without_images(tmp_path, root):
    with pytest.raises(DataError, match="nowhere' does not exist"):
        pair_folders(root, "nowhere", PARTNERS)
    with pytest.raises(DataError, match=r"No images \(\.jpg, .*\) in .*depths"):
        pair_folders(root, "depths", {})
