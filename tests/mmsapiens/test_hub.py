"""Released models are found on the disk, or downloaded by the real client from a hub of ours."""

from __future__ import annotations

import hashlib
import random
import re
import signal
import threading

import pytest

from engine.errors import OutputError, WeightsError
from mmsapiens.hub import fetch, locate
from mmsapiens.zoo import RELEASED, find
from tests import processes
from tests.mmsapiens.hub_server import TOKEN, File, Hub
from tests.processes import Command

PARTS = find("sapiens-1b-parts")
PARTS_FILE = "sapiens_1b_goliath_best_goliath_mIoU_7994_epoch_151.pth"
PARTS_TREE = f"seg/checkpoints/sapiens_1b/{PARTS_FILE}"
BLOB = random.Random(0).randbytes(100_000)
LARGE = random.Random(1).randbytes(24 * 2**20)  # the client writes 10 MB at a time


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The folder of weights; it does not exist yet."""
    monkeypatch.setenv("SAPIENS_CHECKPOINT_ROOT", str(tmp_path / "weights"))
    for name in ("HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return tmp_path / "weights"


@pytest.fixture
def hub(root, monkeypatch):
    """A hub that has the body parts of 1b."""
    with Hub({(PARTS.repository, PARTS_FILE): File(BLOB)}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def names(root):
    """All files below a folder."""
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def put(root, name):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


# ---- on the disk

LITE = "sapiens_lite_host/torchscript"
PLACES = [
    ("sapiens-1b-parts", False, PARTS_TREE),
    ("sapiens-1b-parts", False, f"sapiens_host/{PARTS_TREE}"),
    ("sapiens-1b-parts", False, PARTS_FILE),
    ("sapiens-1b-parts", False, PARTS_TREE.replace(".pth", ".safetensors")),
    ("sapiens-1b-parts", True, f"{LITE}/{PARTS_TREE.replace('.pth', '_torchscript.pt2')}"),
    ("sapiens-1b-parts", True, PARTS_FILE.replace(".pth", "_torchscript.pt2")),
    ("sapiens-1b-pretrain", False, "sapiens_1b_epoch_173_clean.pth"),
    ("sapiens-1b-pretrain", False, "pretrain/checkpoints/sapiens_1b/sapiens_1b_epoch_173.pth"),
    ("sapiens-1b-pose-308", False, "sapiens_1b_goliath_best_goliath_AP_640.pth"),
]


@pytest.mark.parametrize(("name", "torchscript", "place"), PLACES)
def test_files_are_found_where_they_may_be(root, name, torchscript, place):
    path = put(root, place)
    assert locate(find(name), torchscript) == path == fetch(find(name), torchscript)
    others = {other.name for other in RELEASED.values() for t in (0, 1) if locate(other, bool(t))}
    assert others == {name}
    assert locate(find(name), not torchscript) is None


def test_the_root_is_that_of_the_configs_by_default(tmp_path, monkeypatch):
    monkeypatch.delenv("SAPIENS_CHECKPOINT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert locate(PARTS) is None
    put(tmp_path / "checkpoints", PARTS_FILE)
    assert str(locate(PARTS)) == f"checkpoints/{PARTS_FILE}"


def test_the_release_s_tree_comes_before_the_folder_itself(root):
    put(root, PARTS_FILE)
    path = put(root, PARTS_TREE)
    assert locate(PARTS) == path


# ---- downloads


def test_a_download_goes_into_the_tree_once(hub, root, capfd, monkeypatch):
    monkeypatch.setenv("TQDM_POSITION", "-1")  # progress also where there is no terminal
    assert fetch(PARTS) == root / PARTS_TREE
    assert (root / PARTS_TREE).read_bytes() == BLOB and names(root) == [PARTS_TREE]
    said = capfd.readouterr().err
    assert said.count("CC-BY-NC 4.0") == 1 and PARTS.repository in said and "100%" in said
    asked = len(hub.log)
    assert fetch(PARTS) == root / PARTS_TREE
    assert len(hub.log) == asked and not capfd.readouterr().err


@pytest.mark.parametrize("name", ["sapiens-2b-pose-17", "sapiens-0.3b-normal"])
@pytest.mark.parametrize("torchscript", [False, True])
def test_other_repositories_and_names(hub, root, name, torchscript):
    """The first of COCO's is in a tree; the second is in the repository of all models only."""
    released = find(name)
    repository = "facebook/sapiens"
    if name == "sapiens-2b-pose-17":
        repository = "noahcao/sapiens-pose-coco"
    ending = "_torchscript.pt2" if torchscript else ".pth"
    place = f"{released.folder}/{released.stems[-1]}{ending}"
    tree = LITE if torchscript else "sapiens_host"
    hub.files[repository, f"{tree}/{place}"] = File(BLOB)
    path = fetch(released, torchscript)
    assert path == root / (f"{LITE}/{place}" if torchscript else place)
    assert path.read_bytes() == BLOB and locate(released, torchscript) == path


