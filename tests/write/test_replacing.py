"""A file that is replaced while a run lasts: the old one stands until the new one is whole."""

from pathlib import Path

import pytest

from reportgen.errors import OutputError
from reportgen.write.destination import MARKER
from reportgen.write.replacing import forget, replacing


def test_the_new_one_takes_the_place_of_the_old_one_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "state"
    for content in (b"first", b"second, and longer"):
        with replacing(place) as file:
            file.write(content[:3])
            assert not place.exists() or place.read_bytes() == b"first"
            file.write(content[3:])
        assert place.read_bytes() == content
    with pytest.raises(KeyboardInterrupt), replacing(place) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert place.read_bytes() == b"second, and longer"
    assert [left.name for left in tmp_path.iterdir()] == ["state"]


def test_a_full_disk_leaves_the_old_one_and_is_told(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"state \(the disk is full\)"), replacing(place):
        raise OSError(28, "No space left on device")
    assert place.read_bytes() == b"old"


def test_what_a_killed_run_left_of_a_new_one_goes_with_it(tmp_path: Path) -> None:
    place, begun = tmp_path / "state", tmp_path / ".state.reportgen-abcdefgh"
    begun.mkdir()
    (begun / MARKER).write_text("{}\n")
    (begun / "new").write_bytes(b"half")
    forget(place)
    assert list(tmp_path.iterdir()) == []
    place.write_bytes(b"old")
    forget(place)
    assert list(tmp_path.iterdir()) == []
