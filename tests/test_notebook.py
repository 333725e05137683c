"""The notebook runs as it stands, with fewer epochs."""

import json
import shlex

from tests import processes
from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "first_steps.ipynb"


def test_the_cells_run_in_their_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "max_epochs=20" in text
    cells = json.loads(text.replace("max_epochs=20", "max_epochs=1"))["cells"]
    names: dict = {}
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        if source.startswith("!"):
            for line in source.splitlines():
                words = shlex.shlex(line.removeprefix("!"), posix=True, punctuation_chars=True)
                words.whitespace_split = True  # brackets without quotes are words, as in a shell
                done = processes.run(["-m", *words], tmp_path)
                assert done.returncode == 0, done.stderr[-2000:]
        else:
            exec(compile(source, str(NOTEBOOK), "exec"), names)
    printed = capsys.readouterr().out
    assert "(128, 128) uint8" in printed and "the same labels: True" in printed
    assert len(names["shares"]) == 10
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "000250.npy", "000250.png", "000250_seg.npy"
    }  # fmt: skip
