import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from reportgen.figures import press as press_module
from reportgen.figures.files import Print, figure_files, figures_of
from reportgen.figures.press import Press
from tests.figures.test_curves import curves
from tests.report.sample_report import sample_report

FIRST = next(item for item in figures_of(sample_report()) if item.stem.endswith("heat-score"))
OTHER = replace(FIRST, stem="figures/other", title="other")


def workers_of(press):
    return list(press._workers.values())


def started(press):
    """The workers, once there are any."""
    end = time.monotonic() + 60
    while not workers_of(press) and time.monotonic() < end:
        time.sleep(0.01)
    return workers_of(press)


@pytest.fixture(scope="module")
def expected():
    """The files of both, as drawn here, by the place of the figure."""
    return {item.stem: item.drawn() for item in (FIRST, OTHER)}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_same_bytes_with_any_number_of_workers(workers, expected):
    with Press(workers) as press:
        press.order((FIRST, OTHER))
        for order in press._orders.values():
            order.exception()  # so that all of them come from a worker
        assert {item.stem: press.drawn(item) for item in (FIRST, OTHER)} == expected
        assert len(workers_of(press)) == workers
    assert all(worker.poll() is not None for worker in workers_of(press))


def test_the_figures_of_a_report_may_come_from_a_press():
    report = sample_report()
    asked = [item.stem for item in figures_of(report)]
    files = dict(figure_files(report, lambda item: {"pdf": item.stem.encode()}))
    assert files == {f"{stem}.pdf": stem.encode() for stem in asked}
    assert len(asked) == len(set(asked)) == 9


def test_what_was_not_ordered_or_not_begun_is_drawn_here(expected):
    with Press(1) as press:
        press.order([FIRST, OTHER])
        begun = press._orders[FIRST.stem]
        assert press.drawn(OTHER) == expected[OTHER.stem]
        assert press.drawn(FIRST) == expected[FIRST.stem]
        assert begun.done() and not press._orders
        assert press.drawn(FIRST) == expected[FIRST.stem]


def test_a_worker_that_dies_is_made_up_for(expected):
    with Press(1) as press:
        press.order([FIRST])
        for worker in started(press):
            worker.kill()
        assert press.drawn(FIRST) == expected[FIRST.stem]
        press.order([OTHER])
        press._orders[OTHER.stem].exception()
        assert press.drawn(OTHER) == expected[OTHER.stem]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_worker_that_hangs_is_not_waited_for_long(monkeypatch, expected):
    monkeypatch.setattr(press_module, "_PATIENCE", 0.1)
    with Press(1) as press:
        press.order([FIRST])
        (worker,) = started(press)
        worker.send_signal(signal.SIGSTOP)
        assert press.drawn(FIRST) == expected[FIRST.stem]
        assert worker.poll() is None
    assert worker.poll() is not None


def test_where_no_process_can_be_started_figures_are_drawn_here(monkeypatch, expected):
    def refused(*_, **__):
        raise OSError("no processes here")

    monkeypatch.setattr(subprocess, "Popen", refused)
    with Press(2) as press:
        press.order([FIRST])
        press._orders[FIRST.stem].exception()
        assert press.drawn(FIRST) == expected[FIRST.stem]
    monkeypatch.setattr(sys, "executable", None)
    with Press(2) as press:
        press.order([FIRST])
        assert press.drawn(FIRST) == expected[FIRST.stem]


def test_a_figure_that_cannot_be_drawn_says_why_here(capfd):
    broken = Print("figures/broken", replace(curves(), layers=()))
    with Press(1) as press:
        press.order([broken])
        press._orders[broken.stem].exception()
        with pytest.raises(ValueError, match="zero"):
            press.drawn(broken)
    assert "ValueError" in capfd.readouterr().err


def test_an_end_in_the_middle_leaves_no_process():
    with pytest.raises(KeyboardInterrupt), Press(2) as press:
        press.order([FIRST, OTHER, *figures_of(sample_report())])
        started(press)
        raise KeyboardInterrupt
    assert workers_of(press)
    assert all(worker.poll() is not None for worker in workers_of(press))


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_workers_leave_ctrl_c_to_us_and_end_with_their_input(expected):
    with Press(1) as press:
        press.order([FIRST])
        press._orders[FIRST.stem].result()
        (worker,) = workers_of(press)
        worker.send_signal(signal.SIGINT)
        press.order([OTHER])
        assert press._orders[OTHER.stem].result() == expected[OTHER.stem]
        worker.stdin.close()
        assert worker.wait(60) == 0
