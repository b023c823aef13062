"""The Python that the documents show is run as it stands, page by page, from top to bottom."""

import re
from pathlib import Path

import pytest

from tests.conftest import SAMPLES

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNS = (
    ("README.md", "docs/papers.md"),
    ("docs/python.md", "docs/report-schema.md", "docs/compare-schema.md"),
)
"Pages that are read one after the other, in one folder."


def test_every_page_with_an_example_is_run() -> None:
    pages = (path for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    shown = {path.relative_to(ROOT).as_posix() for path in pages if BLOCK.search(path.read_text())}
    assert shown == {page for run in RUNS for page in run}


def run_examples(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "example"}
    for found in BLOCK.finditer(text):
        # Blank lines in front, so that an error names the line of the page.
        lines = "\n" * text.count("\n", 0, found.start(1))
        exec(compile(lines + found[1], page, "exec"), names)


@pytest.mark.parametrize("pages", RUNS, ids=lambda pages: pages[0])
@pytest.mark.slow
def test_the_examples_run(
    pages: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sample in SAMPLES.iterdir():
        (tmp_path / sample.name).symlink_to(sample)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for page in pages:
        run_examples(page)
    assert (tmp_path / "report" / "index.html").is_file()
    if "docs/python.md" in pages:
        assert (tmp_path / "changes" / "compare.json").is_file()
        names = sorted(path.name for path in (tmp_path / "reports").iterdir())
        assert names == ["step-000000", "step-000002", "step-000004"]
