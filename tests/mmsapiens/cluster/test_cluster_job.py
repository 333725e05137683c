"""A job starts its ranks and decides by their ends; srun and its kin are small scripts."""

import json
import os
import signal

import pytest

from mmsapiens.cluster import job, rank
from mmsapiens.cluster.job import Job, newest

SRUN = """#!/bin/sh
echo "$*" >> "$SAID"
while case $1 in --ntasks=*) num=${1#*=};; -*) ;; *) false;; esac; do shift; done
export SLURM_NTASKS=$num
pids=
for i in $(seq 0 $((num - 1))); do SLURM_PROCID=$i SLURMD_NODENAME=n$i "$@" & pids="$pids $!"; done
for pid in $pids; do wait $pid; done
"""
SCRIPTS = {
    "srun": SRUN,
    "scontrol": '#!/bin/sh\necho "scontrol $*" >> "$SAID"\n',
    "squeue": '#!/bin/sh\necho "$STATE|None"\n',
}
RANK = "import os, pathlib, signal, sys, time; r = os.environ['SLURM_PROCID']; here = sys.argv[1]\n"
ENDS = "sys.exit(int(sys.argv[1 + (r != '0')]))"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Runs a start of a job; returns exit code, and what was said to Slurm."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in SCRIPTS.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environ = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n0", "SAID": str(tmp_path / "said")}
    environ |= {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "STATE": "RUNNING"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    before = signal.getsignal(signal.SIGUSR2)

    def run(code, *words, restarts=0, state="RUNNING", **options):
        monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))
        monkeypatch.setenv("STATE", state)
        options = {"checkpoints": [str(tmp_path)], "tasks_per_node": 2, **options}
        job = Job(["-c", RANK + code, *map(str, words)], str(tmp_path), **options)
        try:
            job()
        except SystemExit as end:
            return end.code, (tmp_path / "said").read_text()
        return 0, (tmp_path / "said").read_text()

    (tmp_path / "said").write_text("")
    yield run
    signal.signal(signal.SIGUSR2, before)


def outcome(tmp_path):
    path = tmp_path / "7" / "outcome.json"
    return json.loads(path.read_text()) if path.is_file() else None


def test_all_ranks_finish(start, tmp_path):
    assert start(ENDS, 0, 0)[0] == 0
    assert outcome(tmp_path) == {"exit_code": 0, "sentence": "All ranks have finished."}


def test_ranks_know_their_place_and_meet(start, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    monkeypatch.setenv("MASTER_ADDR", "of-the-shell-that-submitted")
    names = "MASTER_ADDR MASTER_PORT OMP_NUM_THREADS CUDA_VISIBLE_DEVICES"
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    code = f"text = ' '.join(os.environ[n] for n in '{names}'.split())\n"
    code += "pathlib.Path(here, r + '.said').write_text(text)"
    _, said = start(code, tmp_path, nodes=1, on_cpu=True)
    texts = [(tmp_path / f"{rank}.said").read_text() for rank in range(2)]
    assert texts == ["n0 10007 1 "] * 2
    for option in ("--nodes=1", "--ntasks=2", "--ntasks-per-node=2", "--cpus-per-task=3"):
        assert option in said


@pytest.mark.parametrize("codes", [(75, 75), (76, "kill"), (75, 0)])
def test_what_the_cluster_ended_goes_back_into_the_queue(start, tmp_path, codes, capsys):
    code = "if 'kill' in sys.argv and r == '1': os.kill(os.getpid(), signal.SIGKILL)\n"
    found, said = start(code + ENDS, *codes)
    assert found == 75 and "scontrol requeue 7" in said
    assert outcome(tmp_path) is None
    assert capsys.readouterr().err.endswith(". The job goes back into the queue.\n")


def test_a_rank_that_leaves_no_record_was_killed(start, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rank, "SEEN_SECONDS", 0)
    code = "if r == '1': os.kill(os.getppid(), signal.SIGKILL)\n"
    start(code + ENDS, 0, 0)
    assert capsys.readouterr().err.startswith("Rank 1 ended without a word, killed or on a lost")


def test_what_slurm_has_decided_stays(start, tmp_path):
    found, said = start(ENDS, 75, 75, state="COMPLETING")
    assert found == 75 and "scontrol" not in said


def replace(tmp_path, name, *lines):
    """Puts another script in the place of one of Slurm's programs."""
    (tmp_path / "bin" / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))


