"""A gzip file read from any place: how far it is unpacked, what of it stays, and what is said."""

import gzip
import itertools
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from reportgen.load import gzipped
from reportgen.load.decode import UnreadableImage
from reportgen.load.gzipped import Gzipped, InGzip, Unpacked

NOISE = np.random.default_rng(0).integers(0, 256, 3 * 2**20 + 2**19, dtype=np.uint8).tobytes()
"What does not get smaller when it is packed."


def packed(tmp_path: Path, *pieces: bytes) -> Path:
    """A file of several gzip streams one behind the other."""
    file = tmp_path / "x.gz"
    file.write_bytes(b"".join(gzip.compress(piece, 1) for piece in pieces))
    return file


def closed(*_: object) -> BinaryIO:
    raise AssertionError("the file is read again")


def test_a_way_back_is_a_million_bytes_at_most(tmp_path: Path) -> None:
    source = Gzipped(packed(tmp_path, NOISE))
    assert source.read(len(NOISE) - 1, 9) == NOISE[-1:]
    ends = [mark.end for mark in source._marks]
    assert ends[0] == 0 and len(ends) == 4
    assert all(2**20 <= b - a < 2**20 + 2**18 for a, b in itertools.pairwise(ends))


def test_marks_grow_rarer_and_stay_even(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzipped, "_MARKS", 4)
    monkeypatch.setattr(gzipped, "_BLOCK", 1024)
    source = Gzipped(packed(tmp_path, NOISE))
    source._spacing = 2**17
    source.read(len(NOISE) - 1, 1)
    ends = [mark.end for mark in source._marks]
    assert source._spacing == 2**20 and ends[0] == 0 and 3 <= len(ends) <= 4
    assert all(
        source._spacing <= b - a < source._spacing + 2**16 for a, b in itertools.pairwise(ends)
    )


def test_what_was_unpacked_last_needs_no_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 40 * 2**20
    source = Gzipped(packed(tmp_path, bytes(size)))
    assert source.read(size - 1, 1) == b"\0"
    kept = len(source._recent)
    assert 8 * 2**20 <= kept <= 16 * 2**20 + 2**18
    monkeypatch.setattr(gzipped, "opened", closed)
    assert source.read(size - kept, 5) == bytes(5)
    assert source.read(size - 5, 5) == bytes(5)
    with pytest.raises(AssertionError, match="read again"):
        source.read(size - kept - 1, 1)


def test_no_more_is_unpacked_than_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    file_of = gzipped.opened

    class Noted:
        def __init__(self, file: BinaryIO) -> None:
            self.file = file

        def __enter__(self) -> "Noted":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def seek(self, place: int) -> None:
            self.file.seek(place)

        def read(self, size: int) -> bytes:
            taken.append(size)
            return self.file.read(size)

    monkeypatch.setattr(gzipped, "opened", lambda location: Noted(file_of(location)))
    source = Gzipped(packed(tmp_path, bytes(2**23)))
    assert source.read(0, 2**18) == bytes(2**18)
    assert source._state.end == 2**18 and len(taken) == 1  # one step
    assert source.read(0, 2**18 + 1) == bytes(2**18 + 1)
    assert source._state.end == 2**19
    noise = Gzipped(packed(tmp_path, NOISE))
    taken.clear()
    assert noise.read(0, 2**20) == NOISE[: 2**20]
    assert 60 < len(taken) < 80 and max(taken) <= 2**14


def test_streams_follow_one_another_behind_any_padding(tmp_path: Path) -> None:
    file = packed(tmp_path, b"one")
    whole = file.read_bytes()
    for padding in (b"", b"\0", bytes(100_000)):
        file.write_bytes(whole + padding + gzip.compress(b"two") + padding)
        assert Gzipped(file).read(0, 100) == b"onetwo"
        assert Gzipped(file).read(2, 2) == b"et"
        assert Gzipped(file).read(6, 2) == b""
    for other in (b"X", b"X\0", b"\0X"):
        file.write_bytes(whole + other)
        assert Gzipped(file).read(0, 3) == b"one"
        with pytest.raises(UnreadableImage, match=r"^The gzip archive is (damaged|cut)"):
            Gzipped(file).read(0, 4)


def test_a_file_cut_short_says_so(tmp_path: Path) -> None:
    file = packed(tmp_path, NOISE[:50_000])
    file.write_bytes(file.read_bytes()[:-9])
    assert Gzipped(file).read(49_000, 9) == NOISE[49_000:49_009]
    with pytest.raises(UnreadableImage) as caught:
        Gzipped(file).read(49_000, 9_000)
    assert str(caught.value) == "The gzip archive is damaged (it is cut short)."
    with pytest.raises(UnreadableImage) as caught:
        Gzipped(tmp_path / "gone.gz").read(0, 1)
    assert str(caught.value) == "The archive cannot be read (No such file or directory)."


def test_no_more_is_read_at_once_than_a_picture_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gzipped, "MAX_BYTES", 3)
    source = Gzipped(packed(tmp_path, b"abcdef"))
    assert source.read(1, 3) == b"bcd"
    with pytest.raises(UnreadableImage) as caught:
        source.read(1, 4)
    assert str(caught.value) == "The archive asks for more memory than any picture needs."


def test_a_member_is_as_long_as_it_states(tmp_path: Path) -> None:
    source = Gzipped(packed(tmp_path, b"abcdef"))
    assert InGzip(source, 2, 4).read() == b"cdef"
    with pytest.raises(UnreadableImage, match=r"^The archive is cut short\.$"):
        InGzip(source, 3, 4).read()


def test_what_is_unpacked_is_read_as_a_file_is(tmp_path: Path) -> None:
    file = Unpacked(Gzipped(packed(tmp_path, b"abcdef")))
    assert (file.read(2), file.tell(), file.read(1), file.tell()) == (b"ab", 2, b"c", 3)
    assert (file.seek(1), file.tell(), file.read(9), file.tell()) == (1, 1, b"bcdef", 6)
    assert (file.read(9), file.seek(3, 0), file.read(1)) == (b"", 3, b"d")


def test_what_unpacks_to_far_too_much_is_refused(tmp_path: Path) -> None:
    source = Gzipped(packed(tmp_path, bytes(65 * 2**20)))
    assert source.read(63 * 2**20, 1) == b"\0"
    with pytest.raises(UnreadableImage) as caught:
        source.read(65 * 2**20 - 1, 1)
    assert str(caught.value) == "The archive unpacks to far more than pictures can."
