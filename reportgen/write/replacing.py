"""A file that is replaced again and again while a run lasts, and goes with it at its end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from reportgen.write.destination import told
from reportgen.write.exchange import sync
from reportgen.write.interrupts import Held
from reportgen.write.staging import staged

_HINT = "give another folder with -o"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file, open to be written, that takes the place of the old one at the end of the block.

    Whoever is killed in between leaves the old one.

    Raises:
        OutputError: if it cannot be written.
    """
    with staged(path, path, _HINT) as staging, told(path, _HINT):
        new = staging / "new"
        with new.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with Held():
            new.replace(path)
            sync(path.parent)


def forget(path: Path) -> None:
    """Remove such a file, and what a run that was killed left of a new one.

    Raises:
        OutputError: if it cannot be removed.
    """
    with staged(path, path, _HINT), told(path, _HINT):
        path.unlink(missing_ok=True)
