"""How many small mistakes the tests notice: `python -m tests.mutation MODULE... [--share 0.2]`.

Each mistake is tried in a fork of this process, in which PyTorch is imported already and nothing
of ours is. A mistake that no test notices is shown; one that hangs counts as noticed. Mistakes are
drawn by the hash of their place and kind, so a share is the same one each time.
"""

import argparse
import ast
import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import hypothesis.strategies
import pytest
import torch
import torchvision.models

from tests.mutation.operators import Mutant, mutants
from tests.mutation.watched import TESTS, THEN

_ROOT = Path(__file__).parents[2]
_MOST_SECONDS = 300


class _Mistaken(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Gives one module with a mistake in it."""

    def __init__(self, name: str, file: Path, tree: ast.Module) -> None:
        self.name, self.file, self.tree = name, file, tree

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Of that module alone."""
        if fullname != self.name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self.file))

    def get_filename(self, fullname: str) -> str:
        """Where it lies."""
        return str(self.file)

    def get_data(self, path: str) -> bytes:
        """Its source as it is."""
        return self.file.read_bytes()

    def get_code(self, fullname: str) -> object:  # type: ignore[override]
        """The mistaken code."""
        return compile(self.tree, str(self.file), "exec")


def noticed(name: str, mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether a test fails, or hangs, with the mistake."""
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.setpgid(0, 0)
            null = os.open(os.environ.get("MUTATION_LOG", os.devnull), os.O_RDWR | os.O_CREAT)
            for standard in range(3):
                os.dup2(null, standard)
            file = _ROOT / (name.replace(".", "/") + ".py")
            sys.meta_path.insert(0, _Mistaken(name, file, mutant.tree))
            words = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-m", "not slow", *tests]
            os._exit(int(pytest.main(words)))
        os._exit(99)
    end = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def is_drawn(name: str, mutant: Mutant, share: float) -> bool:
    """Whether a mistake belongs to the share."""
    text = f"{name} {ast.unparse(mutant.tree)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) < share * 2**32


def main() -> None:
    """Try the mistakes of some modules, and say what was noticed."""
    assert hypothesis.strategies and torch and torchvision.models  # for the forks
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--share", type=float, default=1.0)
    given = parser.parse_args()
    os.chdir(_ROOT)
    tried = found = 0
    for name in given.modules:
        source = (_ROOT / (name.replace(".", "/") + ".py")).read_text("utf-8")
        untouched = Mutant(0, "none", ast.parse(source))
        assert not noticed(name, untouched, TESTS[name]), f"the tests of {name} fail as they are"
        some = [mutant for mutant in mutants(source) if is_drawn(name, mutant, given.share)]
        results = []
        for mutant in some:
            is_noticed = noticed(name, mutant, TESTS[name])
            slower = THEN.get(name, ())
            results.append(is_noticed or (bool(slower) and noticed(name, mutant, slower)))
            if not results[-1]:
                print(f"{name}:{mutant.line}: {mutant.mistake}", flush=True)
        print(f"{name}: {sum(results)} of {len(results)} noticed", flush=True)
        tried, found = tried + len(results), found + sum(results)
    print(f"{found} of {tried} noticed: {found / max(tried, 1):.1%}")


main()
