"""`reportgen init`: every setting, each with its default, and nothing replaced."""

import re
import tomllib
from pathlib import Path

from reportgen.cli.all import commands
from reportgen.cli.config import is_setting, is_shared, key_of, with_settings
from reportgen.options import Options
from tests.cli.conftest import Run


def uncommented() -> None:
    """Make every setting of the written file count."""
    file = Path("reportgen.toml")
    file.write_text(re.sub(r"^#(?=[a-z-]+ = )", "", file.read_text(), flags=re.MULTILINE))


def test_the_file_sets_nothing(run: Run, builds: list[tuple[Options, str]]) -> None:
    told = run("init")
    assert (told.code, told.out) == (0, "reportgen.toml\n")
    assert not any(tomllib.loads(Path("reportgen.toml").read_text()).values())
    run("build", "m.pth", "a")
    assert builds[0][0] == Options(Path("m.pth"), (Path("a"),))


def test_with_its_comments_taken_away_it_says_every_default(
    run: Run, builds: list[tuple[Options, str]]
) -> None:
    run("init")
    uncommented()
    table = tomllib.loads(Path("reportgen.toml").read_text())
    for name, command in with_settings(commands).items():
        keys = {
            key_of(one)
            for one in command.params
            if is_setting(one) and (name == "build" or not is_shared(one))
        }
        found = table.get(name, {}) if name != "build" else table
        assert {key for key, value in found.items() if not isinstance(value, dict)} == keys
    run("build", "m.pth", "a")
    assert builds[0][0] == Options(Path("m.pth"), (Path("a"),))


def test_nothing_is_replaced(run: Run) -> None:
    Path("reportgen.toml").write_text("seed = 1\n")
    told = run("init")
    assert told.code == 6
    assert told.err == (
        "reportgen: reportgen.toml is there already; change that, or give another file with -o\n"
    )
    assert Path("reportgen.toml").read_text() == "seed = 1\n"
    assert run("init", "-o", "other.toml").out == "other.toml\n"
    assert run("init", "-o", "nowhere/other.toml").code == 6


def test_settings_of_the_project_are_not_hidden(run: Run) -> None:
    Path("pyproject.toml").write_text("[tool.reportgen]\nseed = 1\n")
    told = run("init")
    assert told.code == 6
    assert "pyproject.toml holds settings already" in told.err
    assert not Path("reportgen.toml").exists()
    assert run("init", "-o", "other.toml").code == 0
