"""The bytes of an image file, wherever it lies: on the disk, in an archive, in a table."""

import os
import stat
import zlib
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from reportgen.load.decode import MAX_BYTES, UnreadableImage

_HEADER = 30
"Bytes of a ZIP archive's header before a name."
_BOMB = 64 * 2**20
_RATIO = 200
"What is larger unpacked than the first, and so many times larger than packed, is no picture."
TOO_LARGE = f"The file is larger than {MAX_BYTES // 2**20} MB."


class Held(Hashable, Protocol):
    """A file inside another."""

    def read(self) -> bytes:
        """Its content; raises UnreadableImage."""


Location: TypeAlias = Path | Held


def content(location: Location) -> bytes:
    """The content of an image file.

    Raises:
        UnreadableImage: if it is too large, or is not what it was when it was listed.
    """
    if not isinstance(location, Path):
        return location.read()
    try:
        with opened(location) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise UnreadableImage(TOO_LARGE)
            return file.read(MAX_BYTES)
    except OSError as error:
        raise UnreadableImage(f"The file cannot be opened ({error.strerror}).") from error


def opened(location: Path) -> BinaryIO:
    """A regular file, open to be read.

    What was a file when the folder was listed may be a pipe by now: to open one must not wait for
    whoever writes to it.

    Raises:
        UnreadableImage: if it is something else.
    """
    file = open(location, "rb", opener=_without_waiting)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnreadableImage("This is not a regular file.")
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def part(location: Path, start: int, size: int) -> bytes:
    """`size` bytes of a file from `start` on.

    Raises:
        UnreadableImage: if they are not there.
    """
    try:
        with opened(location) as file:
            file.seek(start)
            data = file.read(size)
    except OSError as error:
        raise UnreadableImage(f"The archive cannot be opened ({error.strerror}).") from error
    if len(data) != size:
        raise UnreadableImage("The archive is cut short.")
    return data


def is_bomb(packed: int, size: int) -> bool:
    """Whether so many bytes in so few cannot be a picture."""
    return size > _BOMB and size > _RATIO * packed


@dataclass(frozen=True)
class InTar:
    """A member of a tar archive: a piece of it as it is."""

    archive: Path
    start: int
    size: int

    def read(self) -> bytes:
        """Its content; raises UnreadableImage."""
        return part(self.archive, self.start, self.size)


@dataclass(frozen=True)
class InZip:
    """A member of a ZIP archive, stored or deflated."""

    archive: Path
    header: int
    "Where its header begins."
    packed: int
    size: int
    checksum: int
    is_deflated: bool

    def read(self) -> bytes:
        """Its content, whole and of the stated size and checksum; raises UnreadableImage."""
        header = part(self.archive, self.header, _HEADER)
        if not header.startswith(b"PK\x03\x04"):
            raise UnreadableImage("The archive is damaged here.")
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        data = part(self.archive, self.header + _HEADER + names, self.packed)
        if self.is_deflated:
            unpacker = zlib.decompressobj(-15)
            try:
                data = unpacker.decompress(data, self.size + 1)
            except zlib.error as error:
                raise UnreadableImage("The archive is damaged here.") from error
        if len(data) != self.size or zlib.crc32(data) != self.checksum:
            raise UnreadableImage("The archive does not hold here what it states.")
        return data
