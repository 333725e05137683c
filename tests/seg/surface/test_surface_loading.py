import cv2
import numpy as np
import pytest

from engine.errors import ConfigError, DataError
from seg.surface.reading import axis_signs, read_depth, read_mask, read_normal
from seg.surface.transforms import LoadDepth, LoadMask, LoadNormal

SIZE_HW = (4, 6)
RAMP = np.arange(24.0).reshape(SIZE_HW)


def save(path, array):
    np.save(path, array) if path.suffix == ".npy" else cv2.imwrite(str(path), array)
    return str(path)


@pytest.fixture
def sample(tmp_path):
    mask = np.zeros(SIZE_HW, np.uint8)
    mask[1:3, 1:5] = 255
    return {
        "img_path": "a.jpg",
        "mask_path": save(tmp_path / "mask.png", mask),
        "ori_size_hw": SIZE_HW,
        "metainfo": {},
    }


@pytest.mark.parametrize("suffix", [".png", ".npy"])
@pytest.mark.parametrize(
    "foreground, dtype", [(1, bool), (255, "uint8"), (1, "uint8"), (3, "int64")]
)
def test_masks_of_all_kinds_become_zeros_and_ones(tmp_path, suffix, foreground, dtype):
    mask = np.zeros(SIZE_HW, dtype)
    mask[0, 2] = foreground
    mask = mask if suffix == ".npy" else mask.astype(np.uint8)
    read = read_mask(save(tmp_path / f"m{suffix}", mask))
    assert read.dtype == np.uint8 and read.sum() == read[0, 2] == 1


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_masks(tmp_path, channels):
    mask = np.zeros((*SIZE_HW, channels), np.uint8)
    mask[..., 3:] = 255  # opaque
    mask[0, 2, 1] = 255
    assert read_mask(save(tmp_path / "m.png", mask)).sum() == 1


def test_depth_is_not_taken_for_a_mask(tmp_path):
    with pytest.raises(DataError, match=r"float32.*depth rather than a mask"):
        read_mask(save(tmp_path / "m.npy", np.ones(SIZE_HW, np.float32)))


@pytest.mark.parametrize("name", ["nothing.npy", "nothing.png"])
def test_missing_files(tmp_path, name):
    with pytest.raises(DataError, match=r"nothing\.\w+ does not exist"):
        read_mask(tmp_path / name)


@pytest.mark.parametrize("name", ["broken.npy", "broken.png"])
def test_unreadable_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"broken\.\w+"):
        read_depth(tmp_path / name)


@pytest.mark.parametrize("read", [read_mask, read_depth, lambda p: read_normal(p, (1, 1, 1))])
def test_an_array_whose_header_says_another_size_than_the_file_has(tmp_path, read):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((40, 30, 3), np.float32))
    data = path.read_bytes()
    for damaged, message in (
        (data[:-1], "14400 bytes, and 14399 follow"),
        (data + b"x", "and 14401 follow"),
        (data.replace(b"(40, 30, 3)", b"(40, 99, 3)"), "and 14400 follow"),
        (data.replace(b"(40, 30, 3)", b"(4000000, 3000000, 3)"), "MMSAPIENS_MAX_PIXELS|read as"),
        (data.replace(b"(40, 30, 3), ", b"(99999, 99999)"), "MMSAPIENS_MAX_PIXELS|read as"),
        (data.replace(b"(40, 30, 3)", b"(-40, -30,3)"), "header says|read as"),
        (data.replace(b"NUMPY\x01", b"NUMPY\x07"), "version is .7, 0"),
        (data.replace(b"'<f4'", b"'|O8'"), "read as a NumPy array|is damaged"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=message):
            read(path)


def test_a_tiny_mask_or_depth_of_a_huge_size_is_refused_by_its_header(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 50), np.uint16))
    monkeypatch.setenv("MMSAPIENS_MAX_PIXELS", "1999")
    for read in (read_mask, read_depth):
        with pytest.raises(DataError, match=r"a\.png: .*40x50"):
            read(tmp_path / "a.png")


def test_an_empty_mask(sample, tmp_path):
    sample["mask_path"] = save(tmp_path / "mask.png", np.zeros(SIZE_HW, np.uint8))
    with pytest.raises(DataError, match="no pixel is foreground"):
        LoadMask()(sample)


@pytest.mark.parametrize("step", [LoadMask, LoadDepth, LoadNormal])
def test_order_and_missing_paths(step):
    key = step.__name__.removeprefix("Load").lower()
    with pytest.raises(DataError, match=f"no {key}_path"):
        step()({"img_path": "a.jpg", "metainfo": {}})
    first = "LoadImage" if step is LoadMask else "LoadMask"
    with pytest.raises(ConfigError, match=f"put {first} before"):
        step()({f"{key}_path": "a.npy", "metainfo": {}})


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_depth_of_any_kind_is_scaled(sample, tmp_path, dtype):
    sample["depth_path"] = save(tmp_path / "d.npy", (3 + RAMP).astype(dtype))
    sample["depth_scale"] = 0.5
    depth = LoadDepth()(LoadMask()(sample))["depth"]
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, 0.5 * (3 + RAMP))


def test_zero_in_a_16_bit_image_leaves_the_mask(sample, tmp_path):
    millimetres = (1500 + RAMP).astype(np.uint16)
    millimetres[1, 1] = 0
    sample["depth_path"] = save(tmp_path / "d.png", millimetres)
    sample["depth_scale"] = 0.001
    sample = LoadDepth()(LoadMask()(sample))
    assert sample["mask"].sum() == 7 and sample["mask"][1, 1] == 0
    inside = sample["mask"] > 0
    np.testing.assert_allclose(sample["depth"][inside], 1.5 + RAMP[inside] / 1000)


