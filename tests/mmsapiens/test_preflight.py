"""Listing, scanning and reporting; the checks themselves are in test_preflight_checks.py."""

import io
import json
import shutil

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from rich.console import Console

from engine.errors import ConfigError
from mmsapiens.preflight import (
    CHECKS,
    browse,
    choose_items,
    draw_contact_sheet,
    list_records,
    make_report,
    scan,
)
from mmsapiens.preflight.check import Case, Finding, Item
from mmsapiens.preflight.records import spread


@pytest.fixture
def cfg(face_config):
    return face_config()


def set_data_root(cfg, path, *splits):
    for split in splits:
        cfg[f"{split}_dataloader"].dataset.data_root = str(path)


def test_equal_loaders_are_listed_once(cfg):
    items, metainfos, findings = list_records(cfg)
    assert set(metainfos) == {"train", "val"}
    assert len({item.path for item in items}) == len(items) == 16
    assert findings == []


def test_one_split_and_a_part_of_it(cfg):
    items, _, _ = list_records(cfg, "test", max_samples=2)
    assert [item.split for item in items] == ["test", "test"]
    ends = [item.record["sample_idx"] for item in list_records(cfg, "train", 2)[0]]
    assert ends[0] == 0 and ends[1] == len(list_records(cfg, "train")[0]) - 1


def test_unpaired_files_are_listed_once_and_the_rest_is_read(cfg, faces_dir, tmp_path):
    data = shutil.copytree(faces_dir, tmp_path / "data")
    (data / "000003.png").unlink()
    (data / "000005_seg.png").unlink()
    set_data_root(cfg, data, "train", "val", "test")
    items, _, (finding,) = list_records(cfg)
    assert len(items) == 14
    names = {case.path.removeprefix(f"{data}/") for case in finding.cases}
    assert (finding.kind, names) == ("unpaired", {"000003_seg.png", "000005.png"})


def test_a_dataset_that_cannot_be_made_is_a_finding(cfg, tmp_path):
    set_data_root(cfg, tmp_path / "nowhere", "val", "test")
    items, _, (finding,) = list_records(cfg)
    assert {item.split for item in items} == {"train"}
    assert finding.kind == "broken-dataset" and "does not exist" in finding.cases[0].detail


def test_splits_of_other_classes_are_a_config_error(cfg):
    other = {"classes": ["a", "b"], "palette": [[0, 0, 0], [9, 9, 9]], "flip_pairs": []}
    cfg.val_dataloader.dataset.metainfo = other
    with pytest.raises(ConfigError, match="differ in their classes"):
        list_records(cfg)


def test_a_config_without_the_split(cfg):
    cfg.test_dataloader = None
    with pytest.raises(ConfigError, match="no test_dataloader"):
        list_records(cfg, "test")


def test_a_worker_reads_what_the_process_itself_reads(cfg, tmp_path):
    items, metainfos, _ = list_records(cfg)
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    items[4].record["img_path"] = str(broken)
    alone, shared = (
        make_report(CHECKS, metainfos["train"], list(scan(items, CHECKS, metainfos, num)))
        for num in (0, 1)
    )
    assert alone == shared
    assert [(f.kind, f.cases[0].path) for f in alone.findings] == [("unreadable", str(broken))]


def test_any_error_of_a_decoder_is_a_finding():
    class Failing:
        name, key = "img", "img_path"

        def measure(self, sample):
            raise MemoryError("too large")

    (reading,) = scan([Item("train", {"img_path": "a.png"})], [Failing()], {"train": {}})
    assert reading.unreadable == [Case("a.png", "too large", "a.png")]


def test_allowed_faults_are_notes(tmp_path):
    faults = [Finding(kind, "fault", "m", (Case("a"),)) for kind in ("leak", "blank")]
    report = make_report([], {}, [], faults, allow=["leak"])
    assert report.num_faults == 1
    assert [(f.kind, f.level) for f in report.findings] == [("blank", "fault"), ("leak", "note")]
    report.write_json(tmp_path / "report.json")
    first = json.loads((tmp_path / "report.json").read_text())["findings"][0]
    assert first["kind"] == "blank" and first["cases"][0]["path"] == "a"


def items_named(names):
    return [Item("train", {"img_path": name}) for name in names]


