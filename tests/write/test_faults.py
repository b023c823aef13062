"""A fault at any call of the system leaves what was there or all of the new, and nothing beside."""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import reportgen.write
from reportgen.errors import OutputError
from reportgen.write import exchange, write_file, write_site, write_together
from tests.corpus.faults import FAULTS, Counted, Fault, descriptors, failing, interrupted
from tests.corpus.faults import left_with, tree

OLD = {"index.html": b"<p>one</p>", "report.json": b"{}", "img/a.png": b"\x89PNG" * 100}
NEW = {"index.html": b"<p>two</p>", "report.json": b"{}", "data/t.csv": b"a,b\n"}
PRUNED = ("p.pth", "p.pt2", "p.json")


@dataclass(frozen=True)
class Writing:
    """Something that is written: what is there before, and the one call that changes it."""

    before: Callable[[Path], object]
    change: Callable[[Path], object]


def _old(folder: Path) -> None:
    write_site(OLD.items(), folder / "report")


def _old_and_mine(folder: Path) -> None:
    _old(folder)
    (folder / "report/mine").mkdir()
    (folder / "report/mine/a.txt").write_text("keep me")
    (folder / "report/mine/link").symlink_to("a.txt")
    (folder / "report/empty").mkdir()


def _files(folder: Path) -> None:
    for name in PRUNED[:2]:
        (folder / name).write_bytes(b"old")


WRITINGS: Mapping[str, Writing] = {
    "new": Writing(lambda folder: None, lambda f: write_site(NEW.items(), f / "a/report")),
    "replaced": Writing(_old, lambda f: write_site(NEW.items(), f / "report")),
    "forced": Writing(_old_and_mine, lambda f: write_site(NEW.items(), f / "report", force=True)),
    "files": Writing(
        _files,
        lambda f: write_together({f / "p.pth": b"new", f / "p.pt2": None, f / "p.json": b"{}"}),
    ),
    "added": Writing(_files, lambda f: write_file(f / "p.pth", b" and more", append=True)),
}
"What `build`, `render`, `figures`, `channels` and `compare` do; `prune`; a step's summary."


@pytest.fixture(params=WRITINGS)
def writing(request: pytest.FixtureRequest) -> Writing:
    return WRITINGS[request.param]


@pytest.fixture(params=[True, False], ids=["swaps", "cannot swap"])
def swaps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(exchange.ctypes, "CDLL", lambda name: object())


def holds(folder: Path) -> Any:
    """A tree but for times: the folders to be made, and what stands in them."""
    return tree(folder)


def outcomes(writing: Writing, folder: Path) -> tuple[Any, Any]:
    """What stands in a folder before and after, where nothing fails."""
    made = folder / "made"
    made.mkdir()
    writing.before(made)
    before = tree(made)
    writing.change(made)
    return before, tree(made)


def one_sentence(told: str, words: str) -> None:
    assert told.startswith("reportgen: ") and told.count("\n") == 1 and "\x1b" not in told, told
    assert "Traceback" not in told and words in told, told


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_at_the_nth_call(
    fault: Fault,
    writing: Writing,
    swaps: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, after = outcomes(writing, tmp_path)
    codes = set()
    for at in itertools.count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        writing.before(folder)
        opened = descriptors()
        with failing(fault, at) as counted:
            code = left_with(lambda: writing.change(folder))  # noqa: B023 - called at once
        codes.add(code)
        told = capsys.readouterr().err
        assert descriptors() == opened, at
        found = tree(folder)
        own = {name: what for name, what in found.items() if ".reportgen-" not in name}
        assert code in (0, fault.code), told
        if code:
            one_sentence(told, fault.words)
        assert own == (before if code else after), at
        if own != found:  # what could not be removed is removed by the next run
            assert {"unlink", "rmdir", "scandir", "lstat", "stat"} & set(fault.calls), at
            left_with(lambda: writing.change(folder))  # noqa: B023
            assert not [name for name in tree(folder) if ".reportgen-" in name], at
        if not counted.was_hit:
            break
    assert code == 0
