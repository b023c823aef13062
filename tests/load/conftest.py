"""What the tests of loading share."""

import pytest

from reportgen.load import model
from reportgen.load.checkpoint import read_checkpoint


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model files are read in this process: a child for each of hundreds takes longer."""
    monkeypatch.setattr(model, "read_limited", read_checkpoint)