def test_each_name_of_a_file_is_tried(hub):
    released = find("sapiens-0.6b-pose-308")
    hub.files[released.repository, f"{released.stems[1]}.pth"] = File(BLOB)
    assert fetch(released).name == "sapiens_0.6b_goliath_best_goliath_AP_600.pth"
    heads = [path.rpartition("/")[2] for method, path, _ in hub.log if method == "HEAD"]
    assert heads == [f"{stem}.pth" for stem in released.stems]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub, root):
    hub.files[PARTS.repository, PARTS_FILE] = File(LARGE, cut_at=15 * 2**20)
    assert fetch(PARTS).read_bytes() == LARGE
    first, second = hub.ranges()
    assert first is None and re.fullmatch(r"bytes=[1-9]\d+-", second)


FETCH = "from mmsapiens import hub, zoo; hub.fetch(zoo.find('sapiens-1b-parts'))"


def test_a_download_that_was_killed_goes_on(hub, root):
    hub.files[PARTS.repository, PARTS_FILE] = File(LARGE, hold_at=22 * 2**20)
    process = Command(["-c", FETCH])
    try:
        assert hub.holding.wait(60)
        (part,) = wait_for_bytes(root, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert part.suffix == ".part" and locate(PARTS) is None
    begun = part.stat().st_size
    assert fetch(PARTS).read_bytes() == LARGE
    assert hub.ranges() == [None, f"bytes={begun}-"]
    assert names(root) == [PARTS_TREE]


def wait_for_bytes(root, process):
    """Returns the parts of files once there is something in them; the server has sent it."""
    while process.poll() is None:
        parts = [path for path in root.rglob("*.part") if path.stat().st_size]
        if parts:
            return parts
        threading.Event().wait(0.02)
    raise AssertionError("the download ended")


def test_processes_that_want_the_same_file_download_it_once(hub, root):
    hub.files[PARTS.repository, PARTS_FILE] = File(LARGE)
    started = [Command(["-c", FETCH]) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    assert len(hub.ranges()) == 1 and (root / PARTS_TREE).read_bytes() == LARGE


def test_a_login_is_for_the_hub_and_not_for_where_it_sends_us(hub, monkeypatch):
    hub.gated.add(PARTS.repository)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch(PARTS).read_bytes() == BLOB
    assert hub.tokens == {"hub": {f"Bearer {TOKEN}"}, "files": {None}}


# ---- what may go wrong: one sentence, and nothing under the file's name


def refused(error=WeightsError):
    with pytest.raises(error) as caught:
        fetch(PARTS)
    text = str(caught.value)
    assert "\n" not in text and PARTS.name in text and locate(PARTS) is None
    return text


def in_full(text, root, *parts):
    """Requires the name, the repository, the file and its folder; then the parts."""
    for part in (PARTS.repository, PARTS_FILE, f"{root / PARTS_TREE}".rpartition("/")[0], *parts):
        assert part in text, f"{part} is not in: {text}"


def test_a_gated_repository(hub, root):
    hub.gated.add(PARTS.repository)
    terms = f"Accept its terms at {hub.url}/{PARTS.repository} and set HF_TOKEN"
    in_full(refused(), root, "it is gated", terms)


def test_a_repository_that_is_not_there(hub, root):
    hub.files.clear()
    in_full(refused(), root, "refuses it (401)", "HF_TOKEN")


def test_a_file_that_is_not_there(hub, root):
    hub.files = {(PARTS.repository, "another.pth"): File(BLOB)}
    hub.files["facebook/sapiens", "README.md"] = File(BLOB)
    in_full(refused(), root, "the hub has no such file")


@pytest.mark.parametrize(("status", "text"), [(503, "answers 503"), (200, "is no hub")])
def test_a_hub_that_is_out_of_order(hub, root, status, text):
    hub.status = status
    in_full(refused(), root, text)


def test_a_body_that_is_too_short(hub, root):
    hub.files[PARTS.repository, PARTS_FILE] = File(BLOB, size=len(BLOB) + 1000)
    in_full(refused(), root, "arrived in another size")
    # Mended meanwhile: the rest is asked for, not all of it.
    whole = BLOB + bytes(1000)
    sha256 = hub.files[PARTS.repository, PARTS_FILE].etag
    hub.files[PARTS.repository, PARTS_FILE] = File(whole, sha256=sha256)
    in_full(refused(), root, "its checksum is wrong")  # as the hub promised another content
    assert hub.ranges() == [None, f"bytes={len(BLOB)}-"] and names(root) == [f"{PARTS_TREE}.lock"]


def test_a_body_that_is_too_long(hub, root):
    file = File(BLOB, size=len(BLOB) - 1000)
    hub.files[PARTS.repository, PARTS_FILE] = file
    in_full(refused(), root, "arrived in another size")
    file.size = None
    file.content, file.sha256 = BLOB[:-1000], file.etag
    in_full(refused(), root, "its checksum is wrong")
    assert hub.ranges() == [None, None]


def test_what_came_too_long_begins_anew(hub, root):
    right = BLOB[:-1000]
    file = File(BLOB, size=len(right), sha256=hashlib.sha256(right).hexdigest())
    hub.files[PARTS.repository, PARTS_FILE] = file
    in_full(refused(), root, "arrived in another size")
    file.content, file.size = right, None
    assert fetch(PARTS).read_bytes() == right and hub.ranges() == [None, None]


def test_a_wrong_checksum_is_forgotten(hub, root):
    file = File(BLOB, sha256="0" * 64)
    hub.files[PARTS.repository, PARTS_FILE] = file
    in_full(refused(), root, "its checksum is wrong")
    file.sha256 = None
    assert fetch(PARTS).read_bytes() == BLOB


def test_no_room(hub, root):
    hub.files[PARTS.repository, PARTS_FILE] = File(BLOB, size=2**60)
    text = refused(OutputError)
    assert "1073741824.0 GiB more" in text and str(root / "seg") in text and not hub.ranges()


def test_a_folder_that_cannot_be_made(hub, root):
    root.mkdir()
    (root / "seg").write_text("a file")
    text = refused(OutputError)
    assert str(root / "seg/checkpoints") in text and "SAPIENS_CHECKPOINT_ROOT" in text


def test_a_disk_that_is_full_while_it_writes(hub, root):
    """As when a quota ends, which nobody could know before."""
    hub.files[PARTS.repository, PARTS_FILE] = File(LARGE)
    code = f"""
import resource, signal
from mmsapiens.cli import run_main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
def main():
    {FETCH}
run_main(main)
"""
    done = processes.run(["-c", code])
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "OutputError: sapiens-1b-parts could not be written to" in done.stderr
    assert locate(PARTS) is None


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("HF_HUB_OFFLINE", "1", "HF_HUB_OFFLINE is set"),
        ("HF_ENDPOINT", "http://127.0.0.1:9", "http://127.0.0.1:9 does not answer"),
        ("HF_ENDPOINT", "huggingface.co", "HF_ENDPOINT=huggingface.co is no address such as http"),
        ("HF_ENDPOINT", "http://[", "HF_ENDPOINT=http://[ is no address"),
    ],
)
def test_without_a_hub(hub, root, variable, value, text):
    """In a process of its own, as the client reads HF_HUB_OFFLINE when it is imported."""
    code = f"from mmsapiens.cli import run_main\ndef main():\n    {FETCH}\nrun_main(main)"
    done = processes.run(["-c", code], env={variable: value})
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    in_full(done.stderr, root, text, "by hand")
    assert not hub.log
