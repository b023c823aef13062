"""Runs the command on one bad or odd input, and holds it to what holds for all of them.

A corpus is a list of `Case`s. Each is made in a folder of its own and given to the command in this
process, for torch takes seconds to import; the guards see what happens. `checked` is the whole
test: exit code, the one sentence, no traceback, no colour codes, nothing written, started or left.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from reportgen.cli import main
from tests.corpus.guards import children, state_of, watched

CODES = frozenset({0, 1, 2, 3, 4, 5, 6, 7, 8, 130, 143})
"Exit codes that a command may leave with; 70 is a fault of ours."
CANARY = "canary"
"Name of the file that hostile inputs try to make, in their own folder."


@dataclass(frozen=True)
class Case:
    """One input, and what the command has to say of it."""

    name: str
    make: Callable[[Path], object]
    "Puts it into an empty folder; gives its path, or anything else."
    code: int
    says: str = ""
    "Pattern of its one sentence; empty where it gives none."
    words: tuple[str, ...] = ()
    "Flags that it needs."


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    told: str
    "Standard error."
    printed: str
    "Standard output."
    did: tuple[str, ...]
    "What it did that no file may bring about."


Capture: TypeAlias = pytest.CaptureFixture[str]


def outcome_of(words: tuple[object, ...], capture: Capture) -> Outcome:
    """Run one command in this process, watched.

    Args:
        words: as typed behind `reportgen`.
        capture: pytest's `capfd`, which also hears what child processes print.
    """
    capture.readouterr()
    before = children()
    with watched() as did, pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    printed, told = capture.readouterr()
    if remaining := children() - before:
        did.append(f"left processes behind: {remaining}")
    code = left.value.code
    return Outcome(code if isinstance(code, int) else 0, told, printed, tuple(did))


def checked(
    case: Case, words: tuple[object, ...], capture: Capture, *, kept: tuple[Path, ...] = ()
) -> Outcome:
    """Run a command that a case is given to, and assert what holds for every case.

    Args:
        case: with what is expected.
        words: the command without the case's own flags.
        capture: pytest's `capfd`.
        kept: folders that must be afterwards as they were: that of the case, and the output
            where the command is expected to fail.
    """
    before = [state_of(folder) for folder in kept]
    outcome = outcome_of((*words, *case.words), capture)
    told = outcome.told
    assert outcome.code == case.code, told
    assert outcome.code in CODES
    assert outcome.did == ()
    assert "\x1b" not in told + outcome.printed, "colour codes without a terminal"
    assert "Traceback" not in told + outcome.printed
    if case.code:
        lines = told.splitlines()
        assert len(lines) == 1, told
        assert lines[0].startswith("reportgen: ") and len(lines[0]) < 1000
    assert re.search(case.says, told + outcome.printed), told + outcome.printed
    for folder, state in zip(kept, before, strict=True):
        assert state_of(folder) == state, f"{folder} was changed"
    return outcome
