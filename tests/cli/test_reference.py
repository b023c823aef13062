"""docs/cli.md and docs/config.md are what the code says; `make docs` writes them again."""

import re
import tomllib
from pathlib import Path

import pytest

from reportgen.cli import reference
from reportgen.cli.all import commands
from reportgen.cli.config import is_setting
from reportgen.options import Options
from tests.cli.conftest import Run

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", reference.pages())
def test_the_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == reference.pages()[name], "run `make docs`"


def test_every_command_flag_and_exit_code_is_there() -> None:
    page = reference.cli_page()
    for name, command in commands.commands.items():
        own = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[-1] in (own if is_setting(parameter) else page)
    codes = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "4", "5", "6", "7", "8", "70", "130", "143"]


def test_the_example_of_the_page_is_a_file_that_is_taken(
    run: Run, builds: list[tuple[Options, str]]
) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", reference.config_page(), re.DOTALL)
    Path("reportgen.toml").write_text(example)
    run("build")
    assert builds[0][0].mean == tuple(tomllib.loads(example)["mean"])
    assert builds[0][0].fail_on == ("dead>5%", "accuracy<0.9")
