"""The files that ``mmsapiens synthesize`` writes are those of the real datasets' layouts."""

import contextlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from engine.errors import ConfigError, DataError
from mmsapiens.cli import dispatch
from mmsapiens.commands.synthesize import SIZES_HW
from mmsapiens.synthetic import keypoints_of, render, sample_head, sample_person
from mmsapiens.synthetic.labels import FACE_LABELS, GOLIATH_LABELS
from mmsapiens.synthetic.layouts import LAYOUTS
from mmsapiens.synthetic.write_dataset import prepare


def synthesize(*args: str) -> None:
    """Runs the verb in this process."""
    assert not dispatch(["synthesize", *args])


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_any_number_of_workers_and_pictures(tmp_path: Path) -> None:
    synthesize("face", str(tmp_path / "a"), "--num", "3", "--size", "40", "--workers", "2")
    synthesize("face", str(tmp_path / "b"), "--num", "2", "--size", "40", "--workers", "1")
    names = [f"{i:06d}{suffix}.png" for i in range(3) for suffix in ("", "_seg")]
    assert files(tmp_path / "a") == names
    for name in names[:4]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    picture = render(sample_head(np.random.default_rng([0, 1])), (40, 40))
    np.testing.assert_array_equal(read(tmp_path / "a/000001.png"), picture.image, strict=True)
    labels = read(tmp_path / "a/000001_seg.png")
    np.testing.assert_array_equal(labels, picture.labels(FACE_LABELS), strict=True)


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("goliath", ["images/000000.jpg", "segmentations/000000.png"]),
        (
            "lip",
            [
                "images/train_images/000000.jpg",
                "images/val_images/000000.jpg",
                "segmentations/train_segmentations/000000.png",
                "segmentations/val_segmentations/000000.png",
            ],
        ),
        (
            "cihp",
            [
                "Training/Category_ids/000000.png",
                "Training/Images/000000.jpg",
                "Validation/Category_ids/000000.png",
                "Validation/Images/000000.jpg",
            ],
        ),
        ("depth", ["depths/000000.npy", "images/000000.png", "masks/000000.png"]),
        ("normal", ["images/000000.png", "masks/000000.png", "normals/000000.npy"]),
        (
            "coco",
            [
                "annotations/person_keypoints_train.json",
                "annotations/person_keypoints_val.json",
                "images/train/000000000001.jpg",
                "images/val/000000000001.jpg",
            ],
        ),
    ],
)
def test_layout(tmp_path: Path, layout: str, names: list[str]) -> None:
    has_val = any("val" in name.lower() for name in names)
    args = [layout, str(tmp_path), "--num", "1", "--size", "32", "24"]
    for _ in range(2):  # the second time over its own files
        synthesize(*args, "--overwrite", *(["--num-val", "1"] if has_val else []))
        assert files(tmp_path) == names
    pictures = [read(tmp_path / name) for name in names if name.endswith(("jpg", "png"))]
    assert {picture.shape[:2] for picture in pictures} == {(32, 24)}
    if has_val:
        train, val = ((tmp_path / n).read_bytes() for n in names if n.endswith("jpg"))
        assert train != val


def test_labels_depth_and_normals_are_those_of_the_scene(tmp_path: Path) -> None:
    for layout in ("goliath", "depth", "normal"):
        synthesize(
            layout, str(tmp_path / layout), "--num", "1", "--seed", "5", "--size", "48", "36"
        )
    picture = render(sample_person(np.random.default_rng([5, 0])), (48, 36))
    seen = picture.person > 0
    labels = read(tmp_path / "goliath/segmentations/000000.png")
    np.testing.assert_array_equal(labels, picture.labels(GOLIATH_LABELS), strict=True)
    for layout in ("depth", "normal"):
        mask = read(tmp_path / layout / "masks/000000.png")
        np.testing.assert_array_equal(mask, seen * np.uint8(255), strict=True)
        np.testing.assert_array_equal(read(tmp_path / layout / "images/000000.png"), picture.image)
    depth = np.load(tmp_path / "depth/depths/000000.npy")
    np.testing.assert_array_equal(depth[seen], picture.depth[seen], strict=True)
    assert depth.dtype == np.float32 and not depth[~seen].any()
    normal = np.load(tmp_path / "normal/normals/000000.npy")
    np.testing.assert_array_equal(normal, picture.normal, strict=True)


def load_coco(path: Path) -> COCO:
    with contextlib.redirect_stdout(None):
        return COCO(str(path))


