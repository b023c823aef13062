"""What is written is on the disk before it takes a place, and the place before anybody is told."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reportgen.write import write_file, write_site
from reportgen.write.replacing import replacing

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc")


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what was synced, and of what took a place."""
    found: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        found.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        sync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        found.append(f"place {Path(target).name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    (tmp_path / "out").mkdir()
    return found


def _by_write_file(folder: Path) -> None:
    write_file(folder / "a.md", b"words")


def _by_replacing(folder: Path) -> None:
    with replacing(folder / "a.md") as file:
        file.write(b"words")


@pytest.mark.parametrize("write", [_by_write_file, _by_replacing])
def test_a_file_is_synced_then_placed_then_its_folder(
    write: Callable[[Path], None], tmp_path: Path, events: list[str]
) -> None:
    write(tmp_path / "out")
    placed = events.index("place a.md")
    assert {"sync a.md", "sync new"} & set(events[:placed])
    assert "sync out" in events[placed:]


def test_what_is_added_is_synced(tmp_path: Path, events: list[str]) -> None:
    (tmp_path / "out" / "a.md").write_bytes(b"one")
    write_file(tmp_path / "out" / "a.md", b"two", append=True)
    assert "sync a.md" in events


def test_a_report_is_synced_file_by_file_and_folder_by_folder(
    tmp_path: Path, events: list[str]
) -> None:
    files = {"report.json": b"{}", "pages/a.html": b"a", "pages/deep/b.html": b"b"}
    assert write_site(files.items(), tmp_path / "out" / "site").warnings == ()
    placed = events.index("place site")
    for name in ("report.json", "a.html", "b.html", "pages", "deep"):
        assert f"sync {name}" in events[:placed], name
    assert "sync out" in events[placed:]
