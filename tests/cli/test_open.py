"""`reportgen open`: the first page in a browser, and its path where there is none."""

import webbrowser
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_the_first_page_is_opened_and_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)))
    for name in ("report", "my site"):
        Path(name).mkdir()
        Path(name, "index.html").write_text("<p>")
    Path("single file.html").write_text("<p>")
    assert run("open") == (0, "report/index.html\n", "")
    assert run("open", "my site") == (0, "my site/index.html\n", "")
    assert run("open", "single file.html") == (0, "single file.html\n", "")
    names = ["report/index.html", "my site/index.html", "single file.html"]
    assert opened == [(tmp_path / name).as_uri() for name in names]


def test_what_is_not_there_is_not_opened(run: Run) -> None:
    told = run("open", "nowhere")
    assert (told.code, told.out) == (2, "")
    assert "nowhere is not there" in told.err
