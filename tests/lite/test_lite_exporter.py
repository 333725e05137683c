"""What `mmsapiens export` writes is what lite/ reads."""

import json

import numpy as np
import pytest

from mmsapiens.cli import dispatch
from tests.lite.conftest import TOOLS
from tests.lite.test_lite_parity import STEMS, arrays


def export(model, tmp_path, *words):
    command = ["export", model.config, model.checkpoint, "--output", tmp_path / "exported", *words]
    command += ["--cfg-options"]
    command += [f"{key}={value}".replace(" ", "") for key, value in model.options.items()]
    assert not dispatch([str(word) for word in command])
    (path,) = (path for path in (tmp_path / "exported").iterdir() if path.suffix != ".data")
    return path


def test_an_exported_onnx_file_gives_the_same_labels(exported, photos, tmp_path, lite, capfd):
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=f"there is no ONNX without {name}")
    model = exported("parts")
    path = export(model, tmp_path, "--format", "onnx", "--normalise", "inside")
    assert "opset 18, largest difference" in capfd.readouterr().out
    assert lite(TOOLS["parts"], path, "--input", photos, "--output_root", tmp_path / "lite") == 0
    full = model.infer(photos, tmp_path / "full")
    pairs = zip(arrays(full, "_seg.npy"), arrays(tmp_path / "lite", "_seg.npy"), strict=True)
    for expected, found in pairs:
        np.testing.assert_array_equal(expected, found)


def test_an_exported_torchscript_file_gives_the_same_keypoints(exported, photos, tmp_path, lite):
    model = exported("pose")
    path = export(model, tmp_path, "--format", "torchscript")
    assert lite(TOOLS["pose"], path, "--input", photos, "--output_root", tmp_path / "lite") == 0
    flip = {"model.test_views.flip": False}
    full = model.infer(photos, tmp_path / "full", **flip)
    for stem in STEMS:
        expected = json.loads((full / f"{stem}.json").read_text())["instances"]
        found = json.loads((tmp_path / f"lite/{stem}.json").read_text())["instance_info"]
        points = [np.array([person["keypoints"] for person in who]) for who in (expected, found)]
        assert points[0].shape == (1, 17, 2)
        np.testing.assert_allclose(points[1], points[0], atol=0.05)
