"""A fault at any call of the system leaves what was there or all of the new, and nothing beside."""

import gc
import itertools
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reportgen import cli
from reportgen.write import exchange, write_file, write_site, write_together
from reportgen.write.interrupts import Held
from tests.corpus.faults import (
    FAULTS,
    Counted,
    Fault,
    descriptors,
    failing,
    interrupted,
    interrupted_at_line,
    left_with,
    tree,
)

OLD = {"index.html": b"<p>one</p>", "report.json": b"{}", "img/a.png": b"\x89PNG" * 100}
NEW = {"index.html": b"<p>two</p>", "report.json": b"{}", "data/t.csv": b"a,b\n"}
PRUNED = ("p.pth", "p.pt2", "p.json")


@dataclass(frozen=True)
class Writing:
    """Something that is written: what is there before, and the one call that changes it."""

    before: Callable[[Path], object]
    change: Callable[[Path], object]
    swaps: bool = True
    "Whether the system can swap two folders."


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
    "replaced unswapped": Writing(
        _old, lambda f: write_site(NEW.items(), f / "report"), swaps=False
    ),
    "forced unswapped": Writing(
        _old_and_mine, lambda f: write_site(NEW.items(), f / "report", force=True), swaps=False
    ),
    "files": Writing(
        _files,
        lambda f: write_together({f / "p.json": b"{}", f / "p.pth": b"new", f / "p.pt2": None}),
    ),
    "added": Writing(_files, lambda f: write_file(f / "p.pth", b" and more", append=True)),
}
"What `build`, `render`, `figures`, `channels` and `compare` do; `prune`; a step's summary."


@pytest.fixture(params=WRITINGS)
def writing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Writing:
    chosen = WRITINGS[request.param]
    if not chosen.swaps:
        monkeypatch.setattr(exchange.ctypes, "CDLL", lambda name: object())
    return chosen


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
        if "put back" in told:  # nobody could: the disk takes no name any more
            assert fault.lasts and code == fault.code
            left_with(lambda: writing.change(folder))  # noqa: B023
            assert tree(folder) == after
            continue
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


SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}
PLACE = Path(__file__).parents[2] / "reportgen/write"
WATCHED = (*(f"/write/{path.name}" for path in PLACE.glob("*.py")), "/contextlib.py")


@pytest.mark.usefixtures("young")
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_at_the_nth_call(
    number: signal.Signals,
    writing: Writing,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    at_the_nth(interrupted, number, writing, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.usefixtures("young")
@pytest.mark.parametrize("name", ["replaced", "files"])
def test_an_interrupt_at_the_nth_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupting = partial(interrupted_at_line, places=WATCHED)
    at_the_nth(interrupting, signal.SIGINT, WRITINGS[name], tmp_path, capsys)


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    """Those of a command, whatever a failed test leaves."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, cli._terminated)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def young() -> Iterator[None]:
    """Only what a test makes is looked through for garbage: torch alone is a million objects."""
    gc.freeze()
    yield
    gc.unfreeze()


def ended(opened: set[str]) -> None:
    """What was interrupted as it was entered ends with its traceback; threads end soon."""
    gc.collect()
    end = time.monotonic() + 10
    while descriptors() != opened and time.monotonic() < end:
        time.sleep(0.001)


def at_the_nth(
    interrupting: Callable[[signal.Signals, int], AbstractContextManager[Counted]],
    number: signal.Signals,
    writing: Writing,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The old or the new stands, whole and alone, and what handled signals does so again."""
    before, after = outcomes(writing, folder)
    seen = set()
    for at in itertools.count(1):
        place = folder / str(at)
        place.mkdir()
        writing.before(place)
        opened = descriptors()

        def run() -> None:
            with interrupting(number, at) as counted:  # noqa: B023 - called at once
                hit.append(counted)  # noqa: B023
                writing.change(place)  # noqa: B023

        hit: list[Counted] = []
        code = left_with(run)
        told = capsys.readouterr().err
        ended(opened)
        with Held():
            pass  # gives back the handlers, where it was interrupted as it did
        handlers = [signal.getsignal(one) for one in SIGNALS]
        assert handlers == [signal.default_int_handler, cli._terminated], at
        assert descriptors() == opened, at
        found = tree(place)
        assert found in (before, after), at
        seen.add(found == after)
        if not hit[0].was_hit:
            break
        assert code == SIGNALS[number], f"{at} {hit[0].place} {told}"
        one_sentence(told, "nothing half-written was left")
    assert code == 0 and seen == {False, True}
