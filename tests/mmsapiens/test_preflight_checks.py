"""What is measured of images and label maps, and what that says."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmsapiens.preflight.check import Item
from mmsapiens.preflight.duplicates import Fingerprint, find_duplicates
from mmsapiens.preflight.flip_audit import (
    ClassPlaces,
    PairStatistics,
    audit_flip_pairs,
    pair_statistics,
)
from mmsapiens.preflight.image_check import ImageCheck
from mmsapiens.preflight.people_check import PeopleCheck
from mmsapiens.preflight.seg_check import SegMapCheck
from mmsapiens.synthetic.head import sample_head
from mmsapiens.synthetic.labels import FACE_LABELS
from mmsapiens.synthetic.render import render
from seg.parts.datasets import FaceDataset

FACE_CLASSES = FaceDataset.METAINFO["classes"]

RGB = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)
PAIRS = [(FACE_LABELS[f"Right_{p}"], FACE_LABELS[f"Left_{p}"]) for p in ("eye", "brow", "ear")]


def check_images(files):
    """Findings for (split, path) pairs, as {kind: [file name]}."""
    items = [Item(split, {"img_path": str(path)}) for split, path in files]
    measured = [(item, ImageCheck().measure(dict(item.record))) for item in items]
    summary = ImageCheck().summarise({}, measured)
    return {f.kind: [c.path.rsplit("/", 1)[1] for c in f.cases] for f in summary.findings}, summary


def test_jpegs_that_decode_with_a_warning_are_a_fault_of_their_own(tmp_path):
    data = bytearray(cv2.imencode(".jpg", RGB.repeat(8, 0).repeat(8, 1))[1].tobytes())
    (tmp_path / "sound.jpg").write_bytes(data)
    start = data.index(b"\xff\xda") + 100
    data[start : start + 60] = bytes(60)
    (tmp_path / "scratched.jpg").write_bytes(data)
    found, summary = check_images([("train", tmp_path / f) for f in ("sound.jpg", "scratched.jpg")])
    assert found["damaged"] == ["scratched.jpg"]
    (finding,) = (f for f in summary.findings if f.kind == "damaged")
    assert finding.level == "fault" and finding.cases[0].detail.startswith("Corrupt JPEG data")


def rgb_16(path):
    cv2.imwrite(str(path), RGB.astype(np.uint16) * 257)


def palette_with_hole(path):
    Image.fromarray(RGB).quantize(8).save(path, transparency=0)


def turned(path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(RGB).save(path, exif=exif)


def test_images_within_archives_are_read_in_place(tmp_path):
    data = cv2.imencode(".png", np.repeat(RGB[..., :1], 3, axis=2))[1].tobytes()
    (tmp_path / "0.tar").write_bytes(b"before" + data + b"after")
    record = {"archive": str(tmp_path / "0.tar"), "img_span": (6, len(data))}
    facts = ImageCheck().measure({"img_path": f"{tmp_path}/0.tar/1.png", **record})
    assert facts.size_hw == (24, 36) and facts.traits == {"grey"}


@pytest.mark.parametrize(
    ("name", "write", "kinds"),
    [
        ("rgb.png", Image.fromarray(RGB).save, set()),
        ("rgb.jpg", Image.fromarray(RGB).save, set()),
        ("grey.png", Image.fromarray(RGB[..., 0]).save, {"grey"}),
        ("grey_as_rgb.jpg", Image.fromarray(RGB[..., [0, 0, 0]]).save, {"grey"}),
        ("grey_16.png", Image.fromarray(RGB[..., 0].astype(np.uint16)).save, {"grey", "16-bit"}),
        ("grey_alpha.png", Image.fromarray(RGB[..., :2], "LA").save, {"grey", "alpha"}),
        ("rgba.png", Image.fromarray(np.dstack([RGB, RGB[..., 0]])).save, {"alpha"}),
        ("rgb_16.png", rgb_16, {"16-bit"}),
        ("rgb_16.tif", rgb_16, {"16-bit"}),
        ("palette.png", Image.fromarray(RGB).quantize(8).save, {"palette"}),
        ("palette_with_hole.png", palette_with_hole, {"palette", "alpha"}),
        ("turned.jpg", turned, {"exif-rotated"}),
        ("turned.png", turned, {"exif-rotated"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kinds_of_files(tmp_path, name, write, kinds):
    write(tmp_path / name)
    found, _ = check_images([("train", tmp_path / name)])
    found.pop("blank", None)
    assert set(found) == kinds


def test_sizes_are_after_rotation(tmp_path):
    turned(tmp_path / "a.jpg")
    Image.fromarray(RGB).save(tmp_path / "b.png")
    _, summary = check_images([("train", tmp_path / "a.jpg"), ("train", tmp_path / "b.png")])
    assert summary.figures["height"] == {"min": 24, "median": 30.0, "max": 36}
    histogram = summary.figures["aspect_histogram"]
    assert [name for name, num in histogram.items() if num] == ["0.67-0.90", "1.50-2.00"]


def test_blank_images_have_one_colour(tmp_path):
    for name, colour in {"black": (0, 0, 0), "red": (0, 0, 255), "half": (0, 0, 0)}.items():
        image = np.full((16, 16, 3), colour, np.uint8)
        image[8:] += np.uint8(6 * (name == "half"))
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    found, _ = check_images([("train", tmp_path / f"{n}.png") for n in ("black", "half", "red")])
    assert found["blank"] == ["black.png", "red.png"]


def smooth(seed):
    """An image in which JPEG changes little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC))


