"""The commands of the README and of docs/ work as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config import load_config

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


ALL = [(page.name, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(
    "page, words", ALL, ids=lambda value: "" if isinstance(value, list) else value
)
def test_every_tool_option_and_config_exists(page, words):
    words = [w for w in words if not re.fullmatch(r"[A-Z_]+=\S*", w)]  # DEVICES=0,1 scripts/...
    for word in words:
        if word.startswith(("tools/", "scripts/", "configs/")):
            assert (ROOT / word).is_file(), f"{page} names {word}, which does not exist"
        if word.startswith("configs/"):
            load_config(ROOT / word)
    if len(words) > 1 and words[0] == "python":
        source = (ROOT / words[1]).read_text()
        options = {w.split("=")[0] for w in words if w.startswith("--")}
        # Options of sub-commands may stand in the package that the tool is a face of.
        package = "\n".join(p.read_text() for p in (ROOT / "engine").rglob("*.py"))
        unknown = [o for o in options if f'"{o}"' not in source and f'"{o}"' not in package]
        assert not unknown, f"{page}: {words[1]} has no {unknown}"


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "README.md"], ids=lambda p: p.name)
def test_the_commands_run(page, tmp_path):
    for name in ("tools", "scripts", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    for words in commands(page, runnable_only=True):
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, (
            f"{shlex.join(words)}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
        )


def test_links_lead_to_files():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
