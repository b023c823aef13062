"""What the profile of a build counts under which name."""

import pytest

from reportgen import profile
from reportgen.profile import Profile, Times, peak_memory


def test_a_stage_that_is_left_and_taken_up_again_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = iter([Times(10, 1), Times(12, 2), Times(13, 5), Times(17, 6), Times(20, 8)])
    monkeypatch.setattr(profile, "now", lambda: next(readings))
    seen = Profile("Starting")
    for stage in ("Drawing", "Writing", "Drawing"):
        seen.enter(stage)
    lines = list(seen.lines())
    assert seen.stages == {"Starting": Times(2, 1), "Drawing": Times(4, 5), "Writing": Times(4, 1)}
    assert [line.split() for line in lines[1:5]] == [
        ["Starting", "2.00", "s", "1.00", "s", "20.0%"],
        ["Drawing", "4.00", "s", "5.00", "s", "40.0%"],
        ["Writing", "4.00", "s", "1.00", "s", "40.0%"],
        ["Sum", "10.00", "s", "7.00", "s", "100.0%"],
    ]


def test_peak_memory_sees_what_was_held_and_given_back() -> None:
    before = peak_memory()
    assert before is not None
    held = bytearray(before + 2**26)
    held[:: 2**12] = b"x" * len(held[:: 2**12])
    size = len(held)
    del held
    after = peak_memory()
    assert after is not None and after > size
