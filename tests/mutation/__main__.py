"""How many small mistakes in the reading of files and in the writing a test notices.

`python -m tests.mutation reportgen.load.formats --share 0.1` tries a tenth of the mistakes in one
module, `reportgen.load.formats:43` all in one line, `make mutants` some of all. The tests are
collected once. Each mistake is put into a process of its own that is forked from there, and which
runs the tests that reach its line, quickest first.
"""

import argparse
import contextlib
import hashlib
import importlib
import mmap
import os
import re
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

import hypothesis
import pytest

from tests.mutation.equivalent import reason
from tests.mutation.graft import Unimportable, graft, names_given
from tests.mutation.operators import Mutant, mutants
from tests.mutation.reach import Line, Reach
from tests.mutation.watched import MODULES, ROOT, TESTS

_KEPT = ROOT / "build" / "mutation" / "reach.json"
_STATE = struct.Struct("<qd")
"Number of the test that runs, and when it began."
_FAULT = 99
"Exit status of a child in which the harness itself fails."
_LONGER, _AT_LEAST = 20, 15.0
"Times its seconds, and seconds, that a test may take: then it hangs."


class Mutation:
    """What stands in for the running of the tests."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._state = mmap.mmap(-1, _STATE.size)
        self._holds: dict[str, bool] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mistakes of some modules, and say what was noticed."""
        self._items = {item.nodeid: item for item in session.items}
        for name in MODULES:
            importlib.import_module(name)
        self._reach = Reach.kept(_KEPT)
        unknown = [item for item in session.items if item.nodeid not in self._reach.seconds]
        if unknown:
            print(f"\nmeasuring what {len(unknown)} tests reach", flush=True)
            self._in_a_child(lambda: self._reach.measure(unknown, MODULES, _passes), lambda: True)
            self._reach = Reach.kept(_KEPT)
        self._reach.forget_all_but(self._items)
        for test in self._items:
            if self._reach.seconds[test] < 0:
                print(f"does not pass as it is: {test}")
        tried = found = 0
        for asked in self._given.modules:
            name, _, line = asked.partition(":")
            results = [self._result(name, mutant) for mutant in self._drawn(name, line)]
            print(f"{name}: {sum(results)} of {len(results)} noticed", flush=True)
            tried, found = tried + len(results), found + sum(results)
        print(f"{found} of {tried} noticed: {found / max(tried, 1):.1%}", flush=True)
        return True

    def _drawn(self, name: str, line: str) -> list[Mutant]:
        """A share of the mistakes in a module, and some at least; or all that are in one line."""
        source = MODULES[name].read_text("utf-8")
        lines = source.splitlines()

        def lot(mutant: Mutant) -> bytes:
            place = f"{self._given.seed} {name} {lines[mutant.line - 1]} {mutant.mistake}"
            return hashlib.sha256(f"{place} {mutant.number}".encode()).digest()

        able = [m for m in mutants(source) if not reason(name, lines[m.line - 1], m.mistake)]
        if line:
            return [mutant for mutant in able if mutant.line == int(line)]
        count = max(self._given.least, round(self._given.share * len(able)))
        return sorted(sorted(able, key=lot)[:count], key=lambda mutant: mutant.line)

    def _result(self, name: str, mutant: Mutant) -> bool:
        """Whether a test notices a mistake; says so where none does."""
        tests: list[str] = []
        word = name.rpartition(".")[2]
        for lines in _lines(name, mutant):
            tests = tests or self._reach.cheapest(lines, self._given.seconds, word)
        if not mutant.function:  # a table may be looked into without any line of its module
            own = [test for test in self._items if f"/test_{word}.py::" in test]
            tests = list(dict.fromkeys([*own, *tests]))
        while (noticed := self._noticing(name, mutant, tests)) and not self._passes_alone(noticed):
            tests.remove(noticed)
        if not noticed:
            text = MODULES[name].read_text("utf-8").splitlines()[mutant.line - 1].strip()
            print(
                f"{name}:{mutant.line}: {mutant.mistake} ({len(tests)} tests): {text}", flush=True
            )
        elif self._given.verbose:
            print(f"  {name}:{mutant.line}: {mutant.mistake}: {noticed}", flush=True)
        return bool(noticed)

    def _noticing(self, name: str, mutant: Mutant, tests: Sequence[str]) -> str:
        """The test that fails, or hangs, with a mistake; empty where none does."""

        def work() -> None:
            self._state[:] = _STATE.pack(0, time.monotonic())
            module = importlib.import_module(name)
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
            try:
                graft(module, mutant.tree, mutant.path)
            except Unimportable:
                os._exit(1)
            items = [self._items[test] for test in tests]
            for number, (item, after) in enumerate(zip(items, [*items[1:], None], strict=True)):
                self._state[:] = _STATE.pack(number, time.monotonic())
                if not _passes(item, after):
                    os._exit(1)

        return self._failing(work, tests)

    def _passes_alone(self, test: str) -> bool:
        """Whether a test passes by itself, without any mistake."""
        if test not in self._holds:
            self._holds[test] = not self._failing(lambda: _must_pass(self._items[test]), [test])
            if not self._holds[test]:
                print(f"does not pass by itself: {test}", flush=True)
        return self._holds[test]

    def _failing(self, work: Callable[[], None], tests: Sequence[str]) -> str:
        """The test at which a child fails or hangs."""
        if not tests:
            return ""

        def in_time() -> bool:
            number, start = _STATE.unpack(self._state[:])
            limit = max(_AT_LEAST, _LONGER * self._reach.seconds[tests[number]])
            return time.monotonic() < start + limit

        self._state[:] = _STATE.pack(0, time.monotonic())
        status = self._in_a_child(work, in_time)
        assert status != _FAULT, f"a mistake could not be put in: see {self._given.log}"
        if status == 0:
            return ""
        return tests[_STATE.unpack(self._state[:])[0]]

    def _in_a_child(self, work: Callable[[], None], in_time: Callable[[], bool]) -> int:
        """Exit status of a fork that does some work in silence; -1 where its time was over."""
        sys.stdout.flush()
        child = os.fork()
        if not child:
            try:
                os.setpgid(0, 0)
                null = os.open(self._given.log, os.O_RDWR | os.O_CREAT | os.O_APPEND)
                for standard in range(3):
                    os.dup2(null, standard)
                work()
                os._exit(0)
            except Exception:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(_FAULT)
            finally:
                os._exit(1)
        status, is_over = -1, False
        while not is_over and in_time():
            ended, raw = os.waitpid(child, os.WNOHANG)
            is_over = bool(ended)
            status = os.waitstatus_to_exitcode(raw) if ended else -1
            time.sleep(0.002)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        if not is_over:
            os.waitpid(child, 0)
        return status


