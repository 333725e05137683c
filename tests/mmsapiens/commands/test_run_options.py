"""What the options of ``train`` and ``test`` make of a config, up to the run itself."""

from pathlib import Path

import pytest

from engine.errors import ConfigError, NonFiniteError
from engine.runner import Runner
from mmsapiens.cli import dispatch
from mmsapiens.commands import train
from mmsapiens.commands.configs import default_dir
from tests.conftest import TINIEST_ARCH, face_options

CONFIG = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"


class Begun(Exception):
    """A run would begin; its config is the argument."""


@pytest.fixture
def config_of(faces_dir, monkeypatch, tmp_path):
    """Runs a verb up to where the run begins; returns the config."""

    def begin(cfg):
        raise Begun(cfg)

    monkeypatch.setattr(Runner, "from_cfg", begin)
    monkeypatch.setattr(train, "stop_before_training", lambda: None)  # it is pytest's process
    monkeypatch.chdir(tmp_path)
    for name in ("a.pth", "b.pth"):
        Path(name).touch()

    def run(verb, *words, options=()):
        settings = {"input_size_hw": (64, 48), **face_options(faces_dir), **dict(options)}
        pairs = [f"{key}={value}".replace(" ", "") for key, value in settings.items()]
        with pytest.raises(Begun) as begun:
            dispatch([verb, CONFIG, *map(str, words), "--cfg-options", *pairs])
        return begun.value.args[0]

    return run


def test_what_a_training_does_unless_it_is_told(config_of):
    cfg = config_of("train")
    assert (cfg.resume, cfg.load_from, cfg.launcher) == (False, None, "none")
    assert cfg.work_dir == str(Path("work_dirs", CONFIG)) == str(default_dir(CONFIG))
    assert cfg.train_dataloader.batch_size == 4


@pytest.mark.parametrize(
    ("words", "resume", "load_from"),
    [
        (["--resume"], True, None),
        (["--resume", "a.pth"], True, "a.pth"),
        (["--load-from", "a.pth"], False, "a.pth"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"load_from": "b.pth"}])
def test_where_a_training_begins(config_of, words, resume, load_from, options):
    cfg = config_of("train", *words, options=options)
    assert (cfg.resume, cfg.load_from) == (resume, load_from)


def test_the_configs_checkpoint_counts_if_no_other_is_given(config_of):
    cfg = config_of("train", options={"load_from": "b.pth"})
    assert (cfg.resume, cfg.load_from) == (False, "b.pth")


@pytest.mark.parametrize("verb", ["train", "test"])
def test_the_work_dir_is_the_command_lines_then_the_configs(config_of, verb):
    words = [] if verb == "train" else ["a.pth"]
    options = {"work_dir": "mine"}
    expected = "mine" if verb == "train" else str(Path("mine/test"))
    assert config_of(verb, *words, options=options).work_dir == expected
    assert config_of(verb, *words, "--work-dir", "here", options=options).work_dir == "here"


def test_the_seed_is_the_command_lines(config_of):
    assert config_of("train", "--seed", 0).randomness.seed == 0
    assert config_of("train", "--seed", 7).randomness.seed == 7


def test_debugging_has_no_workers_and_one_sample(config_of):
    workers = {f"{s}_dataloader.num_workers": 2 for s in ("train", "val", "test")}
    workers |= {f"{s}_dataloader.persistent_workers": True for s in ("train", "val", "test")}
    plain, debugged = (config_of("train", *words, options=workers) for words in ([], ["--debug"]))
    loaders = ("train_dataloader", "val_dataloader", "test_dataloader")
    assert {(plain[n].num_workers, plain[n].persistent_workers) for n in loaders} == {(2, True)}
    found = [(debugged[n].num_workers, debugged[n].persistent_workers) for n in loaders]
    assert found == [(0, False)] * 3
    assert [debugged[n].batch_size for n in loaders] == [1, 4, 4]


def test_a_training_for_debugging_needs_no_evaluation(config_of):
    sections = ("dataloader", "cfg", "evaluator")
    none = {f"{split}_{section}": None for split in ("val", "test") for section in sections}
    cfg = config_of("train", "--debug", options=none)
    assert cfg.train_dataloader.batch_size == 1 and cfg.val_dataloader is None


def test_what_a_test_does_unless_it_is_told(config_of):
    cfg = config_of("test", "a.pth", options={"allow_missing": "decode_head", "resume": True})
    assert (cfg.load_from, cfg.resume, cfg.allow_missing) == ("a.pth", False, ())
    assert cfg.work_dir == str(Path("work_dirs", CONFIG, "test"))
    assert cfg.model.eval_dtype == "float32" and "test_views" not in cfg.model
    assert not any(hook["type"] == "PicturesHook" for hook in cfg.custom_hooks)


def test_what_a_test_writes(config_of):
    cfg = config_of("test", "a.pth", "--out", "labels", "--show-dir", "pictures")
    written = {hook["type"]: hook for hook in cfg.custom_hooks}
    assert written["PredictionsHook"]["out_dir"] == "labels"
    assert written["PicturesHook"]["show_dir"] == "pictures"
    assert [hook["type"] for hook in cfg.custom_hooks].count("PicturesHook") == 1


@pytest.mark.parametrize("words", [["--flip"], ["--tta"]])
def test_views_of_a_test(config_of, words):
    views = config_of("test", "a.pth", *words).model.test_views
    assert views.flip and (len(views.get("scales", (1.0,))) > 1) == (words == ["--tta"])


def test_the_checkpoint_to_begin_with_must_be_there(config_of):
    with pytest.raises(ConfigError, match=r'load_from: there is no file "none\.pth"'):
        config_of("train", "--load-from", "none.pth")


def test_a_saved_batch_is_run_again(faces_dir, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(train, "stop_before_training", lambda: None)
    monkeypatch.chdir(tmp_path)
    settings = {"input_size_hw": (64, 48), **face_options(faces_dir), "custom_hooks": []}
    settings |= {"visualizer.vis_backends": [], "model.decode_head.loss_decode.loss_weight": 1e300}
    settings["model.backbone.arch"] = TINIEST_ARCH
    pairs = [f"{key}={value}".replace(" ", "") for key, value in settings.items()]
    words = ["train", CONFIG, "--work-dir", "run", "--cfg-options", *pairs]
    with pytest.raises(NonFiniteError):
        dispatch(words)
    before = sorted(Path("run").rglob("*.pth"))
    capsys.readouterr()
    assert dispatch([*words[:4], "--replay", "run/nan_batch.pth", *words[4:]]) is None
    assert "decode.loss_ce" in capsys.readouterr().out
    assert sorted(Path("run").rglob("*.pth")) == before, "nothing is trained"
