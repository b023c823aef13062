"""The memory that something may take, and that the limit is gone afterwards."""

import sys

import pytest
import torch

from reportgen.load.limits import memory_at_most

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")

MOST = 2**28


def limits() -> tuple[int, int]:
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)


def test_what_fits_is_given_and_what_does_not_is_refused() -> None:
    before = limits()
    with memory_at_most(MOST):
        assert bytearray(MOST // 4)[-1] == 0
        with pytest.raises(MemoryError):
            bytearray(2 * MOST)
        with pytest.raises(RuntimeError, match="allocate"):
            torch.empty(2 * MOST, dtype=torch.uint8)
    assert limits() == before
    assert len(bytearray(2 * MOST)) == 2 * MOST


def test_a_lower_limit_stays() -> None:
    with memory_at_most(MOST):
        lower = limits()
        with memory_at_most(100 * MOST):
            assert limits() == lower
        assert limits() == lower
