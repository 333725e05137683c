"""The commands of lite/README.md are ones."""

import re
import shlex

import pytest

from tests.conftest import ROOT

BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "lite/README.md").read_text(), re.DOTALL)
COMMANDS = [shlex.split(line) for block in BLOCKS for line in block.splitlines()]
TOOLS = [words for words in COMMANDS if words[0] == "python"]


def test_files_that_are_named_are_there():
    assert len(TOOLS) >= 6
    for words in COMMANDS:
        named = [w for w in words if re.match(r"(\./|\.\./)(demo|scripts)/|requirements", w)]
        assert named and all((ROOT / "lite" / name).is_file() for name in named), words


@pytest.mark.parametrize("words", TOOLS, ids=lambda words: words[1])
def test_options_are_known_and_values_are_taken(words, lite, capfd, tmp_path):
    """Each gets as far as its input, which is not there."""
    tool = words[1].removeprefix("./demo/").removesuffix(".py")
    place = words.index("--input") + 1
    given = [*words[2:place], tmp_path / "none", *words[place + 1 :]]
    root = given.index("--output_root") + 1
    given[root] = tmp_path / "out"
    assert lite(tool, *given) == 2
    assert f"--input {tmp_path / 'none'} does not exist" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