@pytest.mark.parametrize("layout", ["coco", "coco_wholebody"])
def test_keypoint_files_read_as_coco(tmp_path: Path, layout: str) -> None:
    synthesize(layout, str(tmp_path), "--num", "6", "--num-val", "2", "--size", "64", "80")
    stem = {"coco": "person_keypoints", "coco_wholebody": "coco_wholebody"}[layout]
    data = load_coco(tmp_path / "annotations" / f"{stem}_train.json")
    assert len(load_coco(tmp_path / "annotations" / f"{stem}_val.json").getImgIds()) == 2
    assert data.getImgIds() == [1, 2, 3, 4, 5, 6]
    assert data.getAnnIds() == list(range(1, len(data.anns) + 1))
    assert max(len(data.imgToAnns[i]) for i in data.getImgIds()) > 1
    assert data.loadCats(1)[0]["keypoints"][:2] == ["nose", "left_eye"]
    lengths = {"keypoints": 17}
    if layout == "coco_wholebody":
        hands = {"lefthand_kpts": 21, "righthand_kpts": 21}
        lengths |= {"foot_kpts": 6, "face_kpts": 68, **hands}
    for found in data.anns.values():
        x, y, width, height = found["bbox"]
        assert x >= 0 and y >= 0 and x + width <= 80 and y + height <= 64
        assert 0 < found["area"] <= width * height
        for name, length in lengths.items():
            points = np.reshape(found[name], (-1, 3))
            assert len(points) == length
            assert not points[points[:, 2] == 0].any()
            if name != "keypoints":
                is_seen = bool((points[:, 2] == 2).any())
                assert found[name.replace("_kpts", "_valid")] == is_seen
        assert found["num_keypoints"] == (np.reshape(found["keypoints"], (-1, 3))[:, 2] > 0).sum()
    image = data.loadImgs(1)[0]
    assert read(tmp_path / "images" / image["file_name"]).shape == (64, 80, 3)


def test_goliath_keypoints(tmp_path: Path) -> None:
    from pose.metainfo import GOLIATH

    synthesize("goliath_pose", str(tmp_path), "--num", "2", "--size", "64", "48")
    path = tmp_path / "annotations/person_keypoints_train.json"
    data = load_coco(path)
    assert [(a["id"], a["image_id"]) for a in data.anns.values()] == [(1, 1), (2, 2)]
    groups = json.loads(path.read_text())["info"]["goliath_info"]
    points = np.reshape(data.anns[1]["goliath_wholebody_kpts"], (308, 3))
    for field, group in (("keypoints", "body"), ("face_kpts", "face"), ("foot_kpts", "foot")):
        ids = groups[f"{group}_keypoint_ids"]
        np.testing.assert_array_equal(np.reshape(data.anns[1][field], (-1, 3)), points[ids])
    picture = render(sample_person(np.random.default_rng([0, 0])), (64, 48))
    truth = keypoints_of(picture, GOLIATH.keypoints)
    truth[truth[:, 2] == 0] = 0
    np.testing.assert_allclose(points, truth, atol=0.006)


def test_refuses_a_folder_with_files(tmp_path: Path) -> None:
    for name in ("000007.png", "000007_seg.png"):
        (tmp_path / name).touch()
    args = ["face", str(tmp_path), "--num", "1", "--size", "16"]
    with pytest.raises(DataError, match="--overwrite"):
        synthesize(*args)
    prepare(tmp_path, ["[0-9]" * 6 + "*.png"], overwrite=True)
    assert not list(tmp_path.iterdir())
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"notes\.txt"):
        synthesize(*args, "--overwrite")


def test_a_layout_without_a_split_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no validation split"):
        synthesize("depth", str(tmp_path), "--num-val", "3")
    with pytest.raises(ConfigError, match="one or two numbers, found 3"):
        synthesize("depth", str(tmp_path), "--size", "3", "4", "5")


def test_variety(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for variety in ("0", "1"):
        args = ["--num", "1", "--size", "32", "24", "--variety", variety]
        synthesize("goliath", str(tmp_path / variety), *args)
    picture = render(sample_person(np.random.default_rng([0, 0]), variety=0.0), (32, 24))
    labels = read(tmp_path / "0/segmentations/000000.png")
    np.testing.assert_array_equal(labels, picture.labels(GOLIATH_LABELS), strict=True)
    assert (labels != read(tmp_path / "1/segmentations/000000.png")).any()
    with pytest.raises(SystemExit):
        synthesize("goliath", str(tmp_path / "2"), "--variety", "1.5")
    assert "1.5 is not between 0 and 1" in capsys.readouterr().err


def test_the_command_knows_all_layouts() -> None:
    assert list(SIZES_HW) == list(LAYOUTS)
