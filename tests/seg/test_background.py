import cv2
import numpy as np
import pytest

from engine.data.decoding import EncodedJpeg
from engine.errors import ConfigError, DataError
from seg.background import CONTRAST_RANGE, RandomBackground, cover, match_colours

BLUE, GREY = (200, 40, 10), (120, 120, 120)


@pytest.fixture
def root(tmp_path):
    """Two plain backgrounds, in nested folders."""
    (tmp_path / "sub").mkdir()
    for name, colour in {"a.png": BLUE, "sub/b.PNG": GREY}.items():
        assert cv2.imwrite(str(tmp_path / name), np.full((30, 50, 3), colour, np.uint8))
    return tmp_path


def person(make_sample, **fields):
    """A sample whose rows 10 to 29 are a person, of which rows 20 to 24 are ignored."""
    sample = make_sample(**fields)
    sample["seg_map"][:] = 0
    sample["seg_map"][10:30] = 2
    sample["seg_map"][20:25] = 255
    return sample


def test_only_the_image_behind_the_labelled_person_is_replaced(root, make_sample):
    fields = {name: np.random.default_rng(0).random((40, 30)) for name in ("depth", "normal")}
    before, after = (person(make_sample, **fields) for _ in range(2))
    after = RandomBackground(root=str(root), prob=1.0)(after)
    background = after["img"][0, 0]
    assert tuple(background) in (BLUE, GREY)
    shows = (after["img"] == background).all(axis=2)
    expected = (before["seg_map"] == 0) | (before["seg_map"] == 255)
    assert shows[expected].all() and shows[~expected].mean() < 0.1
    for name in ("seg_map", "depth", "normal", "matrix"):
        np.testing.assert_array_equal(after[name], before[name])


def test_another_label_than_255_may_be_the_ignored_one(root, make_sample):
    sample = person(make_sample)
    sample["seg_map"][20:25] = 200
    sample["metainfo"] = {**sample["metainfo"], "ignore_index": 200}
    after = RandomBackground(root=str(root), prob=1.0)(sample)
    assert (after["img"][20:25] == after["img"][0, 0]).all()


def test_a_mask_goes_before_labels(root, make_sample):
    mask = np.zeros((40, 30), np.uint8)
    mask[:5] = 255
    sample = RandomBackground(root=str(root), prob=1.0)(person(make_sample, mask=mask))
    shows = (sample["img"] == sample["img"][-1, -1]).all(axis=2)
    assert shows[5:].all() and not shows[:5].all()


def test_the_sample_decides(root, make_sample):
    transform = RandomBackground(root=str(root), prob=0.5)
    images = [
        transform(person(make_sample, seed=seed))["img"] for seed in range(20) for _ in (0, 1)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(images[::2], images[1::2], strict=True))
    corners = {tuple(image[0, 0]) for image in images}
    assert {BLUE, GREY} < corners and len(corners) > 3, "both backgrounds, and some unchanged"


@pytest.mark.parametrize("label", [0, 2, 255])
def test_an_image_of_one_kind_stays(root, make_sample, label):
    sample = make_sample()
    sample["seg_map"][:] = label
    before = sample["img"].copy()
    after = RandomBackground(root=str(root), prob=1.0)(sample)
    np.testing.assert_array_equal(after["img"], before)


def test_the_background_covers_the_image():
    wide = np.zeros((10, 100, 3), np.uint8)
    wide[:, 45:55] = 255
    assert cover(wide, (20, 20)).min() == 255, "the middle is kept"
    narrow = np.repeat(np.arange(0, 250, 25, dtype=np.uint8)[:, None, None], 3, axis=2)
    stretched = cover(narrow, (10, 40))
    assert stretched.shape == (10, 40, 3) and (stretched == narrow).all()


