"""The commands of the README and of docs/ work as they stand there."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from engine.config import load_config
from engine.runner import Runner
from mmsapiens.cli import VERBS, build_parser, command_of
from mmsapiens.commands import submit
from mmsapiens.commands.configs import load
from mmsapiens.shipped import find_config
from mmsapiens.zoo import RELEASED
from tests import processes
from tests.conftest import TINIEST_ARCH, face_options

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- needs: .*? -->\n)?```bash\n(.*?)```", re.DOTALL)


def commands(page, runnable_only=False):
    """The commands of a page, as lists of words; comments are left out."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = [
        line for needs, block in blocks if not (needs and runnable_only)
        for line in block.replace("\\\n", " ").splitlines()
    ]  # fmt: skip
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def help_commands(verb):
    """The commands of a verb's help."""
    lines = command_of(verb).__doc__.splitlines()
    return [shlex.split(x, comments=True) for x in lines if x.strip().startswith("mmsapiens ")]


ALL = [
    *((page.name, words) for page in PAGES for words in commands(page)),
    *((f"{verb} --help", words) for verb in VERBS for words in help_commands(verb)),
]


@pytest.mark.parametrize(
    "page, words", ALL, ids=lambda value: "" if isinstance(value, list) else value
)
def test_every_command_is_one(page, words):
    words = [w for w in words if not re.fullmatch(r"[A-Z_]+=\S*", w)]  # DEVICES=0,1 scripts/...
    if words[0].startswith("scripts/"):
        assert (ROOT / words[0]).is_file(), f"{page} names {words[0]}, which does not exist"
        submits = words[0] == "scripts/slurm.sh"
        words = ["mmsapiens", *["submit"] * submits, "train", *words[1:]]
    assert words[0] in ("mmsapiens", "make", "pip", "export"), f"{page}: what is {words[0]}?"
    if words[0] != "mmsapiens" or len(words) == 1:
        return
    args = build_parser(words[1]).parse_args(words[2:])
    if words[1] == "submit" and args.what != "follow":
        args = build_parser(args.what).parse_args(submit.split(args)[1])
    if "config" in args and not args.config.endswith("CONFIG"):
        is_name = args.config in RELEASED
        name = RELEASED[args.config].config if is_name else args.config
        load_config(find_config(name), args.cfg_options)


def test_every_verb_in_the_text_is_one():
    for page in PAGES:
        for verb in re.findall(r"`mmsapiens ([a-z-]+)", page.read_text(encoding="utf-8")):
            assert verb in VERBS, f"{page.name} names the verb {verb}"


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "README.md"], ids=lambda p: p.name)
def test_the_commands_run(page, tmp_path):
    for words in commands(page, runnable_only=True):
        assert words[0] == "mmsapiens", f"{page.name}: {words} needs a line on what it needs"
        done = processes.run(["-m", *words], tmp_path)
        assert done.returncode == 0, (
            f"{shlex.join(words)}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
        )


ONE_LINES = re.findall(
    r"^\| (?!what|-)(.+?) \| .*?`(.+?)` \|$",
    (ROOT / "docs" / "training.md").read_text().partition("## One line each")[2],
    re.MULTILINE,
)
EFFECTS = {
    "gradient accumulation": lambda runner: runner.optim_wrapper._accumulative_counts == 4,
    "exponential moving average": lambda runner: (
        [hook.ema_model.steps for hook in runner.hooks if type(hook).__name__ == "EMAHook"] == [2]
    ),
    "compile each block": lambda runner: all(
        block._compiled_call_impl for block in runner.model.backbone.layers
    ),
    "activation checkpointing": lambda runner: (
        runner.model.backbone.activation_checkpointing
        and runner.model.decode_head.activation_checkpointing
    ),
    "cosine instead of linear decay": lambda runner: (
        "CosineAnnealingLR" in [type(s).__name__ for s in runner.param_schedulers]
    ),
    "layer-wise decay": lambda runner: (
        runner.optim_wrapper.param_groups[0]["initial_lr"]
        == pytest.approx(3e-3 * 0.9 ** (runner.model.backbone.num_layers + 1))
    ),
    "gradient clipping": lambda runner: runner.optim_wrapper.clip_grad_kwargs["max_norm"] == 0.5,
}
"""What each line of the table does to a training."""


def test_every_line_has_an_effect():
    assert [what for what, _ in ONE_LINES] == list(EFFECTS)


@pytest.mark.parametrize(("what", "line"), ONE_LINES)
def test_one_line_each(what, line, faces_dir, tmp_path):
    """Each runs as it stands, in a training of two steps."""
    config = ROOT / "configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py"
    is_option = "=" in line
    if not is_option:
        bases = [str(config), str(ROOT / "configs" / "_base_" / line)]
        config = tmp_path / "config.py"
        config.write_text(f"_base_ = {bases}")
    options = {
        **face_options(faces_dir),
        "train_cfg.max_epochs": 1,
        "train_dataloader.dataset.indices": 8,
        "val_dataloader.dataset.indices": 1,
        "input_size_hw": (64, 48),
        "model.backbone.arch": TINIEST_ARCH,
    }
    words = [f"{key}={value!r}" for key, value in options.items()] + [line] * is_option
    args = build_parser("train").parse_args([str(config), "--cfg-options", *words])
    cfg = load(args)
    cfg.work_dir = cfg.experiment_name = str(tmp_path / "work")
    cfg.launcher = "none"
    runner = Runner.from_cfg(cfg)
    with torch.compiler.set_stance("force_eager"):  # what is compiled has tests of its own
        runner.train()
    assert runner.iter == 2 and EFFECTS[what](runner)


def test_links_lead_to_files():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
