"""The memory that something may take, and that the limit is gone afterwards."""

import mmap
import signal
import sys
from pathlib import Path

import pytest
import torch

from reportgen.load import limits as module
from reportgen.load.limits import Limits, is_out_of_memory, memory_at_most

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")

MOST = 2**28


def limits() -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)


def test_what_fits_is_given_and_what_does_not_is_refused() -> None:
    before = limits()
    with memory_at_most(MOST):
        assert bytearray(MOST // 4)[-1] == 0
        # More than tests before this one may have left free in the process.
        with pytest.raises(MemoryError):
            bytearray(32 * MOST)
        with pytest.raises(RuntimeError, match="allocate"):
            torch.empty(32 * MOST, dtype=torch.uint8)
    assert limits() == before
    assert len(bytearray(2 * MOST)) == 2 * MOST


def test_a_lower_limit_stays() -> None:
    with memory_at_most(MOST):
        lower = limits()
        with memory_at_most(100 * MOST):
            assert limits() == lower
        assert limits() == lower


def test_a_file_may_take_more_the_larger_it_is() -> None:
    gib = 2**30
    assert Limits.for_file(0) == Limits(4 * gib, gib // 4, 30.0, 120.0)
    assert Limits.for_file(gib) == Limits(4 * gib, gib // 4 + 4 * gib, 60.0, 180.0)
    assert Limits.for_file(3 * gib) == Limits(12 * gib, gib // 4 + 12 * gib, 120.0, 300.0)
    assert Limits.for_file(gib + 100).memory == 4 * gib + 400


@pytest.mark.parametrize("hard", [-1, 1000, 40])
@pytest.mark.parametrize("used", [300, 0])
def test_all_limits_are_imposed_as_far_as_they_may_be(
    hard: int, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    seen: dict[int, tuple[int, int]] = {}
    clocks: list[object] = []
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    monkeypatch.setattr(resource, "getrlimit", lambda _: (5, hard))
    monkeypatch.setattr(resource, "setrlimit", seen.__setitem__)
    monkeypatch.setattr("signal.setitimer", lambda *given: clocks.append(given))
    monkeypatch.setattr("time.process_time", lambda: 7.5)
    monkeypatch.setattr(module, "_address_space", lambda: used)
    Limits(memory=500, parcel=30, cpu_seconds=10.25, seconds=20.5).impose()
    expected = {
        resource.RLIMIT_CPU: (18, 23),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (60, 60),
        resource.RLIMIT_NPROC: (0, 0),
        resource.RLIMIT_NOFILE: (0, 0),
    }
    if used:
        expected[resource.RLIMIT_AS] = (800, 800)
    assert seen == {
        what: (min(soft, most), min(first, most)) for what, (soft, first) in expected.items()
    }
    assert clocks == [(signal.ITIMER_REAL, 25.5)]


def test_addresses_are_counted_in_bytes() -> None:
    before = module._address_space()
    held = mmap.mmap(-1, 2**28)
    assert 2**28 <= module._address_space() - before < 2**28 + 2**24
    held.close()


def test_where_the_system_does_not_tell_there_is_no_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "Path", lambda _: tmp_path / "gone")
    assert module._address_space() == 0
    before = limits()
    with memory_at_most(0):
        assert limits() == before
    assert limits() == before


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ValueError("allocate"), False),
        (None, False),
    ],
)
def test_what_ran_out_of_memory_is_known(error: Exception | None, is_so: bool) -> None:
    assert is_out_of_memory(error) is is_so
