import shutil

import cv2
import numpy as np
import pytest

from engine.data.files import collect_left_out
from engine.errors import ConfigError, DataError
from mmsapiens.preflight import CHECKS, make_report, scan
from mmsapiens.preflight.check import Item
from mmsapiens.synthetic.layouts import LAYOUTS
from mmsapiens.synthetic.write_dataset import write_split
from seg.surface.datasets import (
    DepthGeneralDataset,
    NormalGeneralDataset,
    NormalRenderPeopleDataset,
    RenderPeopleDataset,
    check_facing,
)
from seg.surface.depth_traits import depth_traits

RENDERED = "x right, y down, z away"


def pipeline(name):
    return [
        dict(type="LoadImage"),
        dict(type="LoadMask"),
        dict(type=f"Load{name}"),
        dict(type="PackInputs"),
    ]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """8 rendered people with depths and normals."""
    root = tmp_path_factory.mktemp("people")
    for layout in ("depth", "normal"):
        list(write_split(LAYOUTS[layout], root, "train", 8, seed=0, size_hw=(64, 48)))
    return root


@pytest.fixture
def people(rendered, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(rendered, tmp_path / "people")


@pytest.mark.parametrize("layout", ["general", "render_people"])
def test_depth_in_both_layouts(people, layout):
    dataset_type = DepthGeneralDataset
    if layout == "render_people":
        dataset_type = RenderPeopleDataset
        for old, new in (("images", "rgb"), ("masks", "mask"), ("depths", "depth")):
            (people / old).rename(people / new)
    dataset = dataset_type(data_root=str(people), depth_scale=2.0, pipeline=pipeline("Depth"))
    sample = dataset[3]["data_samples"]
    folder = dataset_type.folders[2]
    depth = 2 * np.load(people / folder / "000003.npy")
    np.testing.assert_array_equal(sample.gt_depth_map.data[0], depth)
    assert sample.gt_mask.data.sum() == (depth > 0).sum()
    assert len(dataset) == 8


@pytest.mark.parametrize("layout", ["general", "render_people"])
def test_normals_in_both_layouts(people, layout):
    dataset_type = NormalGeneralDataset
    if layout == "render_people":
        dataset_type = NormalRenderPeopleDataset
        for old, new in (("images", "rgb"), ("masks", "mask"), ("normals", "normal")):
            (people / old).rename(people / new)
    dataset = dataset_type(data_root=str(people), axes=RENDERED, pipeline=pipeline("Normal"))
    sample = dataset[3]["data_samples"]
    inside = sample.gt_mask.data[0] > 0
    assert sample.gt_normal_map.data.shape == (3, 64, 48)
    assert (sample.gt_normal_map.data[2][inside] >= 0).all()


def test_splits_are_disjoint_and_complete(people):
    train, val = (
        DepthGeneralDataset(data_root=str(people), split=split, val_ratio=0.25)
        for split in ("train", "val")
    )
    names = [[d.get_data_info(i)["img_path"] for i in range(len(d))] for d in (train, val)]
    assert list(map(len, names)) == [6, 2] and not set(names[0]) & set(names[1])
    assert names[0] == sorted(names[0])


@pytest.mark.parametrize(
    "folder, what", [("images", "image"), ("masks", "mask"), ("depths", "depth")]
)
def test_unpaired_files_are_named(people, folder, what):
    (path,) = (people / folder).glob("000002.*")
    path.unlink()
    with pytest.raises(DataError, match=rf"of \d files have no {what} in .*{folder}.*000002"):
        DepthGeneralDataset(data_root=str(people))
    with collect_left_out() as left_out:
        assert len(DepthGeneralDataset(data_root=str(people))) == 7
    assert left_out.unpaired and all("000002" in str(file) for file, _ in left_out.unpaired)


def test_an_empty_mask_is_an_error_or_a_counted_skip(people):
    np.save(people / "masks" / "000005.npy", np.zeros((64, 48), bool))
    (people / "masks" / "000005.png").unlink()
    options = dict(data_root=str(people), pipeline=pipeline("Depth"))
    with pytest.raises(DataError, match=r"000005\.npy is empty"):
        DepthGeneralDataset(**options)[5]
    skipping = DepthGeneralDataset(on_corrupt="skip", **options)
    assert skipping[5]["data_samples"].img_path.endswith("000006.png")
    assert skipping.num_corrupt == 1


def test_wrong_axes_are_found_and_the_fitting_ones_named(people):
    with pytest.raises(DataError, match=rf'only 0% .*sign of z would fit axes="{RENDERED}"'):
        NormalGeneralDataset(data_root=str(people))
    NormalGeneralDataset(data_root=str(people), axes=RENDERED)
    NormalGeneralDataset(data_root=str(people), lazy_init=True)


@pytest.mark.parametrize(
    "order, name, index",
    [((2, 1, 0), "ZYX", "2, 1, 0"), ((1, 2, 0), "YZX", "2, 0, 1")],
)
def test_another_order_of_channels_is_found(people, order, name, index):
    for path in (people / "normals").glob("*.npy"):
        np.save(path, np.load(path)[..., order])
    with pytest.raises(DataError, match=rf"look like {name} instead.*\[{index}\].*{RENDERED}"):
        NormalGeneralDataset(data_root=str(people), axes=RENDERED)


def test_normals_that_face_nowhere(people):
    rng = np.random.default_rng(0)
    for path in (people / "normals").glob("*.npy"):
        np.save(path, rng.normal(size=(64, 48, 3)).astype(np.float32))
    with pytest.raises(DataError, match=r"No channel faces the camera.*world"):
        NormalGeneralDataset(data_root=str(people))


def test_unknown_axes_are_an_error_at_once():
    with pytest.raises(ConfigError, match="expected one of"):
        NormalGeneralDataset(axes="xyz", lazy_init=True)


def test_the_metainfo_needs_no_files():
    dataset = NormalGeneralDataset(data_root="/nowhere", axes=RENDERED, lazy_init=True)
    assert dataset.metainfo == {} and dataset.file_options == {"normal_axes": RENDERED}


def test_axes_are_checked_on_the_files_that_can_be_read(people):
    np.save(people / "normals" / "000000.npy", np.zeros((2, 2, 3), np.float32))
    (people / "normals" / "000001.npy").write_text("no array")
    with pytest.raises(DataError, match=rf'sign of z would fit axes="{RENDERED}"'):
        NormalGeneralDataset(data_root=str(people))
    options = dict(axes=RENDERED, pipeline=pipeline("Normal"), on_corrupt="skip")
    dataset = NormalGeneralDataset(data_root=str(people), **options)
    assert dataset[1]["data_samples"].img_path.endswith("000002.png")
    assert dataset.num_corrupt == 1


def test_the_list_of_held_out_names_lies_below_the_data_root(people):
    (people / "val.txt").write_text("000002\n000005\n")
    dataset = DepthGeneralDataset(data_root=str(people), split="val", val_list="val.txt")
    assert len(dataset) == 2


@pytest.mark.parametrize("scale", [0, -1.0, float("nan")])
def test_a_scale_of_depth_is_positive(scale):
    with pytest.raises(ConfigError, match="depth_scale is positive"):
        DepthGeneralDataset(depth_scale=scale, lazy_init=True)


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        ("images", "its image cannot be read"),
        ("masks", "is empty"),
        ("depths", "are NaN"),
        ("normals", "of length"),
    ],
)
def test_the_check_of_the_data_reads_masks_and_maps(people, what, fault):
    if what == "images":
        (people / "images" / "000003.png").write_text("no image")
    elif what == "masks":
        cv2.imwrite(str(people / "masks" / "000003.png"), np.zeros((64, 48), np.uint8))
    else:
        values = np.load(people / what / "000003.npy")
        np.save(people / what / "000003.npy", values * (np.nan if what == "depths" else 0.5))
    dataset = NormalGeneralDataset(data_root=str(people), axes=RENDERED)
    if what != "normals":
        dataset = DepthGeneralDataset(data_root=str(people))
    items = [Item("train", dataset.get_data_info(i)) for i in range(len(dataset))]
    found = {
        item.path[-10:]: [case.detail for case in unreadable]
        for item, _, unreadable in scan(items, CHECKS, {"train": dataset.metainfo})
    }
    details = found.pop("000003.png")
    assert any(fault in detail for detail in details) and not any(found.values())


