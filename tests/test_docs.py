"""The commands that the documents show are commands that there are."""

import re
import shlex
from pathlib import Path

import click
import pytest

from reportgen.cli import commands

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shown(page: Path) -> list[list[str]]:
    """The words of every command line of ours that a page shows."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"(?:^ +|`)(reportgen [a-z]+ [^`\n]+)", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_flag_shown_is_one_of_its_command(page: Path) -> None:
    for words in shown(page):
        command = commands.get_command(click.Context(commands), words[1])
        assert command is not None, words
        parameters = command.get_params(click.Context(command))
        known = {name for parameter in parameters for name in parameter.opts}
        flags = {word for word in words[2:] if re.match(r"--?[a-zA-Z]", word)}
        assert flags <= known, words


def test_the_workflow_uses_gates_a_summary_and_a_page() -> None:
    (words,) = [words for words in shown(ROOT / "docs/ci.md") if words[1] == "build"]
    flags = {"--fail-on", "--summary-file", "--summary-base", "-o"}
    assert flags <= set(words)
