"""A site works wherever it is put: on any disk, under any address, on GitHub Pages."""

import json
import re

import pytest

from tests.bytes.conftest import Made
from tests.render.walk import Page

pytestmark = pytest.mark.slow

SITES = ("report/", "again/", "changes/")


def test_paths_are_plain_and_differ_by_more_than_case(first: Made) -> None:
    """No `_` at a start, which Jekyll would leave out; nothing that an address has to escape."""
    assert not [path for path in first.files if not re.fullmatch(r"[A-Za-z0-9._/-]+", path)]
    parts = {part for path in first.files for part in path.split("/")}
    assert not [part for part in parts if part.startswith(("_", "-"))]
    hidden = {part for part in parts if part.startswith(".")}
    assert hidden == {".nojekyll", ".reportgen"}
    assert len({path.casefold() for path in first.files}) == len(first.files)
    for site in SITES:
        assert first.files[f"{site}.nojekyll"][1] == b""


def test_everybody_may_read(first: Made, second: Made) -> None:
    """Whatever the umask; no link is among them, which `tree` looks at."""
    for made in (first, second):
        modes = {(mode, bool(content)) for mode, content in made.files.values()}
        assert modes <= {(0o644, True), (0o644, False), (0o755, False)}


def test_every_link_leads_to_a_file_of_the_very_name(first: Made) -> None:
    """Here cases are told apart, as on a web server."""
    seen = 0
    for path, (_, content) in first.files.items():
        if path.startswith(SITES) and path.endswith(".html"):
            for target, _ in Page(path, content.decode()).links():
                assert target in first.files, f"{path} leads to {target}"
                seen += 1
    assert seen > 500


def test_json_is_strict(first: Made) -> None:
    texts = {path: content for path, (_, content) in first.files.items() if path.endswith(".json")}
    assert {"report/report.json", "changes/compare.json", "pruned.json"} <= set(texts)
    for path, content in texts.items():
        json.loads(content, parse_constant=lambda name, path=path: pytest.fail(f"{path}: {name}"))


def test_no_file_is_too_large_for_a_repository(first: Made) -> None:
    assert max(len(content) for _, content in first.files.values()) < 50_000_000
