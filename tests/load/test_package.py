"""The package itself: it can be called, as `reportgen.load`."""

from pathlib import Path

import pytest

import reportgen.api
import reportgen.load


def test_the_package_is_called_as_the_function_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(reportgen.api, "load", lambda path: asked.append(path) or "a report")
    assert reportgen.load(tmp_path) == "a report"  # type: ignore[operator]
    assert asked == [tmp_path]
