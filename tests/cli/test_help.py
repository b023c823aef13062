"""The two helps: one screen of what is used most, and everything in groups; and typing errors."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reportgen.analyses import ANALYSES
from reportgen.cli.all import commands
from reportgen.cli.command import Command
from reportgen.cli.help import grouped
from reportgen.cli.kinds import section_names
from tests.cli.conftest import Run

NAMES = list(commands.commands)


def flat(text: str) -> str:
    """A help without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
def test_the_short_help_is_one_screen_with_three_examples(name: str, run: Run) -> None:
    told = run(name, "-h")
    assert told.code == 0
    lines = told.out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    examples = told.out.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert len(examples) == 3
    assert flat(told.out).startswith(f"Usage: reportgen {name} ")


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one_of_ours_in_a_module_of_its_name(name: str) -> None:
    assert isinstance(commands.commands[name], Command)
    assert (Path(__file__).parents[2] / "reportgen" / "cli" / f"{name}.py").is_file()


def test_both_helps_of_the_whole_list_every_command(run: Run) -> None:
    for flag in ("-h", "--help"):
        told = run(flag)
        assert told.code == 0
        assert len(told.out.splitlines()) <= 40
        for name in NAMES:
            assert re.search(rf"^  {name} ", told.out, re.MULTILINE)
    assert run().code == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_long_help_has_every_flag_with_group_default_and_variable(name: str, run: Run) -> None:
    told = run(name, "--help")
    assert told.code == 0
    words = flat(told.out)
    for title, options in grouped(commands.commands[name]).items():
        assert f"\n{title}:\n" in told.out
        assert title != "Other", f"{options[0].opts[0]} is in no group"
        for option in options:
            assert all(spelling in words for spelling in option.opts)
            assert flat(option.help or "") in words
            if option.envvar:
                assert f"env: {option.envvar}" in words
            for choice in getattr(option.type, "choices", ()):
                assert choice in words


def test_the_long_help_tells_defaults(run: Run) -> None:
    words = flat(run("build", "--help").out)
    assert "statistics use all. [default: 10; env: REPORTGEN_MAX_IMAGES]" in words
    assert "--occlusion-fill [mean|gray|black|blur]" in words
    assert "[default: mean; env: REPORTGEN_OCCLUSION_FILL]" in words
    assert "[default: half the window; env: REPORTGEN_OCCLUSION_STRIDE]" in words
    assert "[required; env: REPORTGEN_COMPARE_OUTPUT]" in flat(run("compare", "--help").out)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_what_the_commands_take(name: str, run: Run) -> None:
    run("init", "-o", "nightly.toml")  # which an example reads
    command = commands.commands[name]
    assert isinstance(command, Command)
    for example in command.examples:
        line = example.partition("reportgen ")[2].partition(")")[0].partition(" > ")[0]
        ran, *words = shlex.split(line)
        with click.Context(commands) as group:
            context = commands.commands[ran].make_context(ran, words, parent=group)
        assert context.params


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from reportgen.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as left: assert not left.code, left.code\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'jinja2', 'rich', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    for words in (["-h"], ["build", "-h"], ["prune", "--help"], ["completion", "bash"]):
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["bild"], "No such command 'bild'. Did you mean 'build'? (reportgen -h shows how)"),
        (["build", "--exclud", "3"], "No such option '--exclud'. Did you mean"),
        (["compare", "--ouput", "x"], "(reportgen compare -h shows how)"),
        (["build", "m", "a", "--sections", "gradcam,gradcm"], "Did you mean gradcam?"),
        (["build", "m", "a", "--exclude", "zzz"], "no such section as zzz. There are overview, "),
        (["build", "m", "a", "--occlusion-fill", "blak"], "Did you mean black?"),
        (["completion", "bsh"], "Did you mean bash?"),
        (["build"], "Missing argument 'MODEL'."),
    ],
)
def test_a_typing_error_is_one_sentence_with_the_nearest_word(
    words: list[str], sentence: str, run: Run
) -> None:
    told = run(*words)
    assert told.code == 2
    assert sentence in told.err
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith("reportgen: ")


def test_the_sections_are_known_without_importing_them() -> None:
    assert section_names() == tuple(analysis.name for analysis in ANALYSES)
