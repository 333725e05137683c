"""The doctor sees what is there, and names what is wrong."""

import pytest

from mmsapiens import doctor
from tests.mmsapiens.commands.conftest import run_verb


def test_a_sound_installation(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a.pth").write_bytes(b"\0" * 2**20)
    (tmp_path / "data" / "coco").mkdir(parents=True)
    done = run_verb(tmp_path, "doctor", SAPIENS_CHECKPOINT_ROOT="weights", DATA_ROOT="data")
    assert done.returncode == 0, done.stdout + done.stderr
    texts = ("torch ", "mmengine ", "GiB free", "onnxruntime", "coco", "a.pth (0.0 GiB)")
    for text in (*texts, "0 of 26 there"):
        assert text in done.stdout
    assert "Nothing is wrong." in done.stdout


def test_a_package_of_another_project_hides_ours(tmp_path):
    (tmp_path / "engine").mkdir()
    # Only one that cannot be imported fails in an editable install as in any other: the finder of
    # the former looks for `engine.errors` in our folder, whatever `engine` is.
    (tmp_path / "engine" / "__init__.py").write_text("import a_module_of_theirs")
    done = run_verb(tmp_path, "doctor")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{tmp_path / 'engine'} is of another project" in done.stdout
    assert "leave or rename that folder" in done.stdout
    done = run_verb(tmp_path, "check", "seg/face/sapiens_1b_face-1024x768")
    assert done.returncode == 1 and "`mmsapiens doctor`" in done.stderr


def test_a_folder_that_is_not_there(monkeypatch):
    monkeypatch.setenv("DATA_ROOT", "nowhere")
    (finding,) = (f for f in doctor.files() if f.name == "DATA_ROOT")
    assert "nowhere: there is no such folder" in finding.text and "Set DATA_ROOT" in finding.cure


def test_a_broken_import(monkeypatch):
    def broken(name):
        raise ImportError(f"{name} lacks libgone.so")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    findings = [*doctor.versions(), *doctor.packages()]
    ill = {finding.name: finding.text for finding in findings if finding.cure}
    assert ill.keys() == {*doctor.REQUIRED, *doctor.OURS}
    assert "cv2 lacks libgone.so" in ill["opencv"]


@pytest.mark.parametrize("name", doctor.EXTRAS)
def test_an_extra_that_is_not_installed(name, monkeypatch):
    def version(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version)
    (finding,) = (f for f in doctor.extras() if f.name == name)
    assert "mmsapiens[" in finding.text and not finding.cure
