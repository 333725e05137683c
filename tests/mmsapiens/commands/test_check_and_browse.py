"""check finds every planted fault and nothing else; browse writes what the model sees."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from engine.data.files import collect_left_out
from mmsapiens.cli import dispatch
from mmsapiens.synthetic.labels import FACE_LABELS
from seg.parts.datasets import FaceDataset
from tests.conftest import ROOT
from tests.mmsapiens.commands.conftest import run_verb

CONFIG = "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"
SIZE = 48
SIDES = [(FACE_LABELS[f"Left_{part}"], FACE_LABELS[f"Right_{part}"]) for part in ("eye", "ear")]


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """200 rendered faces."""
    folder = tmp_path_factory.mktemp("clean")
    done = run_verb(folder, "synthesize", "face", ".", "--num", 200, "--size", SIZE)
    assert done.returncode == 0, done.stderr
    return folder


class Folder:
    """The files of a dataset, to be spoilt."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def image(self, i):
        return self.path / f"{i:06d}.png"

    def labels(self, i):
        return self.path / f"{i:06d}_seg.png"

    def edit(self, path, change, **kwargs):
        pixels = np.asarray(change(np.array(Image.open(path))))
        Image.fromarray(pixels).save(path, **kwargs)

    def cut(self, path):
        path.write_bytes(path.read_bytes()[:-200])

    def save_as_jpeg(self, i, target):
        """The suffix stays .png; OpenCV goes by content."""
        Image.open(self.image(i)).save(target, format="JPEG", quality=97)

    def swap_sides(self, i):
        table = np.arange(256, dtype=np.uint8)
        for left, right in [*SIDES, (FACE_LABELS["Left_brow"], FACE_LABELS["Right_brow"])]:
            table[left], table[right] = right, left
        self.edit(self.labels(i), lambda labels: table[labels])

    def train_and_val(self):
        """Numbers of the images in each split."""
        with collect_left_out():
            datasets = [
                FaceDataset(data_root=str(self.path), split=split, val_ratio=0.15)
                for split in ("train", "val")
            ]
        return [
            [int(Path(d[i]["img_path"]).stem) for i in range(len(d))]
            for d in ([x.get_data_info(i) for i in range(len(x))] for x in datasets)
        ]


def frontal(folder):
    """Numbers of the images that show both eyes and both ears."""
    return [
        i
        for i in range(20, 200)
        if all(np.isin(SIDES, np.asarray(Image.open(folder.labels(i)))).ravel())
    ]