def test_a_sheet_shows_each_finding_in_turn_then_others():
    findings = [
        Finding("many", "fault", "", tuple(Case(f"{n}_seg", "", n) for n in "abcdef")),
        Finding("pair", "fault", "", (Case("Left / Right"),)),
        Finding("one", "note", "", (Case("x"), Case("a"))),
    ]
    chosen = choose_items(items_named("abcdefghx"), findings, 4)
    assert [(item.path, note) for item, note in chosen] == [
        ("a", "many, one"), ("x", "one"), ("b", "many"), ("c", "many")
    ]  # fmt: skip
    assert [item.path for item, _ in choose_items(items_named("abcde"), [], 3)] == ["a", "c", "e"]


def test_a_sheet_has_a_tile_for_files_that_cannot_be_read(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(4)]
    for path in paths[:3]:
        cv2.imwrite(path, np.full((20, 30, 3), (0, 0, 250), np.uint8))
    chosen = [(item, "note") for item in items_named(paths)]
    sheet = draw_contact_sheet(chosen, CHECKS, {"train": {}}, lambda image, _: image)
    rows, columns = sheet.shape[0] // 2, sheet.shape[1] // 3
    for i, colour in enumerate([(250, 0, 0)] * 3 + [(128,) * 3]):
        top, left = i // 3 * rows, i % 3 * columns
        assert tuple(sheet[top + rows // 2, left + 100]) == colour


def test_browsing_draws_what_the_seed_and_epoch_give(cfg, tmp_path):
    def pictures(name, split="train", **draw):
        paths = list(browse(cfg, split, 2, tmp_path / name, **draw))
        return {path.name: cv2.imread(str(path)) for path in paths}

    first, again, epoch, seed = (
        pictures("first"), pictures("again"), pictures("epoch", epoch=1), pictures("seed", seed=1)
    )  # fmt: skip
    assert [name[:7] for name in first] == ["000000_", "000001_"]
    for name, picture in first.items():
        assert np.array_equal(picture, again[name])
        for other in (epoch, seed):
            assert not np.array_equal(picture[:, :48], other[name][:, :48])
    assert all(p.shape[1] > 2 * 48 for p in pictures("val", "val").values())


def test_browsing_a_split_that_is_not_there(cfg, tmp_path):
    cfg.val_dataloader = None
    with pytest.raises(ConfigError, match="no val_dataloader"):
        next(browse(cfg, "val", 1, tmp_path))


def test_what_a_search_passes_over_is_noted_once(faces_dir, tmp_path):
    (tmp_path / "linked").symlink_to(faces_dir)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    dataset = {"type": "pretrain.ImageListDataset", "data_root": str(tmp_path)}
    loader = {"dataset": dataset}
    cfg = Config({"train_dataloader": loader, "val_dataloader": loader})
    items, _, (finding,) = list_records(cfg, "train")
    assert len(items) == 32, "images and label maps, through the link"
    assert (finding.kind, finding.level) == ("passed-over", "note")
    assert any("1 links to nothing" in case.detail for case in finding.cases)


@pytest.mark.parametrize(
    ("length", "num", "indices"),
    [(5, None, [0, 1, 2, 3, 4]), (5, 5, [0, 1, 2, 3, 4]), (5, 9, [0, 1, 2, 3, 4]),
     (5, 3, [0, 2, 4]), (5, 4, [0, 1, 2, 4]), (5, 1, [0])],
)  # fmt: skip
def test_some_records_are_spread_evenly(length, num, indices):
    assert spread(length, num) == indices


@pytest.mark.parametrize(("num", "last"), [(3, "2.png"), (4, "... and 1 more")])
def test_three_cases_are_printed_and_the_rest_is_counted(num, last):
    cases = tuple(Case(f"{i}.png", "torn" if i == 0 else "") for i in range(num))
    report = make_report([], {}, [], [Finding("blank", "fault", "gone", cases)])
    said = printed(report)
    assert f"fault: blank ({num}) gone" in said and "    0.png: torn" in said
    assert said.splitlines()[-2].strip() == last
    assert said.splitlines()[-1] == "samples: 0; 1 kinds of faults."


def test_faults_that_are_allowed_are_notes_and_come_last(tmp_path):
    findings = [
        Finding(kind, level, "", (Case("a"),))
        for kind, level in (("far", "note"), ("blank", "fault"), ("leak", "fault"))
    ]
    report = make_report([], {}, [], findings, allow=["blank"])
    assert [(f.kind, f.level) for f in report.findings] == [
        ("leak", "fault"), ("far", "note"), ("blank", "note")
    ]  # fmt: skip
    assert report.num_faults == 1
    report.write_json(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    assert [f["kind"] for f in content["findings"]] == ["leak", "far", "blank"]
    assert "no faults" in printed(make_report([], {}, []))


def printed(report):
    console = Console(width=200, file=io.StringIO())
    console.print(report.render())
    return console.file.getvalue().rstrip()
