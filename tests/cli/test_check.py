"""`reportgen check`: files against their hashes, links against what is there."""

import shutil
from pathlib import Path

import pytest

from reportgen.write import write_site
from tests.cli.conftest import Run

INDEX = (
    '<h1 id="top">T</h1><a href="layers/a.html#unit-3">3</a>'
    '<a href="layers/a.html#c=9&amp;i=x">9</a>'
    '<a href="#top">up</a><a href="https://example.org/x.html">away</a><img src="img/a%20b.png">'
    '<a href="mailto:a@b">mail</a><a href="../beside.html#here">beside</a>'
)


@pytest.fixture
def site(run: Run) -> Path:
    Path("beside.html").write_text('<p id="here">')
    files = {
        "index.html": INDEX,
        "layers/a.html": '<h2 id="unit-3">3</h2><a href="../index.html">home</a>',
        "report.json": "{}",
        "img/a_b.png": "picture",
    }
    content = {name: text.replace("a%20b", "a%5Fb").encode() for name, text in files.items()}
    write_site(content.items(), Path("report"))
    return Path("report")


def test_a_whole_report_is_in_order(site: Path, run: Run) -> None:
    assert run("check") == (0, "4 files and 6 links are in order\nreport\n", "")


def test_what_is_not_as_it_was_is_listed(site: Path, run: Run) -> None:
    (site / "img/a_b.png").unlink()
    (site / "report.json").write_text("{ }")
    (site / "layers/a.html").write_text('<h2 id="unit-4">4</h2><a href="b.html">b</a>')
    Path("beside.html").unlink()
    told = run("check", "report")
    assert told.code == 6
    assert told.out.splitlines() == [
        "img/a_b.png: cannot be read (no such file or directory)",
        "layers/a.html: was changed since it was written",
        "report.json: was changed since it was written",
        "index.html: ../beside.html#here leads to no file",
        "index.html: img/a%5Fb.png leads to no file",
        "index.html: layers/a.html#unit-3 leads to no place in a.html",
        "layers/a.html: b.html leads to no file",
    ]
    assert told.err == (
        "reportgen: report is not whole (see above): of 4 files and 6 links 7 are not in order;"
        " build or render it again\n"
    )


def test_a_folder_that_holds_no_report_is_told(run: Run) -> None:
    told = run("check", "nowhere")
    assert (told.code, told.out) == (2, "")
    assert "nowhere holds no report" in told.err


def test_a_real_report_is_in_order_before_and_after_it_moves(
    lenet_report: Path, run: Run, tmp_path: Path
) -> None:
    assert run("check", lenet_report).code == 0
    shutil.copytree(lenet_report, tmp_path / "else where")
    told = run("check", "else where")
    assert (told.code, told.err) == (0, "")
    assert int(told.out.split()[3].replace(",", "")) > 500