def test_slurm_ends_scontrol_before_it_can_report(start, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "REQUEUE_SECONDS", (0, 0))
    replace(tmp_path, "squeue", "echo 'RUNNING|None'")
    ends = f"sed -i s/RUNNING/COMPLETING/ {tmp_path}/bin/squeue; kill -9 $$"
    replace(tmp_path, "scontrol", 'echo "scontrol $*" >> "$SAID"', ends)
    found, said = start(ENDS, 75, 75)
    assert found == 75 and said.count("scontrol requeue") == 1 and outcome(tmp_path) is None


def test_a_controller_that_does_not_answer_is_asked_again(start, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "REQUEUE_SECONDS", (0, 0))
    up = tmp_path / "up"
    replace(tmp_path, "squeue", f"[ -e {up} ] || {{ touch {up}; exit 1; }}", "echo RUNNING")
    found, said = start(ENDS, 75, 75)
    assert found == 75 and "scontrol requeue 7" in said and outcome(tmp_path) is None
    replace(tmp_path, "scontrol", "echo 'scontrol: error: disabled' >&2; exit 1")
    start(ENDS, 75, 75)
    assert "Slurm refuses (scontrol): disabled. Submit it again" in outcome(tmp_path)["sentence"]


def test_a_crash_ends_the_job_and_is_the_last_line(start, tmp_path, capsys):
    code = "if r == '1': pathlib.Path(os.environ['MMSAPIENS_ERROR_FILE']).write_text('No data.')\n"
    found, said = start(code + ENDS, 76, 1)
    last = capsys.readouterr().err.splitlines()[-1]
    assert found == 1 and "scontrol" not in said
    assert last.startswith("Rank 1 on n1 ended with exit code 1: No data. Not requeued: ")
    assert outcome(tmp_path) == {"exit_code": 1, "sentence": last}


def test_a_later_start_goes_on_from_what_this_job_has_saved(start, tmp_path):
    code = "pathlib.Path(here, 'words').write_text(' '.join(sys.argv[2:])); sys.exit(75)"
    (tmp_path / "epoch_9.pth").write_text("of an earlier training")
    options = {"begin": ["--load-from", "w.pth"], "go_on": ["--resume"], "tasks_per_node": 1}
    start(code, tmp_path, **options)
    start(code, tmp_path, restarts=1, **options)
    assert (tmp_path / "words").read_text() == "--load-from w.pth", "nothing new was saved"
    (tmp_path / "iter_4.pth").touch()
    start(code, tmp_path, restarts=2, **options)
    assert (tmp_path / "words").read_text() == "--resume"


def test_without_progress_a_job_stops_before_it_starts_its_ranks(start, tmp_path, capsys):
    assert start(ENDS, 75, 75)[0] == 75
    found, _ = start(ENDS, 75, 75, restarts=1)
    assert found == 75, "its exit code is that of its ranks"
    assert "no progress since it was requeued: no checkpoint" in outcome(tmp_path)["sentence"]
    (tmp_path / "said").write_text("")
    found, said = start(ENDS, 75, 75, restarts=2)  # of somebody's scontrol requeue
    assert (found, said) == (1, "")
    assert capsys.readouterr().err.splitlines()[-1].startswith("The job stops: it has made no pro")


def test_a_job_goes_back_as_often_as_it_may(start, tmp_path):
    options = {"checkpoints": [], "max_requeues": 2}
    assert start(ENDS, 75, 75, restarts=1, **options)[0] == 75 and outcome(tmp_path) is None
    (tmp_path / "said").write_text("")
    assert "scontrol" not in start(ENDS, 75, 75, restarts=2, **options)[1]
    assert "requeued 2 times, as --max-requeues allows" in outcome(tmp_path)["sentence"]


def test_the_newest_checkpoint_is_that_written_last(tmp_path):
    assert newest([str(tmp_path)]) == ("", 0)
    for time, name in enumerate(
        ["iter_9.pth", "epoch_2.pth", "best_epoch_3.pth", "iter_10.pth.tmp"]
    ):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(time, time))
    assert newest([str(tmp_path), str(tmp_path / "none")]) == ("epoch_2.pth", 1)
