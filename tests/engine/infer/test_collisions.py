"""No result takes the place of another, or of a file that must stay."""

from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.infer import ImageList, InputImage, check_results

SUFFIXES = ("_seg.npy", ".npy", ".png")


def test_results_of_two_images_may_have_one_name(tmp_path):
    images = ImageList(["in/a.jpg", "in/a_seg.jpg", "in/b.jpg"])
    with pytest.raises(ConfigError, match=r"in/a\.jpg and in/a_seg\.jpg would both write a_seg\.n"):
        check_results(images, tmp_path, SUFFIXES)
    check_results(images, tmp_path, SUFFIXES[1:])
    twice = [InputImage(Path("x/a.jpg"), "a"), InputImage(Path("y/a.jpg"), "a")]
    with pytest.raises(ConfigError, match=r"x/a\.jpg and y/a\.jpg would both write a"):
        check_results(twice, tmp_path, SUFFIXES)


def test_a_video_has_a_folder_of_its_own(tmp_path):
    (tmp_path / "a.mp4").touch()
    image, video = InputImage(Path("a/0.jpg"), "a/0"), InputImage(tmp_path / "a.mp4", "a")
    with pytest.raises(ConfigError, match=r"a/0\.jpg and .*a\.mp4 would both write into a/"):
        check_results([image, video], tmp_path / "out", SUFFIXES, of_videos=(".mp4", "/"))
    check_results([image, video], tmp_path / "out", SUFFIXES, of_videos=(".mp4",))


@pytest.mark.parametrize("others", [[], ["boxes"]])
def test_sources_stay_however_their_folders_are_linked(tmp_path, others):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "boxes.json"):
        (tmp_path / "in" / name).touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "in")
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    images = [InputImage(tmp_path / "linked/a.png", "sub/a")]
    if others:
        images = [InputImage(Path("elsewhere/boxes.jpg"), "sub/boxes")]
        others = [str(tmp_path / "linked/boxes.json")]
    suffix = ".json" if others else ".png"
    with pytest.raises(ConfigError, match="is a file of the input and would be overwritten"):
        check_results(images, tmp_path / "out", [suffix], others)
    check_results(images, tmp_path / "out", [f"_new{suffix}"], others)


def test_an_image_that_is_a_link_may_stand_for_one_in_the_folder_of_results(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.png").symlink_to(tmp_path / "a.png")
    images = [InputImage(tmp_path / "elsewhere/b.png", "a")]
    with pytest.raises(ConfigError, match=r"a\.png is a file of the input"):
        check_results(images, tmp_path, [".png"])