def test_copies_within_and_across_splits(tmp_path):
    for name, image in {"a": smooth(1), "b": smooth(2), "c": smooth(1), "d": smooth(2)}.items():
        image.save(tmp_path / f"{name}.png")
    smooth(3).save(tmp_path / "e.png")
    smooth(3).save(tmp_path / "f.jpg", quality=90)
    splits = {"a.png": "train", "b.png": "val", "c.png": "train", "d.png": "train"}
    splits |= {"e.png": "train", "f.jpg": "train"}
    found, _ = check_images([(split, tmp_path / name) for name, split in splits.items()])
    assert found == {"duplicate": ["c.png"], "leak": ["d.png"], "near-duplicate": ["f.jpg"]}


def test_copies_of_evaluation_images_among_themselves_are_no_leak(tmp_path):
    for name in ("a", "b"):
        smooth(1).save(tmp_path / f"{name}.png")
    found, _ = check_images([("val", tmp_path / "a.png"), ("test", tmp_path / "b.png")])
    assert found == {"duplicate": ["b.png"]}


def test_one_file_in_two_splits_is_a_leak_and_two_people_in_one_image_are_not(tmp_path):
    path = tmp_path / "a.png"
    smooth(1).save(path)
    assert check_images([("train", path), ("train", path)])[0] == {}
    assert check_images([("train", path), ("val", path)])[0] == {"leak": ["a.png"]}


def measure_labels(tmp_path, maps, classes, flip_pairs=(), **options):
    metainfo = {"classes": classes, "flip_pairs": flip_pairs}
    measured = []
    for i, labels in enumerate(maps):
        path = str(tmp_path / f"{i}.png")
        cv2.imwrite(path, labels)
        sample = {"seg_map_path": path, "metainfo": metainfo, **options}
        measured.append((Item("train", dict(sample)), SegMapCheck().measure(sample)))
    return metainfo, measured


def check_labels(tmp_path, maps, classes, **options):
    summary = SegMapCheck().summarise(*measure_labels(tmp_path, maps, classes, **options))
    return {f.kind: [c.path for c in f.cases] for f in summary.findings}, summary.figures


def test_where_and_how_large_classes_are(tmp_path):
    labels = np.zeros((4, 10), np.uint8)
    labels[1, 2:4] = 7
    _, ((_, facts),) = measure_labels(tmp_path, [labels], "abcdefgh")
    assert facts.labels.tolist() == [0, 7] and facts.pixels.tolist() == [38, 2]
    assert facts.x[1] == pytest.approx(0.3) and facts.y[1] == pytest.approx(1.5 / 4)


def test_frequencies_and_median_frequency_weights(tmp_path):
    """freq: a 60 of 80 (a third image is ignored), b 20 of 40, c never; median of 3/4 and 1/2."""
    first, second, third = np.zeros((3, 4, 10), np.uint8)
    second[:2], third[:] = 1, 255
    found, figures = check_labels(tmp_path, [first, second, third], ("a", "b", "c"))
    assert figures["class_images"] == [2, 1, 0]
    assert figures["class_pixel_share"] == pytest.approx([60 / 120, 20 / 120, 0])
    assert figures["ignored_share"] == pytest.approx(1 / 3)
    assert figures["class_weight"] == pytest.approx([0.625 / 0.75, 0.625 / 0.5, 1], abs=1e-4)
    assert [path.rsplit("/", 1)[1] for path in found["all-ignored"]] == ["2.png"]


