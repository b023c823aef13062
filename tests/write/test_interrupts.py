"""Interrupts that wait: noted where they are held, raised where they are let in."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reportgen.write import interrupts
from reportgen.write.interrupts import Held


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def as_found() -> Iterator[None]:
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, ignored)
    assert after == before
    assert not interrupts._active and not interrupts._holding and not interrupts._waiting


def test_an_interrupt_comes_at_the_end() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), Held():
        interrupt()
        steps.append("after")
    assert steps == ["after"]


def test_an_interrupt_comes_where_it_is_let_in() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), Held() as held:
        interrupt()
        try:
            with held.lifted():
                steps.append("never")
        finally:
            interrupt()
            steps.append("undone")
    assert steps == ["undone"]


def test_an_interrupt_comes_at_once_in_a_lifted_block() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), Held() as held, held.lifted():
        interrupt()
        steps.append("never")
    assert not steps


def test_the_outer_block_holds_for_the_inner_one() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), Held():
        with Held() as inner:
            interrupt()
            with inner.lifted():
                steps.append("lifted")
        steps.append("after")
    assert steps == ["lifted", "after"]


def test_blocks_may_end_in_any_order() -> None:
    first, second = Held(), Held()
    first.__enter__()
    second.__enter__()
    lifted = first.lifted()
    lifted.__enter__()
    second.__exit__()
    lifted.__exit__()
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        first.__exit__()
    lifted.__exit__()  # of a block that is over
    first.__exit__()


def test_another_thread_is_never_interrupted_and_changes_nothing() -> None:
    seen = []

    def run() -> None:
        with Held() as held:
            seen.append(signal.getsignal(signal.SIGINT))
            with held.lifted():
                seen.append(bool(interrupts._active))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT), False]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_a_handler_that_the_program_set_is_asked(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGTERM, handler)
    try:
        with Held():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_that_is_set_meanwhile_stays() -> None:
    def other(*_: object) -> None:
        raise AssertionError

    before = signal.getsignal(signal.SIGTERM)
    try:
        with Held():
            signal.signal(signal.SIGTERM, other)
        assert signal.getsignal(signal.SIGTERM) is other
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_first_of_several_comes_and_no_other_is_lost() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with pytest.raises(KeyboardInterrupt), Held():
            os.kill(os.getpid(), signal.SIGTERM)
            interrupt()
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_systems_own_way_ends_the_process_after_the_block() -> None:
    program = (
        "import os, signal\n"
        "from reportgen.write.interrupts import Held\n"
        "with Held() as held:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('after', flush=True)\n"
        "print('never')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "after\n")


def test_an_interrupt_of_the_very_moment_leaves_nothing_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(interrupts, "_listen", interrupted)
        Held().__enter__()
    assert not interrupts._active and not interrupts._holding


def test_the_systems_own_way_is_set_before_the_signal_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = []
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(
                signal,
                "raise_signal",
                lambda number: sent.append((number, signal.getsignal(number))),
            )
            with Held():
                os.kill(os.getpid(), signal.SIGTERM)
        assert sent == [(signal.SIGTERM, signal.SIG_DFL)]
    finally:
        signal.signal(signal.SIGTERM, before)
