"""What the tests of loading share: reading a file in this process, not in a child."""

import sys
from pathlib import Path
from typing import IO

import pytest
from coverage import Coverage
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from reportgen.load.checkpoint import read_checkpoint


@pytest.fixture(autouse=True)
def _reading_is_seen(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    # The child may open no file, so nothing of it could be written down. Tests of its limits keep
    # it: what they read would fill the memory.
    is_watched = Coverage.current() or "tests.mutation.operators" in sys.modules
    if is_watched and "limit" not in request.path.name:
        monkeypatch.setattr("reportgen.load.model.read_limited", _read_here)


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model files are read in this process: a child for each of hundreds takes longer."""
    monkeypatch.setattr("reportgen.load.model.read_limited", read_checkpoint)


def _read_here(path: Path, stream: IO[bytes], weights_key: str = "") -> object:
    before = get_safe_globals()
    try:
        return read_checkpoint(path, stream, weights_key)
    finally:
        # The child ends with what it took for safe.
        clear_safe_globals()
        add_safe_globals(before)