def test_weights_are_clipped(tmp_path):
    labels = np.zeros((100, 100), np.uint8)
    labels[0, 0], labels[1:3] = 1, 2
    figures = check_labels(tmp_path, [labels], ("a", "b", "c"))[1]
    assert figures["class_weight"] == [0.1, 10.0, 1.0]


def test_label_map_comes_before_the_check_of_ids(tmp_path):
    labels = np.full((4, 4), 37, np.uint8)
    labels[0] = 0
    found, _ = check_labels(tmp_path, [labels], ("a", "b"))
    assert list(found) == ["unknown-label", "absent-class"]
    assert check_labels(tmp_path, [labels], ("a", "b"), label_map={37: 1})[0] == {}


def test_masks_of_0_and_255_lack_a_class(tmp_path):
    """255 is ignored: such a training saw background only, and was always right."""
    masks = np.zeros((3, 4, 10), np.uint8)
    masks[:, 1:3, 2:5] = 255
    summary = SegMapCheck().summarise(*measure_labels(tmp_path, masks, ("background", "person")))
    (finding,) = summary.findings
    assert (finding.kind, finding.level) == ("absent-class", "fault")
    assert [case.path for case in finding.cases] == ["person"]
    assert "label_map={255: 1}" in finding.cases[0].detail
    classes = ("background", "person")
    assert check_labels(tmp_path, masks, classes, label_map={255: 1})[0] == {}
    assert check_labels(tmp_path, masks // 255, classes)[0] == {}
    (finding,) = SegMapCheck().summarise(*measure_labels(tmp_path, masks * 0, classes)).findings
    assert finding.cases[0].detail == "", "255 cannot stand for it"


def test_a_class_is_absent_if_no_file_has_it(tmp_path):
    first, second = np.zeros((2, 4, 10), np.uint8)
    first[0], second[0] = 1, 3
    found, _ = check_labels(tmp_path, [first, second], "abcde")
    assert found == {"absent-class": ["c", "e"]}


def test_colours_are_checked_as_they_are_loaded(tmp_path):
    colours = np.zeros((4, 10, 3), np.uint8)
    colours[:2] = 0, 0, 255  # BGR
    options = {"color_map": {(0, 0, 0): 0, (255, 0, 0): 1}}
    found, figures = check_labels(tmp_path, [colours], ("a", "b"), **options)
    assert found == {} and figures["class_pixel_share"] == [0.5, 0.5]


@pytest.fixture(scope="module")
def heads():
    """Label maps of 40 heads that look about at the camera."""
    rngs = [np.random.default_rng([1, i]) for i in range(40)]
    return [render(sample_head(rng), (48, 48)).labels(FACE_LABELS) for rng in rngs]


def exchange(labels, *pairs):
    table = np.arange(256, dtype=np.uint8)
    for a, b in pairs:
        table[a], table[b] = b, a
    return table[labels]


def audit(tmp_path, maps, classes=FACE_CLASSES, pairs=PAIRS):
    names = [(classes[a], classes[b]) for a, b in pairs]
    return check_labels(tmp_path, maps, classes, flip_pairs=names)[0]


def test_right_pairs_are_no_finding(tmp_path, heads):
    assert audit(tmp_path, heads) == {}


@pytest.mark.parametrize("mirrored", [slice(0, 4), slice(0, 40, 2)], ids=["some", "half"])
def test_images_mirrored_without_exchanging_labels(tmp_path, heads, mirrored):
    maps = list(heads)
    maps[mirrored] = [labels[:, ::-1] for labels in maps[mirrored]]
    found = audit(tmp_path, maps)
    assert list(found) == ["left-right-swapped"]
    names = {path.rsplit("/", 1)[1] for path in found["left-right-swapped"]}
    expected = {f"{i}.png" for i in range(40)[mirrored]}
    assert names <= expected
    assert len(names) >= 0.75 * len(expected), "a head in profile shows too few pairs to tell"


def test_images_mirrored_with_their_labels_are_no_finding(tmp_path, heads):
    maps = [exchange(labels[:, ::-1], *PAIRS) for labels in heads]
    assert audit(tmp_path, maps) == {}


def test_a_pair_whose_ids_are_exchanged_everywhere(tmp_path, heads):
    found = audit(tmp_path, [exchange(labels, PAIRS[2]) for labels in heads])
    assert found == {"reversed-pair": ["Left_ear / Right_ear"]}


def test_a_pair_that_was_forgotten(tmp_path, heads):
    classes = [n.replace("Left_ear", "ear_1").replace("Right_ear", "ear_2") for n in FACE_CLASSES]
    found = audit(tmp_path, heads, classes, PAIRS[:2])
    assert found == {"forgotten-pair": ["ear_2 / ear_1"]}


@pytest.mark.parametrize("first", [0, 2], ids=["wrong first", "right first"])
def test_pairs_of_wrong_partners(tmp_path, heads, first):
    (right_eye, left_eye), (right_brow, left_brow), ears = PAIRS
    pairs = [(right_eye, left_brow), (right_brow, left_eye), ears]
    found = audit(tmp_path, heads, pairs=pairs[first:] + pairs[:first])
    assert found == {"wrong-partner": ["Left_brow / Right_eye", "Left_eye / Right_brow"]}


MIRRORED = PairStatistics(images=10, offset=-0.4, agreement=0.8, area_ratio=1.5, asymmetry=0.1)


@pytest.mark.parametrize(
    ("change", "looks_so"),
    [
        ({}, True),
        (dict(offset=0.4), True),
        (dict(offset=0.05, asymmetry=0.0125), True),
        (dict(area_ratio=1 / 1.49), True),
        (dict(images=9), False),
        (dict(offset=0.049, asymmetry=0.0), False),
        (dict(agreement=0.79), False),
        (dict(area_ratio=1.51), False),
        (dict(area_ratio=1 / 1.51), False),
        (dict(asymmetry=0.101), False),
    ],
)
def test_what_looks_like_two_sides(change, looks_so):
    assert MIRRORED._replace(**change).looks_mirrored == looks_so


def places(classes, x, y=0.5, area=0.1):
    """Classes in images (N, C), all of one height and area."""
    x = np.asarray(x, float)
    tables = np.broadcast_to(area, x.shape) * ~np.isnan(x), x, np.broadcast_to(y, x.shape)
    return ClassPlaces(classes, [Item("train", {"sample_idx": i}) for i in range(len(x))], *tables)


def test_statistics_of_a_pair():
    seen = places("ab", [[0.3, 0.7], [0.35, 0.6], [0.7, 0.4], [0.5, 0.51], [np.nan, 0.5]])
    found = pair_statistics(seen, 0, 1)
    assert found.images == 4 and found.agreement == pytest.approx(2 / 3)
    assert found.offset == pytest.approx(0.4625 - 0.5525) and found.area_ratio == 1
    assert found.asymmetry == pytest.approx(abs(0.4625 + 0.5525 - 1))
    alone = places("ab", [[0.3, np.nan], [np.nan, 0.7]])
    assert pair_statistics(alone, 0, 1) == (0, 0, 0, 1, 0)
    assert pair_statistics(places("ab", [[0.5, 0.51]]), 0, 1).agreement == 0


@pytest.mark.parametrize("num", [9, 10])
def test_swapped_images_need_ten_that_can_be_judged(num):
    x = np.tile([0.7, 0.3, 0.6, 0.2], (num, 1))
    x[0] = 1 - x[0]
    pairs = [(0, 1), (2, 3)]
    findings = audit_flip_pairs(places(("la", "ra", "lb", "rb"), x), pairs).findings
    (swapped,) = (f for f in findings if f.kind == "left-right-swapped")
    assert [case.path for case in swapped.cases] == (["record 0"] if num == 10 else [])


@pytest.mark.parametrize("num", [9, 10])
def test_reversed_pairs_need_ten_images(num):
    names = ("left a", "right a", "left b", "right b", "left c", "right c")
    x = np.tile([0.7, 0.3, 0.6, 0.2, 0.3, 0.7], (num, 1))
    pairs = [(0, 1), (3, 2), (4, 5)]
    findings = audit_flip_pairs(places(names, x), pairs).findings
    (reversed_,) = (f for f in findings if f.kind == "reversed-pair")
    expected = ["left c / right c"] if num == 10 else []
    assert [case.path for case in reversed_.cases] == expected


def with_thumbnail(name, value):
    thumbnail = np.full((8, 8, 3), value, np.uint8)
    return Item("train", {"img_path": name}), Fingerprint(name.encode(), b"same", thumbnail)


def test_pictures_look_alike_up_to_a_difference():
    prints = [with_thumbnail(*x) for x in (("a", 10), ("b", 12), ("c", 13), ("d", 15), ("e", 90))]
    (near,) = (f for f in find_duplicates(prints) if f.kind == "near-duplicate")
    assert [(case.path, case.detail) for case in near.cases] == [
        ("b", "train; like a (train)"),
        ("d", "train; like c (train)"),
    ]


@pytest.mark.parametrize(("step", "is_blank"), [(4, False), (3, True)])
def test_images_are_blank_below_a_deviation_of_two(tmp_path, step, is_blank):
    image = np.zeros((16, 16, 3), np.uint8)
    image[8:] = step  # of which half is the deviation
    cv2.imwrite(str(tmp_path / "a.png"), image)
    assert ("blank" in check_images([("train", tmp_path / "a.png")])[0]) == is_blank


def person(points, bbox=(10, 10, 50, 50), **fields):
    return {
        "annotated_size_hw": (80, 60), "bbox": np.array([bbox], float),
        "keypoints": np.array([points], float), "keypoints_visible": np.ones((1, len(points))),
        **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("point", "is_outside"),
    [((-0.5, -0.5), False), ((60, 80), False), ((-0.6, 0), True), ((0, -0.6), True),
     ((60.1, 0), True), ((0, 80.1), True)],
)  # fmt: skip
def test_keypoints_lie_in_an_image_up_to_its_edges(point, is_outside):
    facts = PeopleCheck().measure(person([point, (20, 20), (30, 30)]))
    assert facts.labelled == 3 and facts.outside == is_outside and not facts.off_box


@pytest.mark.parametrize(
    ("points", "off_box"),
    [
        ([(9.1, 9.1), (50.9, 50.9), (0, 0), (0, 0)], False),
        ([(9.1, 9.1), (0, 0), (0, 0)], True),
        ([(9, 20), (20, 20), (0, 0)], True),
        ([(20, 51), (20, 20), (0, 0)], True),
    ],
)
def test_people_are_off_their_box_with_less_than_half_in_it(points, off_box):
    assert PeopleCheck().measure(person(points)).off_box == off_box


def test_hidden_keypoints_are_not_measured_and_detections_have_none():
    facts = PeopleCheck().measure(
        person([(999, 999), (20, 20)], keypoints_visible=np.array([[0, 1]]), ori_size_hw=(80, 61))
    )
    assert facts.labelled == 1 and facts.outside == 0 and "80x61" in facts.difference
    assert PeopleCheck().measure({"annotated_size_hw": (8, 8)}).labelled is None


def test_a_hint_on_what_255_stands_for_needs_one_class_without_a_pixel(tmp_path):
    labels = np.zeros((4, 10), np.uint8)
    labels[0] = 255
    summary = SegMapCheck().summarise(*measure_labels(tmp_path, [labels], "abc"))
    assert [case.detail for case in summary.findings[0].cases] == ["", ""]


@pytest.mark.parametrize("ignored", [255, 9])
def test_the_label_that_a_dataset_ignores_is_no_fault(tmp_path, ignored):
    labels = np.zeros((4, 10), np.uint8)
    labels[0], labels[1] = 1, ignored
    metainfo, measured = measure_labels(tmp_path, [labels], "ab")
    summary = SegMapCheck().summarise({**metainfo, "ignore_index": ignored}, measured)
    assert not summary.findings and summary.figures["ignored_share"] == 0.25
    if ignored != 255:
        (finding,) = SegMapCheck().summarise(metainfo, measured).findings
        assert finding.kind == "unknown-label" and "labels 9" in finding.cases[0].detail


@pytest.mark.parametrize(("label", "kinds"), [(1, []), (2, ["unknown-label"])])
def test_the_first_label_that_is_no_class(tmp_path, label, kinds):
    labels = np.zeros((4, 10), np.uint8)
    labels[0], labels[1] = 1, label
    assert list(check_labels(tmp_path, [labels], "ab")[0]) == kinds


def test_maps_of_another_size_than_their_image(tmp_path):
    labels = np.array([[0, 1]], np.uint8)
    found, _ = check_labels(tmp_path, [labels], "ab", ori_size_hw=(2, 1))
    assert list(found) == ["size-mismatch"]
    assert check_labels(tmp_path, [labels], "ab", ori_size_hw=(1, 2))[0] == {}
