"""The benchmark tables: what a ratio is, when a bar is met, and whose rows are replaced."""

import pytest

from benchmarks import __main__ as runner
from benchmarks import table
from benchmarks.table import Ratio, Row, compared, ratio_of
from reportgen.profile import Times


def test_a_ratio_is_taken_in_each_round_and_turned_round_where_ours_should_be_less() -> None:
    found = ratio_of([(2.0, 8.0), (3.0, 6.0), (9.0, 9.0)])
    assert (found.median, found.low, found.high, found.rounds) == (0.5, 0.25, 1.0, 3)
    assert (found.ours, found.theirs) == (3.0, 8.0)
    faster = found.faster
    assert (faster.median, faster.low, faster.high) == (2.0, 1.0, 4.0)


def test_what_was_scaled_scales_the_ratio_and_the_time() -> None:
    found = ratio_of([(2.0, 8.0)]).scaled(theirs=10)
    assert (found.median, found.ours, found.theirs) == (0.025, 2.0, 80.0)


def test_both_sides_take_turns_after_a_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    turns = ""

    def work(name: str, cost: float) -> None:
        nonlocal now, turns
        turns += name
        now += cost

    monkeypatch.setattr(table, "clock", lambda: now)
    found = compared(lambda: work("a", 3), lambda: work("b", 2), rounds=3)
    assert turns == "ab" + "ab" + "ba" + "ab"
    assert found == Ratio(1.5, 1.5, 1.5, 3, 3.0, 2.0)


def test_processor_time_is_that_of_workers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "now", lambda: Times(wall=2.0, processor=3.0))
    monkeypatch.delenv("BENCH_CPU", raising=False)
    assert table.clock() == 2.0
    monkeypatch.setenv("BENCH_CPU", "1")
    assert table.clock() == 3.0


@pytest.mark.parametrize(
    ("bar", "met", "shown"),
    [
        ({"at_most": 1.5}, True, "<= 1.5 | yes |"),
        ({"at_most": 1.4}, False, "<= 1.4 | **no** |"),
        ({"at_least": 1.5}, True, ">= 1.5 | yes |"),
        ({"at_least": 1.6}, False, ">= 1.6 | **no** |"),
        ({}, None, "|  |  |"),
    ],
)
def test_a_bar_is_met_by_the_median(bar: dict[str, float], met: bool | None, shown: str) -> None:
    row = Row("this", "ours", "theirs", Ratio(1.5, 1.0, 2.0, 5, 3.0, 2.0), **bar)
    assert row.met is met
    assert row.markdown().endswith(shown)
    assert row.markdown().count("|") == table.HEADER.splitlines()[0].count("|")


def test_one_topic_replaces_its_own_table_only() -> None:
    both = runner.replaced(runner.replaced("", "whole", "old whole"), "gradients", "old gradients")
    again = runner.replaced(both, "whole", "new whole")
    assert "old gradients" in again and "new whole" in again and "old whole" not in again
    assert again.index("## Gradients") < again.index("## The whole report")
    assert runner.replaced(again, "whole", "new whole") == again
