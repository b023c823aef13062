"""The guards notice what they are there for, in this process and in those it forks."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.corpus.guards import children, watched


def in_a_fork(act: Callable[[], object]) -> None:
    child = os.fork()
    if not child:
        act()
        os._exit(0)
    os.waitpid(child, 0)


ACTS: dict[str, tuple[Callable[[], object], str]] = {
    "shell": (lambda: os.system("true"), "os.system"),
    "process": (lambda: subprocess.run([sys.executable, "-c", ""]), "subprocess.Popen"),
    "fork": (lambda: in_a_fork(lambda: None), "os.fork"),
    "socket": (lambda: socket.socket().close(), "socket.__new__"),
    "shell in a fork": (lambda: in_a_fork(lambda: os.system("true")), "os.system"),
    "socket in a fork": (lambda: in_a_fork(lambda: socket.socket().close()), "socket.__new__"),
}


@pytest.mark.parametrize("name", ACTS)
def test_what_no_file_may_bring_about_is_noticed(name: str) -> None:
    act, event = ACTS[name]
    with watched() as did:
        act()
    assert any(line.startswith(event) for line in did)


def test_what_is_done_outside_of_the_watch_is_nobodys_business() -> None:
    with watched() as did:
        pass
    os.system("true")
    assert did == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_a_process_that_is_left_behind_is_seen() -> None:
    before = children()
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert children() - before == {child.pid}
    child.wait()
    assert children() == before