def _passes(item: pytest.Item, after: pytest.Item | None = None) -> bool:
    """Run one test, and keep of what it needed what the one after it needs too."""
    before = item.session.testsfailed
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    return item.session.testsfailed == before


def _must_pass(item: pytest.Item) -> None:
    if not _passes(item):
        os._exit(1)


def _lines(name: str, mutant: Mutant) -> Iterator[list[Line]]:
    """Lines that run what a mistake is in, and where no test reaches these, more of them."""
    texts = [(name, text.strip()) for text in MODULES[name].read_text("utf-8").splitlines()]
    if function := mutant.function:
        yield [texts[line - 1] for line in mutant.lines]
        yield texts[function.body[0].lineno - 1 : function.end_lineno]
        yield texts  # what is kept since the tests were collected is reached by none
        return
    names = "|".join(names_given(mutant.original, mutant.path)) or "(?!)"
    yield [
        (module, text.strip())
        for module, path in MODULES.items()
        for text in path.read_text("utf-8").splitlines()
        if re.search(rf"\b({names})\b", text)
    ]


def main() -> None:
    """Collect the tests, and try mistakes instead of running them."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--least", type=int, default=0, help="mistakes of each module")
    parser.add_argument("--seed", default="1", help="which share: any text")
    parser.add_argument("--seconds", type=float, default=30.0, help="of tests for each mistake")
    parser.add_argument("--log", default=os.devnull, help="where the tests say what failed")
    parser.add_argument("--verbose", action="store_true", help="name the tests that notice")
    given = parser.parse_args()
    os.chdir(ROOT)
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")
    words = ["-q", "-s", "-n0", "--tb=native", "-p", "no:cacheprovider", "-m", "not slow"]
    pytest.main([*words, *TESTS], plugins=[Mutation(given)])


main()