def eight_bits(path, depth):
    path.unlink()
    cv2.imwrite(str(path.with_suffix(".png")), (depth * 20).clip(0, 255).astype(np.uint8))


ODD_DEPTHS = {
    "negative-depth": lambda path, depth: np.save(path, -depth),
    "zero-depth": lambda path, depth: np.save(path, np.where(np.arange(48) < 24, 0, depth)),
    "8-bit-depth": eight_bits,
    "unreadable": lambda path, depth: np.save(path, np.where(depth > 0, 2.5, 0)),
}


@pytest.mark.parametrize("kind", ODD_DEPTHS)
def test_odd_depth_is_a_finding_and_a_warning(people, kind, capsys):
    for name in ("000001", "000006"):
        path = people / "depths" / f"{name}.npy"
        ODD_DEPTHS[kind](path, np.load(path))
    dataset = DepthGeneralDataset(data_root=str(people))
    told = capsys.readouterr()
    items = [Item("train", dataset.get_data_info(i)) for i in range(len(dataset))]
    report = make_report(CHECKS, {}, list(scan(items, CHECKS, {"train": {}})))
    found = {f.kind: f for f in report.findings}
    assert set(found) == {kind}
    assert [case.sample[-10:] for case in found[kind].cases] == ["000001.png", "000006.png"]
    assert found[kind].level == ("fault" if kind in ("negative-depth", "unreadable") else "note")
    if kind == "unreadable":
        assert "depth is 2.5 at all" in found[kind].cases[0].detail
    else:
        assert (told.out + told.err).count(found[kind].message) == 1, "once, at the start"


