"""A gzip file read from any place as what it unpacks to, in memory that does not grow with it."""

import io
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from reportgen.load.content import is_bomb, opened
from reportgen.load.decode import MAX_BYTES, UnreadableImage

_GZIP = 31
"What tells zlib of gzip's header and checksum."
_BLOCK = 2**14
_PIECE = 2**18
"Bytes packed and unpacked that are looked at in one step."
_RECENT = 8 * 2**20
"Bytes kept behind: what workers ask for a little out of order needs no way back."
_MARKS = 512
"Places, at most, from which unpacking can go on; each takes about 60 kB."


@dataclass
class _State:
    """How far a file is unpacked."""

    unpacker: "zlib._Decompress"
    read: int = 0
    "Bytes of the file that were taken."
    rest: bytes = b""
    "Those among them that are not unpacked yet."
    end: int = 0
    "Bytes unpacked."

    def copy(self) -> "_State":
        return _State(self.unpacker.copy(), self.read, self.rest, self.end)


class Gzipped:
    """What a gzip file unpacks to.

    A way back begins at one of a few hundred marks, which grow rarer the longer the file is.
    """

    def __init__(self, location: Path) -> None:
        self._location = location
        self._lock = threading.Lock()
        self._state = _State(zlib.decompressobj(_GZIP))
        self._marks = [self._state.copy()]
        self._spacing = 2**20
        self._recent = bytearray()

    def read(self, start: int, size: int) -> bytes:
        """Up to `size` bytes from `start` on; fewer at the end.

        Raises:
            UnreadableImage: if the file is damaged, or unpacks to far more than pictures can.
        """
        if size > MAX_BYTES:
            raise UnreadableImage("The archive asks for more memory than any picture needs.")
        with self._lock:
            try:
                return self._read(start, size)
            except OSError as error:
                raise UnreadableImage(f"The archive cannot be read ({error.strerror}).") from error
            except (zlib.error, EOFError) as error:
                raise UnreadableImage(f"The gzip archive is damaged ({error}).") from error

    def _read(self, start: int, size: int) -> bytes:
        if start < self._state.end - len(self._recent):
            mark = max((m for m in self._marks if m.end <= start), key=lambda mark: mark.end)
            self._state, self._recent = mark.copy(), bytearray()
        if self._state.end < start + size:
            with opened(self._location) as file:
                while self._state.end < start + size and self._step(file):
                    # All that is asked for, and a little more, stays.
                    surplus = len(self._recent) - max(_RECENT, self._state.end - start)
                    if surplus > _RECENT:
                        del self._recent[:surplus]
        first = start - (self._state.end - len(self._recent))
        return bytes(self._recent[first : first + size])

    def _step(self, file: BinaryIO) -> bool:
        """Unpacks a piece more; False at the end."""
        state = self._state
        if not state.rest:
            file.seek(state.read)
            state.rest = file.read(_BLOCK)
            state.read += len(state.rest)
        if state.unpacker.eof:
            # Another gzip stream may follow, as pigz and cat make them; padding may, too.
            is_more = bool(state.rest)
            state.rest = state.rest.lstrip(b"\0")
            if not state.rest:
                return is_more
            state.unpacker = zlib.decompressobj(_GZIP)
        elif not state.rest:
            raise EOFError("it is cut short")
        piece = state.unpacker.decompress(state.rest, _PIECE)
        state.rest = state.unpacker.unused_data or state.unpacker.unconsumed_tail
        state.end += len(piece)
        self._recent += piece
        if is_bomb(state.read, state.end):
            raise UnreadableImage("The archive unpacks to far more than pictures can.")
        if state.end >= self._marks[-1].end + self._spacing and not state.unpacker.eof:
            self._mark(state)
        return True

    def _mark(self, state: _State) -> None:
        self._marks.append(state.copy())
        if len(self._marks) > _MARKS:
            self._marks = self._marks[::2]
            self._spacing *= 2


class Unpacked(io.RawIOBase):
    """The same as a file that can be read in order, for whoever lists an archive."""

    def __init__(self, source: Gzipped) -> None:
        self._source = source
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes."""
        data = self._source.read(self._at, size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a place, counted from the start."""
        self._at = offset
        return offset

    def tell(self) -> int:
        """The place that is read next."""
        return self._at


@dataclass(frozen=True)
class InGzip:
    """A member of a gzipped tar archive."""

    archive: Gzipped
    start: int
    size: int

    def read(self) -> bytes:
        """Its content; raises UnreadableImage."""
        data = self.archive.read(self.start, self.size)
        if len(data) != self.size:
            raise UnreadableImage("The archive is cut short.")
        return data
