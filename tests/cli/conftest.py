"""How the tests run a command in an empty folder, and what a build would have been told."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from reportgen.cli import main
from reportgen.options import Options


class Told(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Told]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def told(*words: object) -> Told:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        return Told(int(left.value.code or 0), *capsys.readouterr())

    return told


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Options, str]]:
    """The options and the printed command of each build, none of which is done."""
    seen: list[tuple[Options, str]] = []

    def build(options: Options, progress: object, *, command: str, team: object) -> None:
        seen.append((options, command))
        raise KeyboardInterrupt

    monkeypatch.setattr("reportgen.pipeline.build", build)
    return seen