def plant(folder):
    """Spoils a dataset in every known way; returns the files by kind of finding."""
    turned = Image.Exif()
    turned[0x112] = 3
    folder.image(0).write_text("no image")
    folder.cut(folder.image(1))
    folder.save_as_jpeg(2, folder.image(2))
    folder.cut(folder.image(2))
    folder.cut(folder.labels(3))
    folder.edit(folder.labels(4), lambda labels: labels[:-3])
    folder.edit(folder.labels(5), lambda labels: np.where(labels == 1, np.uint8(37), labels))
    folder.edit(folder.labels(6), lambda labels: np.full_like(labels, 255))
    folder.edit(folder.image(7), lambda image: image // 3 * 0 + image[..., :1])
    folder.edit(folder.image(8), lambda image: np.dstack([image, image[..., :1]]))
    deep = cv2.imread(str(folder.image(9))).astype(np.uint16) * 257
    cv2.imwrite(str(folder.image(9)), deep)
    Image.open(folder.image(10)).quantize(64).save(folder.image(10))
    folder.edit(folder.image(11), lambda image: image[::-1, ::-1], exif=turned)
    folder.edit(folder.image(12), lambda image: np.full_like(image, 3))
    folder.labels(13).unlink()
    folder.image(14).unlink()
    swapped = frontal(folder)[:6]
    for i in swapped:
        folder.swap_sides(i)
    train, val = (
        [i for i in split if i >= 15 and i not in swapped] for split in folder.train_and_val()
    )
    shutil.copy(folder.image(train[0]), folder.image(train[1]))
    shutil.copy(folder.image(train[2]), folder.image(val[0]))
    folder.save_as_jpeg(train[3], folder.image(train[4]))
    image, labels = folder.image, folder.labels
    return {
        "unreadable": {image(0), image(1), image(2), labels(3)},
        "size-mismatch": {labels(4)},
        "unknown-label": {labels(5)},
        "all-ignored": {labels(6)},
        "grey": {image(7), image(12)},
        "alpha": {image(8)},
        "16-bit": {image(9)},
        "palette": {image(10)},
        "exif-rotated": {image(11)},
        "blank": {image(12)},
        "unpaired": {image(13), labels(14)},
        "left-right-swapped": set(map(labels, swapped)),
        "duplicate": {image(train[1])},
        "leak": {image(val[0])},
        "near-duplicate": {image(train[4])},
    }


def check(root, cwd, data, *args):
    options = {f"{split}_dataloader.dataset.data_root": data for split in ("train", "val", "test")}
    return run_verb(
        cwd, "check", root / CONFIG, "--num-workers", 0, "--out", cwd / "out", *args,
        "--cfg-options", *(f"{key}={value}" for key, value in options.items()),
    )  # fmt: skip


def test_nothing_is_found_in_clean_data(clean, root, tmp_path):
    done = check(root, tmp_path, clean)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["findings"] == []
    assert report["samples"] == {"train": 170, "val": 30}
    assert report["img"]["height"] == {"min": SIZE, "median": SIZE, "max": SIZE}
    assert sum(report["seg_map"]["class_pixel_share"]) == pytest.approx(1)
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_every_planted_fault_is_found_and_nothing_else(clean, root, tmp_path):
    data = shutil.copytree(clean, tmp_path / "data")
    planted = plant(Folder(data))
    done = check(root, tmp_path, data)
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    found = {f["kind"]: {Path(c["path"]) for c in f["cases"]} for f in report["findings"]}
    assert found == planted
    notes = {f["kind"] for f in report["findings"] if f["level"] == "note"}
    assert notes == {
        "grey", "alpha", "16-bit", "palette", "exif-rotated", "duplicate", "near-duplicate"
    }  # fmt: skip
    assert "37" in done.stdout and "8 kinds of faults" in done.stdout


def test_browse_writes_samples_as_the_model_gets_them(faces_dir, root, tmp_path):
    done = run_verb(
        tmp_path, "browse", root / CONFIG, "--num", 3, "--out", "out",
        "--cfg-options", f"train_dataloader.dataset.data_root={faces_dir}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pictures = [cv2.imread(str(path)) for path in sorted((tmp_path / "out").iterdir())]
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.shape[0] == 192 and picture.shape[1] > 2 * 144, "image, labels, legend"


@pytest.fixture
def on_faces(faces_dir, tmp_path, monkeypatch):
    """Runs a verb of this process on 16 faces without the last class; returns its exit code."""
    monkeypatch.chdir(tmp_path)
    options = {"input_size_hw": (64, 48)}
    for split in ("train", "val", "test"):
        options[f"{split}_dataloader.dataset.data_root"] = str(faces_dir)
        options[f"{split}_dataloader.dataset.val_ratio"] = 0.25
        options[f"{split}_dataloader.dataset.label_map"] = {18: 255}
    pairs = [f"{key}={value}".replace(" ", "") for key, value in options.items()]

    def run(verb, *words):
        return dispatch([verb, str(ROOT / CONFIG), *map(str, words), "--cfg-options", *pairs])

    return run


def test_browse_draws_the_split_seed_and_epoch_that_are_asked_for(on_faces, tmp_path):
    def drawn(*words):
        on_faces("browse", "--num", 2, "--out", "out", *words)
        pictures = {path.name: path.read_bytes() for path in sorted(Path("out").iterdir())}
        shutil.rmtree("out")
        assert len(pictures) == 2
        return pictures

    usual = drawn()
    assert drawn("--seed", 0, "--epoch", 0) == usual
    others = [drawn(*words) for words in (["--seed", 1], ["--epoch", 1], ["--split", "val"])]
    for i, other in enumerate(others):
        assert other != usual and other not in others[:i]
    on_faces("browse", "--num", 1)
    (folder,) = {path.parent for path in tmp_path.rglob("work_dirs/browse/**/*.png")}
    assert folder.name == Path(CONFIG).stem


def test_check_looks_at_the_split_and_the_samples_that_are_asked_for(on_faces):
    def report(*words):
        code = on_faces("check", "--num-workers", 0, "--out", "out", *words)
        content = json.loads(Path("out/report.json").read_text())
        levels = {found["kind"]: found["level"] for found in content["findings"]}
        return code, content["samples"], levels

    code, samples, levels = report("--num-pictures", 0)
    assert samples == {"train": 12, "val": 4} and code == 1
    assert levels["absent-class"] == "fault" and not Path("out/contact_sheet.png").exists()
    code, samples, levels = report("--split", "val", "--num-pictures", 1)
    assert samples == {"val": 4} and code == 1
    assert Path("out/contact_sheet.png").exists()
    code, _, levels = report("--split", "val", "--allow", "absent-class")
    assert code == 0 and levels["absent-class"] == "note"
    code, samples, levels = report("--max-samples", 2)
    assert samples == {"train": 2, "val": 2} and code == 0
    assert levels["absent-class"] == "note", "some do not tell what is in none"
