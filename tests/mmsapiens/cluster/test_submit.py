"""``mmsapiens submit`` without a cluster: the batch script, what is frozen, what is refused."""

import argparse
import json
import os
import pickle
import re
import sys

import pytest

from engine.config import load_config
from engine.errors import ConfigError
from mmsapiens.cli import dispatch
from mmsapiens.cluster.frozen import freeze, git_state, new_folder
from mmsapiens.cluster.job import Job
from mmsapiens.cluster.settings import read_settings
from mmsapiens.commands import submit as verb
from tests.conftest import ROOT

TRIAL = "seg/synthetic_face/sapiens_tiny_synthetic_face-192x144"
INFER = ["infer", TRIAL, "w.pth", "--input", "photos", "--output", "out"]
VARIABLES = ("NUM_NODES", "GPUS_PER_NODE", "DEVICES", "MODE", "mode", "TIME", "MEM", "OUTPUT_DIR")


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """No variable of ours, the test's own folder, and no program of Slurm."""
    for name in (*VARIABLES, "RESUME_FROM", "LOAD_FROM", "CONDA_ENV", "PARTITION"):
        monkeypatch.delenv(name, raising=False)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "sh"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "out"))
    monkeypatch.chdir(tmp_path)


def program(tmp_path, name, text):
    """Puts a script in the place of a program of Slurm."""
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_batch_script(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NUM_NODES", "2")
    monkeypatch.setenv("TIME", "2-00:00:00")
    words = [TRIAL, "--dry-run", "--set", "mail-type=END", "--set", "signal=USR2@600"]
    assert dispatch(["submit", "train", *words]) == 0
    script = capsys.readouterr().out
    for line in (
        "#!/bin/bash", "#SBATCH --nodes=2", "#SBATCH --ntasks-per-node=8", "#SBATCH --time=2880",
        "#SBATCH --gpus-per-node=8", "#SBATCH --mail-type=END", "#SBATCH --signal=USR2@600",
        "#SBATCH --requeue", "#SBATCH --open-mode=append", "#SBATCH --job-name=mmsapiens",
    ):  # fmt: skip
        assert line in script.splitlines()
    folder = rf"{tmp_path}/out/slurm/\d{{4}}-\d\d-\d\d_\d\d-\d\d-\d\d"
    assert re.search(rf"^{sys.executable} -u -m submitit.core._submit {folder}$", script, re.M)
    assert "srun" not in script and "wckey" not in script
    assert not (tmp_path / "out").exists(), "nothing is written"


def test_the_batch_script_of_another_environment(tmp_path, monkeypatch, capsys):
    program(tmp_path, "python", "exit 0")
    monkeypatch.setenv("CONDA_ENV", str(tmp_path))
    assert dispatch(["submit", "train", TRIAL, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f'export PATH={tmp_path}/bin:"$PATH"' in lines
    assert any(line.startswith(f"{tmp_path}/bin/python -u -m submitit") for line in lines)


@pytest.mark.parametrize("where", [["--dry-run"], []])
def test_options_of_the_job_stand_anywhere(where, capsys):
    rest = [] if where else ["--dry-run"]
    assert dispatch(["submit", *where, "train", TRIAL, "--seed", "3", *rest]) == 0
    assert "#SBATCH" in capsys.readouterr().out


def test_an_array_of_shares(tmp_path, capsys):
    (tmp_path / "w.pth").write_text("")
    words = [TRIAL, "w.pth", "--input", "photos", "--output", "out", "--array", "3", "--flip"]
    assert dispatch(["submit", "infer", *words, "--dry-run"]) == 0
    script = capsys.readouterr().out.splitlines()
    assert "#SBATCH --array=0-2%3" in script and "#SBATCH --nodes=1" in script
    assert any(line.endswith("%A_%a_0_log.out") for line in script)


def arguments_of(words, what="train", **environ):
    """Config, path, folder and what jobs are made of."""
    from mmsapiens.cli import build_parser

    args = build_parser(what).parse_args(words)
    verb.take_environment(args, read_settings(environ), what)
    prepare = {"train": verb.of_training, "test": verb.of_test, "infer": verb.of_inference}[what]
    return prepare(args, verb.plain(args, words), 2)


def test_a_training_begins_as_the_environment_says(tmp_path):
    environ = {"TRAIN_BATCH_SIZE_PER_GPU": "3", "RESUME_FROM": "a.pth", "OUTPUT_DIR": "here"}
    cfg, _, out_dir, options = arguments_of([TRIAL, "--seed", "5"], **environ)
    assert (cfg.train_dataloader.batch_size, cfg.randomness.seed) == (3, 5)
    assert options["begin"] == ["--resume", "a.pth"] and options["go_on"] == ["--resume"]
    assert out_dir == tmp_path / "here" and options["checkpoints"] == [str(out_dir)]
    words = [TRIAL, "--load-from", "w.pth", "--cfg-options", "train_dataloader.batch_size=7"]
    words += ["--work-dir", "there", "--cfg-options", "default_hooks.checkpoint.out_dir=far"]
    cfg, _, out_dir, options = arguments_of(words, **environ)
    assert cfg.train_dataloader.batch_size == 7 and out_dir == tmp_path / "there"
    assert options["begin"] == ["--load-from", "w.pth"], "the command line comes before"
    assert options["checkpoints"][1] == "far/there"
    assert arguments_of([TRIAL], RESUME_FROM="auto")[3]["begin"] == ["--resume"]


def test_words_of_other_verbs_are_kept_but_for_what_is_frozen(tmp_path):
    words = ["--flip", TRIAL, "--cfg-options", "test_dataloader.batch_size=2", "--tta", "w.pth"]
    words = [*words[:2], "w.pth", *words[2:5]]
    cfg, _, out_dir, options = arguments_of(words, "test")
    assert cfg.test_dataloader.batch_size == 2 and out_dir.parts[-1] == "test"
    assert cfg.model.eval_dtype == "float32", "as without a cluster"
    assert options["words"] == [
        "w.pth", "--flip", "--tta", "--work-dir", str(out_dir), "--launcher", "slurm"
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["test", "infer"])
def test_an_exported_file_is_run_in_its_size(what, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "mmsapiens.export.model.read_metadata",
        lambda path: {"input": {"size_hw": [96, 64]}, "task": "seg"},
    )
    (tmp_path / "w.pth").write_text("")
    own = ["--input", "photos", "--output", "out"] if what == "infer" else []
    cfg, *_ = arguments_of([TRIAL, "w.pth", *own], what)
    assert tuple(cfg.input_size_hw) == tuple(cfg.model.backbone.img_size) == (96, 64)


def test_what_is_frozen_is_what_was_submitted(tmp_path, monkeypatch):
    config = tmp_path / "mine.py"
    base = ROOT / "configs" / f"{TRIAL}.py"
    config.write_text(f"_base_ = [{str(base)!r}]\nmax_epochs = 3\n")
    cfg, path, out_dir, _ = arguments_of([str(config), "--cfg-options", "log_level=DEBUG"])
    folder = new_folder(out_dir)
    freeze(folder, cfg, path, ["mmsapiens", "submit"], sys.executable)
    config.write_text("syntax error")
    frozen = load_config(folder / "config.py")
    assert frozen.to_dict() == cfg.to_dict()
    assert (frozen.train_cfg.max_epochs, frozen.log_level) == (3, "DEBUG")
    facts = json.loads((folder / "submission.json").read_text())
    assert facts["config"] == str(config) and facts["command"] == ["mmsapiens", "submit"]
    assert facts["environment"]["OUTPUT_DIR"] == str(tmp_path / "out")
    assert facts["versions"].keys() >= {"python", "mmsapiens", "torch", "mmengine", "submitit"}
    assert new_folder(out_dir) != new_folder(out_dir), "each submission has a folder of its own"
    assert not new_folder(out_dir, make=False).exists()


def test_the_commit_of_the_code(tmp_path):
    found = git_state(ROOT)
    assert not found or re.fullmatch(r"[0-9a-f]{40}", found["commit"])
    assert git_state(tmp_path) == {}


def test_a_job_is_pickled_as_text_that_any_python_reads(tmp_path):
    job = Job(["-c", "0"], str(tmp_path), begin=["a"], checkpoints=[str(tmp_path)])
    again = pickle.loads(pickle.dumps(job.checkpoint().function))
    assert vars(again) == vars(job) and "pathlib" not in repr(vars(job))


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["train", TRIAL], "There is no sbatch here: .*scripts/node.sh trains on this machine"),
        (["train", TRIAL, "--launcher", "slurm"], "--launcher: the job starts its ranks itself"),
        (["train", TRIAL, "--replay", "nan.pth"], "do it here, with mmsapiens train"),
        (["train", TRIAL, "--array", "2"], "--array: a train has no shares"),
        ([*INFER, "--array", "2", "--shard", "1/2"], "--array gives each job a --shard of its own"),
        (["train", TRIAL, "--set", "requeue"], "the job sets requeue itself"),
        (["train", "no/such"], "neither such a file nor a config"),
        (["follow"], "expected one folder"),
        (["follow", "out"], "nothing was submitted"),
    ],
)
def test_what_cannot_be_is_a_sentence(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        dispatch(["submit", *words])


SINFO = 'echo "debug*|n1|idle"; echo "debug*|n2|{}"; echo "gpu|n3|mixed"'


@pytest.mark.parametrize(
    "environ, options, state, sentence",
    [
        ({"PARTITION": "debgu"}, [], "idle", 'no such partition. Did you mean "debug".*debug, gpu'),
        ({}, [], "idle", r"NUM_NODES=4: partition debug has 2 nodes\. Ask for fewer"),
        ({"NUM_NODES": "2", "SBATCH_PARTITION": "gpu"}, [], "idle", "partition gpu has 1 nodes"),
        ({"NUM_NODES": "2"}, [], "down*", r"these cannot be reached: n2 \(down\*\)"),
        ({"NUM_NODES": "1"}, ["nodelist=n2"], "drained", "Node n2 .* cannot be reached.*drained"),
        ({"NUM_NODES": "1"}, ["nodelist=n9"], "idle", "there is no node n9 in partition debug"),
        ({"NUM_NODES": "2"}, [], "idle", r"Slurm refuses \(sbatch\): Invalid account\."),
        ({"NUM_NODES": "2", "SAYS": "0"}, ["test-only"], "idle", "no job, or .*: Could not make"),
    ],
)
def test_what_slurm_would_never_start_is_refused(
    environ, options, state, sentence, tmp_path, monkeypatch
):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    program(tmp_path, "sinfo", SINFO.format(state))
    program(tmp_path, "scontrol", 'echo "$3"')
    refuses = "echo 'sbatch: error: Invalid account' >&2; exit ${SAYS:-1}"
    program(tmp_path, "sbatch", f'[ "$1" = --version ] || {{ {refuses}; }}')
    sets = [word for option in options for word in ("--set", option)]
    with pytest.raises(ConfigError, match=sentence):
        dispatch(["submit", "train", TRIAL, *sets])
    assert not list(tmp_path.glob("out/slurm/*")), "nothing is left of it"


@pytest.mark.parametrize(
    "words",
    [["train", TRIAL, "--resume", "gone.pth"], ["test", TRIAL, "gone.pth"], ["train", TRIAL]],
)
def test_a_checkpoint_that_is_not_there_is_missed_before_the_job_waits(
    words, tmp_path, monkeypatch
):
    monkeypatch.setenv("NUM_NODES", "1")
    monkeypatch.setenv("LOAD_FROM", "gone.pth")
    program(tmp_path, "sinfo", SINFO.format("idle"))
    program(tmp_path, "sbatch", "exit 0")
    with pytest.raises(ConfigError, match=r"There is no checkpoint gone\.pth \(seen from"):
        dispatch(["submit", *words])
    assert not (tmp_path / "out").exists()


def test_a_training_begins_with_one_checkpoint(monkeypatch):
    monkeypatch.setenv("LOAD_FROM", "a.pth")
    monkeypatch.setenv("RESUME_FROM", "b.pth")
    with pytest.raises(ConfigError, match=r"RESUME_FROM=b\.pth and LOAD_FROM=a\.pth: .*one of"):
        dispatch(["submit", "train", TRIAL, "--dry-run"])


def test_debug_mode_runs_here(monkeypatch):
    ran = []
    monkeypatch.setattr("mmsapiens.commands.train.run", ran.append)
    for name in ("mode", "MODE"):
        monkeypatch.setenv(name, "debug")
    assert dispatch(["submit", "train", TRIAL, "--seed", "1"]) == 0
    assert ran[0].debug and ran[0].seed == 1 and ran[0].work_dir == os.environ["OUTPUT_DIR"]


@pytest.mark.parametrize(("what", "unread"), [("test", ""), ("infer", ", OUTPUT_DIR")])
def test_variables_that_have_no_effect_are_named(what, unread, capsys):
    environ = {"LOAD_FROM": "a.pth", "TRAIN_BATCH_SIZE_PER_GPU": "2", "OUTPUT_DIR": "out"}
    args = argparse.Namespace(work_dir=None)
    verb.take_environment(args, read_settings(environ), what)
    said = f"Not for {what}, and not read: LOAD_FROM, TRAIN_BATCH_SIZE_PER_GPU{unread}.\n"
    assert capsys.readouterr().err == said
    assert args.work_dir == ("out" if what == "test" else None)