def test_an_image_without_any_measured_depth(sample, tmp_path):
    sample["depth_path"] = save(tmp_path / "d.png", np.zeros(SIZE_HW, np.uint16))
    with pytest.raises(DataError, match="not measured, in the whole mask"):
        LoadDepth()(LoadMask()(sample))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_depth_that_is_not_finite_inside_the_mask(sample, tmp_path, value):
    depth = RAMP.astype(np.float32)
    depth[0, 0] = value  # outside: allowed
    sample["depth_path"] = save(tmp_path / "d.npy", depth)
    LoadDepth()(LoadMask()(dict(sample)))
    depth[2, 3] = value
    save(tmp_path / "d.npy", depth)
    with pytest.raises(DataError, match=r"d\.npy: 1 of 8 pixels inside the mask.*x=3, y=2"):
        LoadDepth()(LoadMask()(sample))


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("d.npy", np.full(SIZE_HW, 2.5, np.float32)),
        ("d.npy", np.zeros(SIZE_HW, np.float32)),
        ("d.npy", 2.5 + 1e-7 * RAMP),
        ("d.png", np.full(SIZE_HW, 900, np.uint16)),
    ],
)
def test_depth_that_is_everywhere_the_same(sample, tmp_path, name, depth):
    """It trained to a loss of 0, and had the best RMSE of all."""
    depth[0, 0] = 7  # outside of the mask
    sample["depth_path"] = save(tmp_path / name, depth)
    with pytest.raises(DataError, match=r"d\.\w+: depth is [\d.]+ at all 8 pixels of the mask"):
        LoadDepth()(LoadMask()(sample))


@pytest.mark.parametrize("shape", [(4, 6, 1), (4,)])
def test_depth_of_another_shape(tmp_path, shape):
    with pytest.raises(DataError, match="one number each"):
        read_depth(save(tmp_path / "d.npy", np.ones(shape, np.float32)))


def test_another_size_names_both_files(sample, tmp_path):
    sample["depth_path"] = save(tmp_path / "d.npy", np.ones((6, 4), np.float32))
    with pytest.raises(DataError, match=r"d\.npy is 6x4.*a\.jpg is 4x6"):
        LoadDepth()(LoadMask()(sample))


def normals(*xyz, dtype=np.float32):
    return np.broadcast_to(np.array(xyz, dtype), (*SIZE_HW, 3)).copy()


@pytest.mark.parametrize(
    "axes, expected",
    [
        ("x right, y up, z towards", (0, 0.6, 0.8)),
        ("x right, y down, z away", (0, -0.6, -0.8)),
        ("x right, y up, z away", (0, 0.6, -0.8)),
        ("x right, y down, z towards", (0, -0.6, 0.8)),
    ],
)
def test_normals_are_turned_to_our_axes(sample, tmp_path, axes, expected):
    sample["normal_path"] = save(tmp_path / "n.npy", normals(0, 0.6, 0.8))
    sample["normal_axes"] = axes
    normal = LoadNormal()(LoadMask()(sample))["normal"]
    np.testing.assert_allclose(normal[2, 2], expected, atol=1e-6)


def test_unknown_axes():
    with pytest.raises(ConfigError, match="'x right, y up, z towards'"):
        axis_signs("x right, z up, y away")


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_nearly_unit_normals_become_unit_ones(sample, tmp_path, dtype):
    sample["normal_path"] = save(tmp_path / "n.npy", normals(0, 0.63, 0.84, dtype=dtype))
    normal = LoadNormal()(LoadMask()(sample))["normal"]
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal[2, 2], (0, 0.6, 0.8), atol=1e-3)


@pytest.mark.parametrize("length", [0, 0.5, 2, np.nan])
def test_normals_of_another_length_inside_the_mask(sample, tmp_path, length):
    values = normals(0, 0, 1)
    values[0] = 0  # outside
    values[1, 4] *= length
    sample["normal_path"] = save(tmp_path / "n.npy", values)
    with pytest.raises(DataError, match=rf"1 of 8 normals.*x=4, y=1 with length {length:g}"):
        LoadNormal()(LoadMask()(sample))


def test_normals_of_another_shape(sample, tmp_path):
    sample["normal_path"] = save(tmp_path / "n.npy", np.ones((*SIZE_HW, 4), np.float32))
    with pytest.raises(DataError, match=r"\(H, W, 3\), floats"):
        LoadNormal()(LoadMask()(sample))


@pytest.mark.parametrize(("tolerance", "length", "is_read"), [
    (0.5, 1.5, True), (0.5, 0.5, True), (0.5, 1.53125, False), (0.5, 0.46875, False),
    (0.03125, 1.0625, False),
])  # fmt: skip
def test_how_long_a_normal_may_be_is_the_configs(sample, tmp_path, tolerance, length, is_read):
    sample["normal_path"] = save(tmp_path / "n.npy", normals(0, 0, length))
    sample, step = LoadMask()(sample), LoadNormal(tolerance=tolerance)
    if is_read:
        lengths = np.linalg.norm(step(sample)["normal"][sample["mask"] > 0], axis=-1)
        np.testing.assert_allclose(lengths, 1, atol=1e-6)
    else:
        with pytest.raises(DataError, match=rf"not of length 1 \(within {tolerance}\)"):
            step(sample)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_version_and_order(tmp_path, version, order):
    depth = np.array(RAMP, np.float32, order=order)
    normal = np.array(np.random.default_rng(0).random((4, 6, 3)), np.float32, order=order)
    for name, values in (("d", depth), ("n", normal)):
        with (tmp_path / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array(file, values, version)
    np.testing.assert_array_equal(read_depth(tmp_path / "d.npy"), depth)
    np.testing.assert_array_equal(read_normal(tmp_path / "n.npy", (1, 1, 1)), normal)
