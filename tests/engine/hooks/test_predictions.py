from pathlib import Path

import pytest

from engine.errors import ConfigError
from engine.hooks.predictions import name_outputs


class Records(list):
    get_data_info = list.__getitem__


def test_results_keep_folders_and_stay_in_theirs(tmp_path):
    records = Records({"img_path": str(tmp_path / name)} for name in ("a/1.jpg", "b/c/2.png"))
    names = name_outputs(records, Path("out"))
    assert names[tmp_path / "a/1.jpg"].as_posix() == "out/a/1.png"
    assert names[tmp_path / "b/c/2.png"].as_posix() == "out/b/c/2.png"


def test_a_file_of_the_dataset_is_never_overwritten(tmp_path):
    records = Records(
        [
            {
                "img_path": str(tmp_path / "images/1.jpg"),
                "seg_map_path": str(tmp_path / "labels/1.png"),
            }
        ]
    )
    with pytest.raises(ConfigError, match=r"labels/1\.png is a file of the input"):
        name_outputs(records, tmp_path / "labels")
