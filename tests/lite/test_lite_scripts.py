"""scripts/lite with the release's variables."""

import os
import subprocess

import pytest

from tests.conftest import ROOT

SCRIPTS = {
    "seg": ("vis_seg", "*"),
    "depth": ("vis_depth", "*"),
    "normal": ("vis_normal", "*"),
    "pretrain": ("extract_feature", "*"),
    "keypoints17": ("vis_pose", "sapiens_1b_coco_best_coco_AP_821"),
    "keypoints133": ("vis_pose", "sapiens_1b_coco_wholebody_best_coco_wholebody_AP_727"),
    "keypoints308": ("vis_pose", "sapiens_1b_goliath_best_goliath_AP_639"),
}


@pytest.fixture
def run(tmp_path):
    """Runs a script with a Python that writes its words and the GPU to a file, and ends in CODE."""
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\nprintf "%s " "${CUDA_VISIBLE_DEVICES-none}" "$@" >>"$LOG.$$"\n'
        'case "$*" in *"--shard $BAD"*) exit 1;; esac\n'
    )
    python.chmod(0o755)

    def start(script, *words, **variables):
        for old in tmp_path.glob("log.*"):
            old.unlink()
        env = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
        env |= {"PYTHON": str(python), "INPUT": "in", "LOG": str(tmp_path / "log"), "BAD": "none"}
        command = [ROOT / f"scripts/lite/{script}.sh", *words]
        done = subprocess.run(
            command, env={**env, **variables}, cwd=tmp_path, capture_output=True, text=True
        )
        jobs = sorted(path.read_text().strip() for path in tmp_path.glob("log.*"))
        return done, jobs

    return start


def test_each_script_has_a_tool():
    found = {path.stem for path in (ROOT / "scripts/lite").glob("*.sh")} - {"infer"}
    assert found == SCRIPTS.keys()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("mode", ["torchscript", "bfloat16", "onnx"])
def test_the_file_of_a_mode_is_found(run, tmp_path, script, mode):
    tool, _ = SCRIPTS[script]
    kind = "pose" if tool == "vis_pose" else script
    place = tmp_path / "root" / (mode if script == "seg" else "") / kind
    place = place / "checkpoints/sapiens_1b"
    place.mkdir(parents=True)
    stems = [n for t, n in SCRIPTS.values() if t == "vis_pose"] if kind == "pose" else ["model"]
    for stem in stems:
        for ending in ("_torchscript.pt2", "_bfloat16.pt2", ".onnx"):
            (place / f"{stem}{ending}").touch()
    root = {"SAPIENS_LITE_CHECKPOINT_ROOT": str(tmp_path / "root"), "MODE": mode}
    done, (job,) = run(script, "--fp16", **root)
    assert done.returncode == 0, done.stderr
    words = job.split()
    ending = ".onnx" if mode == "onnx" else f"_{mode}.pt2"
    stem = SCRIPTS[script][1] if kind == "pose" else "model"
    assert words[1].endswith(f"lite/demo/{tool}.py") and words[2] == str(place / f"{stem}{ending}")
    assert " --output_root results/" in job and "/sapiens_1b " in job and words[-1] == "--fp16"
    (place / f"{stem}{ending}").unlink()
    done, _ = run(script, **root)
    assert done.returncode == 2 and "0 files are" in done.stderr


def test_jobs_run_on_the_gpus_and_their_exit_codes_are_kept(run):
    variables = {"CHECKPOINT": "m.pt2", "TOTAL_GPUS": "2", "JOBS_PER_GPU": "2"}
    variables |= {"BATCH_SIZE": "8", "SEG_DIR": "masks", "OUTPUT": "out", "MODEL_NAME": "mine"}
    done, jobs = run("normal", VALID_GPU_IDS="(5 3 1)", **variables)
    assert done.returncode == 0
    assert [(job.split()[0], job.split()[-1]) for job in jobs] == [
        ("3", "2/4"), ("3", "4/4"), ("5", "1/4"), ("5", "3/4"),
    ]  # fmt: skip
    assert all(
        "m.pt2 --input in --output_root out/mine --batch_size 8 --seg_dir masks" in job
        for job in jobs
    )
    done, jobs = run("normal", **variables, BAD="3/4")
    assert done.returncode == 1 and len(jobs) == 4 and jobs[0].startswith("0 ")
    done, jobs = run("normal", **variables, VALID_GPU_IDS="1")
    assert done.returncode == 2 and "VALID_GPU_IDS are 1" in done.stderr and not jobs


def test_keypoints_get_their_variables(run):
    variables = {"RADIUS": "6", "LINE_THICKNESS": "3", "KPT_THRES": "0.5"}
    done, (job,) = run("keypoints308", CHECKPOINT="m", DETECTION_CHECKPOINT="det", **variables)
    assert done.returncode == 0
    given = "--num_keypoints 308 --det_checkpoint det --radius 6 --thickness 3 --kpt_thr 0.5"
    assert given in job


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"INPUT": ""}, "SAPIENS_LITE_CHECKPOINT_ROOT"),
        ({}, "set CHECKPOINT"),
        ({"CHECKPOINT": "m", "MODE": "fast"}, "MODE=fast is none of"),
        ({"CHECKPOINT": "m", "LITE_ROOT": "nowhere"}, "set LITE_ROOT"),
    ],
)
def test_what_is_missing_is_said(run, variables, said):
    done, jobs = run("seg", **variables)
    assert done.returncode == 2 and said in done.stderr + done.stdout and not jobs
