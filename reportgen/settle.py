"""Waits until what was written is on the disk, where a power cut cannot take it."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_WAITING = 8
"Files that are waited for at a time."


def settle(places: Sequence[Path]) -> None:
    """Wait until files are on the disk; several at a time, for disks do them together."""
    with ThreadPoolExecutor(_WAITING) as threads:
        for _ in threads.map(_settle_one, places):
            pass


def _settle_one(place: Path) -> None:
    descriptor = os.open(place, os.O_RDWR)  # some systems refuse with O_RDONLY
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    with suppress(OSError):  # some disks cannot, and the files are there already
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