def nearest_is_0(path, depth):
    """Relative to the nearest pixel, as some tools write it."""
    mask = cv2.imread(str(path.parents[1] / "masks" / f"{path.stem}.png"), -1) > 0
    np.save(path, np.where(mask, depth - depth[mask].min(), depth))


def not_measured(path, depth):
    path.unlink()
    measured = np.where(np.arange(48) < 24, 0, depth * 1000)
    cv2.imwrite(str(path.with_suffix(".png")), measured.astype(np.uint16))


@pytest.mark.parametrize("change", [nearest_is_0, not_measured])
def test_zeros_that_are_no_mistake(people, change, capsys):
    path = people / "depths" / "000001.npy"
    change(path, np.load(path))
    dataset = DepthGeneralDataset(data_root=str(people))
    assert len(dataset) and "depth" not in "".join(capsys.readouterr())


def records_of(tmp_path, *normals):
    """Records of normals (40, 40, 3) of which a mask shows every fourth row and column."""
    records = []
    for i, values in enumerate(normals):
        np.save(tmp_path / f"m{i}.npy", np.ones((40, 40), np.uint8))
        np.save(tmp_path / f"n{i}.npy", np.asarray(values, np.float32))
        paths = {"mask_path": f"m{i}.npy", "normal_path": f"n{i}.npy"}
        records.append({key: str(tmp_path / name) for key, name in paths.items()})
    return records


def dome(order=(0, 1, 2), signs=(1, 1, 1), away=0):
    """Normals of a dome seen from above; of its 100 looked-at pixels, some are turned away."""
    y, x = np.mgrid[1:-1:40j, -1:1:40j]
    normals = np.stack([x, y, np.full_like(x, 2)], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    turned = normals[::4, ::4].reshape(-1, 3)
    turned[:away, 2] *= -1
    normals[::4, ::4] = turned.reshape(10, 10, 3)
    return (normals * signs)[..., order]


@pytest.mark.parametrize("away", [10, 11])
def test_nine_tenths_of_normals_face_the_camera(tmp_path, away):
    records = records_of(tmp_path, dome(away=away))
    if away == 10:
        check_facing(records, "x right, y up, z towards")
    else:
        with pytest.raises(DataError, match=r"n0.npy and the next 0: only 89% of"):
            check_facing(records, "x right, y up, z towards")


@pytest.mark.parametrize("y", ["up", "down"])
@pytest.mark.parametrize("z", ["towards", "away"])
@pytest.mark.parametrize(("order", "index"), [((0, 1, 2), None), ((2, 0, 1), "1, 2, 0")])
def test_the_fitting_axes_are_named_whatever_the_files_have(tmp_path, y, z, order, index):
    signs = (1, 1 if y == "up" else -1, 1 if z == "towards" else -1)
    records = records_of(tmp_path, dome(order, signs), dome(order, signs))
    given = f"x right, y {y}, z {'away' if z == 'towards' else 'towards'}"
    fitting = f'axes="x right, y {y}, z {z}"'
    message = rf"next 1: .*{fitting}" if index is None else rf"\[{index}\].*{fitting}"
    with pytest.raises(DataError, match=message):
        check_facing(records, given)


def test_normals_that_cannot_be_judged_pass(tmp_path):
    check_facing([], RENDERED)
    unknown = records_of(tmp_path, np.full((40, 40, 3), np.nan))
    check_facing(unknown, RENDERED)
    smaller = records_of(tmp_path, np.ones((39, 40, 3)))
    check_facing(smaller, "x right, y up, z away")


@pytest.mark.parametrize(("zeros", "is_odd"), [(1, False), (2, True)])
def test_one_pixel_in_a_thousand_may_be_the_nearest_one(tmp_path, zeros, is_odd):
    depth = np.arange(1.0, 1001).reshape(25, 40).astype(np.float32)
    depth.ravel()[:zeros] = 0
    np.save(tmp_path / "d.npy", depth)
    traits = depth_traits(tmp_path / "d.npy", np.ones((25, 40)))
    assert traits == ({"zero-depth"} if is_odd else set())


def test_traits_of_depth_are_those_inside_the_mask(tmp_path):
    depth = np.ones((4, 4), np.float32)
    depth[0], depth[1, 0] = -1, -1e-6
    np.save(tmp_path / "d.npy", depth)
    mask = np.zeros((4, 4))
    mask[1:] = 1
    assert depth_traits(tmp_path / "d.npy", mask) == {"negative-depth"}
    mask[1, 0] = 0
    assert depth_traits(tmp_path / "d.npy", mask) == set()