def test_colours_take_the_mean_and_deviation_of_the_reference():
    rng = np.random.default_rng(0)
    image = rng.normal(90, 20, (40, 40, 3)).clip(0, 255).astype(np.uint8)
    reference = rng.normal((140, 120, 100), 30, (40, 40, 3)).clip(0, 255).astype(np.uint8)
    region = np.arange(40)[:, None] + np.zeros((1, 40)) < 20
    matched = match_colours(image, region, reference, ~region)
    lab, target = (cv2.cvtColor(x, cv2.COLOR_BGR2LAB).astype(float) for x in (matched, reference))
    np.testing.assert_allclose(lab[region].mean(0), target[~region].mean(0), atol=1.5)
    np.testing.assert_allclose(lab[region].std(0), target[~region].std(0), rtol=0.1)


def test_people_take_the_colours_of_what_is_seen_behind_them(tmp_path, make_sample):
    """Not of the part of the background that they hide, which is bright here."""
    mask = np.zeros((40, 30), np.uint8)
    mask[:20] = 1
    background = np.full((40, 30, 3), 40, np.uint8)
    background[:20] = 240
    assert cv2.imwrite(str(tmp_path / "a.png"), background)
    after = RandomBackground(root=str(tmp_path), prob=1.0)(make_sample(mask=mask))["img"]
    assert (after[20:] == 40).all()
    assert abs(np.median(after[:20]) - 40) < 20


def test_a_plain_background_does_not_fade_the_person():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    everywhere = np.ones((40, 40), bool)
    matched = match_colours(image, everywhere, np.full_like(image, 127), everywhere)
    lightness = [cv2.cvtColor(x, cv2.COLOR_BGR2LAB)[..., 0].std() for x in (matched, image)]
    assert lightness[0] == pytest.approx(CONTRAST_RANGE[0] * lightness[1], rel=0.05)


def test_wrong_folders_are_errors_when_it_is_made(tmp_path):
    with pytest.raises(DataError, match=r"no folder '.*nowhere'"):
        RandomBackground(root=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="holds no images"):
        RandomBackground(root=str(tmp_path))


def test_wrong_use(root, make_sample):
    with pytest.raises(ConfigError, match="prob is in"):
        RandomBackground(root=str(root), prob=2)
    sample = make_sample()
    del sample["seg_map"]
    with pytest.raises(ConfigError, match="mask or seg_map"):
        RandomBackground(root=str(root), prob=1.0)(sample)


@pytest.mark.parametrize("height", [19, 20])
def test_backgrounds_of_twice_the_height_are_averaged(height):
    """One bright row in two; below twice the height neighbours are interpolated."""
    stripes = np.zeros((height, 10, 3), np.uint8)
    stripes[1::2] = 255
    covered = cover(stripes, (10, 5))
    assert (abs(covered.astype(int) - 127.5).max() < 1) == (height == 20)


def test_a_photograph_that_is_not_yet_decoded_is(root, tmp_path, make_sample):
    image = np.full((40, 30, 3), 90, np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    lazy = {**person(make_sample), "img": EncodedJpeg.open(data, "a.jpg")}
    eager = {**person(make_sample), "img": lazy["img"].decode()}
    transform = RandomBackground(root=str(root), prob=1.0)
    np.testing.assert_array_equal(transform(lazy)["img"], transform(eager)["img"])


def test_never_at_probability_zero(root, make_sample):
    sample = person(make_sample)
    before = sample["img"]
    transform = RandomBackground(root=str(root), prob=0.0)
    assert all(transform(person(make_sample))["img"].tobytes() == before.tobytes() for _ in "abc")


def test_a_wide_background_shows_its_middle_and_a_narrow_one_all_of_it():
    image = np.repeat(np.arange(40, dtype=np.uint8)[None, :, None], 8, axis=0).repeat(3, axis=2)
    np.testing.assert_array_equal(cover(image, (8, 20)), image[:, 10:30])
    np.testing.assert_array_equal(cover(image, (8, 40)), image)
    narrow = cover(image, (8, 80))
    assert narrow.shape == (8, 80, 3) and narrow[0, 0, 0] == 0 and narrow[0, -1, 0] == 39
