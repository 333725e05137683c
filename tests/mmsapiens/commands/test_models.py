"""The list of released models."""

from mmsapiens.zoo import RELEASED
from tests.mmsapiens.commands.conftest import run_verb
from tests.mmsapiens.hub_server import File, Hub

FILE = "seg/checkpoints/sapiens_1b/sapiens_1b_goliath_best_goliath_mIoU_7994_epoch_151.pth"


def test_all_models_and_what_is_on_the_disk(tmp_path):
    path = tmp_path / "weights" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(2**20 * 52))
    done = run_verb(tmp_path, "models", SAPIENS_CHECKPOINT_ROOT="weights")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-2]] == list(RELEASED)
    (line,) = (line for line in lines if line.startswith("sapiens-1b-parts"))
    assert line.split() == [
        *("sapiens-1b-parts", "parts", "mIoU", "79.94"),
        *("seg/goliath/sapiens_1b_goliath-1024x768", FILE, "(0.1", "GiB)"),
    ]
    assert lines[-1].startswith("1 of 26 are below weights.") and "CC-BY-NC 4.0" in lines[-1]


def test_one_model(tmp_path):
    done = run_verb(tmp_path, "models", "sapiens-0.3b-pose-308", SAPIENS_CHECKPOINT_ROOT="nowhere")
    for text in (
        "pose/goliath/sapiens_0.3b_goliath-1024x768",
        "AP 57.3",
        "not below nowhere",
        "facebook/sapiens-pose-0.3b/sapiens_0.3b_goliath_best_goliath_AP_575.pth",
        "facebook/sapiens-pose-0.3b-torchscript/sapiens_0.3b_goliath_best_goliath_AP_573_torch",
    ):
        assert text in done.stdout


def test_a_model_is_downloaded(tmp_path):
    name = FILE.rpartition("/")[2]
    with Hub({("facebook/sapiens-seg-1b", name): File(b"weights")}) as hub:
        env = {"HF_ENDPOINT": hub.url, "SAPIENS_CHECKPOINT_ROOT": "weights"}
        done = run_verb(tmp_path, "models", "sapiens-1b-parts", "--download", **env)
    assert done.returncode == 0 and f"weights      weights/{FILE}" in done.stdout
    assert (tmp_path / "weights" / FILE).read_bytes() == b"weights"


def test_what_makes_no_sense(run):
    for words, text in (
        (("sapiens-1b-part",), "Did you mean 'sapiens-1b-parts'?"),
        (("--download",), "need the NAME of a model"),
        (("sapiens-1b-parts", "--torchscript"), "says what to --download"),
    ):
        done = run("models", *words)
        assert done.returncode == 2 and text in done.stderr
