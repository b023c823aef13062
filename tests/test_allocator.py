"""Freed memory is kept: asking for it again costs no page faults."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from reportgen.allocator import keep_freed_memory
from reportgen.cli import main

FAULTS = """
import resource, sys
from reportgen.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def faults(size):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * size
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
size = 1 << 27
first = faults(size)
print(first, faults(size))
"""


def faults(mode: str) -> tuple[int, int]:
    """Page faults of making and freeing 128 MB for the first and the second time."""
    command = [sys.executable, "-c", FAULTS, mode]
    first, second = subprocess.check_output(command, text=True).split()
    return int(first), int(second)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_memory_that_was_freed_is_not_cleared_page_by_page_again() -> None:
    first, second = faults("kept")
    assert second < first / 100
    first, second = faults("not kept")
    assert second > first / 2


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from reportgen import allocator

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: pytest.fail("it was loaded"))
    keep_freed_memory()


def test_a_build_from_the_command_line_sets_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []
    monkeypatch.setattr("reportgen.allocator.keep_freed_memory", lambda: done.append("set"))
    monkeypatch.setattr("reportgen.pipeline.build", lambda *_, **__: done.append("built") or 1 / 0)
    with pytest.raises(SystemExit):
        main(["build", "m.pth", str(tmp_path)])
    assert done == ["set", "built"]
