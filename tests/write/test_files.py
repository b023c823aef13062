"""Single files beside a report: whole or not at all, and nowhere that would do harm."""

import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from reportgen.errors import OutputError
from reportgen.write import Written, write_file, write_single, write_together
from reportgen.write.destination import check_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_new_replaced_or_added_to(tmp_path):
    file = tmp_path / "a.md"
    write_file(file, b"one")
    assert file.read_bytes() == b"one"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    write_file(file, b"two")
    write_file(file, b"three", append=True)
    write_file(tmp_path / "b.md", b"four", append=True)
    assert (file.read_bytes(), (tmp_path / "b.md").read_bytes()) == (b"twothree", b"four")
    assert names(tmp_path) == ["a.md", "b.md"]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "real.md").write_text("old")
    (tmp_path / "link.md").symlink_to("deep/real.md")
    write_file(tmp_path / "link.md", b"new")
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "deep" / "real.md").read_bytes() == b"new"
    assert names(tmp_path / "deep") == ["real.md"]


def test_what_is_no_plain_file_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"words")
    assert os.read(reader, 99) == b"words"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_fault_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    file = tmp_path / "a.md"
    write_file(file, b"old")

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fails)
        if call == "replace":
            patched.setattr(Path, call, fails)
        with pytest.raises(OutputError, match=r"a\.md \(the disk is full\).*; give another file$"):
            write_file(file, b"new")
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["a.md"]


def test_files_that_cannot_be_or_would_do_harm_are_refused(tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "report"
    photos.mkdir()
    model = tmp_path / "model.pth"
    model.write_bytes(b"weights")
    inputs = (model, photos)
    for path, reason in (
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "s.md", "lies in a folder that does not exist"),
        (output, "lies in the folder of the report"),
        (model, "is or lies among the model and the images"),
        (photos / "cat.png", "is or lies among the model and the images"),
    ):
        with pytest.raises(OutputError, match=reason):
            check_file(path, output, inputs)
    output.mkdir()
    with pytest.raises(OutputError, match="lies in the folder of the report"):
        check_file(output / "s.md", output, inputs)
    check_file(tmp_path / "s.md", output, inputs)
    assert names(tmp_path) == ["model.pth", "photos", "report"]


def test_a_pipe_that_nobody_reads_any_more_is_told(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def read_a_little():
        with pipe.open("rb", buffering=0) as reader:
            reader.read(1)

    reading = threading.Thread(target=read_a_little)
    reading.start()
    with pytest.raises(OutputError, match=r"pipe \(broken pipe\).*; give another file$"):
        write_file(pipe, bytes(10_000_000), append=True)
    reading.join()
    assert names(tmp_path) == ["pipe"]


def test_a_report_in_one_file_is_told_of(tmp_path):
    written = Written(tmp_path / "report", 3, 99)
    assert write_single(written, tmp_path / "r.html", b"<p>") == replace(
        written, single=tmp_path / "r.html", single_bytes=3
    )
    assert (tmp_path / "r.html").read_bytes() == b"<p>"


def test_files_that_belong_together_are_new_together(tmp_path):
    (tmp_path / "p.pt2").write_bytes(b"of an earlier run")
    files = {tmp_path / "p.pth": b"new", tmp_path / "p.pt2": None, tmp_path / "old": b"x"}
    write_together(files)
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == {
        "p.pth": b"new",
        "old": b"x",
    }


def test_a_folder_that_is_not_there_is_made_where_that_is_asked_for(tmp_path):
    with pytest.raises(OutputError, match=r"lies in a folder that does not exist; give another"):
        write_file(tmp_path / "runs/a/events", b"1")
    assert names(tmp_path) == []
    write_file(tmp_path / "runs/a/events", b"1", parents=True, hint="run it elsewhere")
    assert (tmp_path / "runs/a/events").read_bytes() == b"1"
    (tmp_path / "runs/file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"; run it elsewhere$"):
        write_file(tmp_path / "runs/file/x/events", b"1", parents=True, hint="run it elsewhere")
    assert names(tmp_path / "runs") == ["a", "file"]


@pytest.mark.parametrize("had_old", [True, False])
def test_files_that_can_neither_be_replaced_nor_put_back_are_named(tmp_path, monkeypatch, had_old):
    first, second = tmp_path / "p.pth", tmp_path / "p.pt2"
    if had_old:
        first.write_bytes(b"old")
    second.write_bytes(b"old")
    replaced, unlinked = Path.replace, Path.unlink

    def refuses(place, target=None, **_):
        raise OSError(5, "Input/output error")

    def once(place, target):
        """The disk fails for good after the first file."""
        monkeypatch.setattr(Path, "replace", refuses)
        monkeypatch.setattr(Path, "unlink", lambda p, **k: (refuses if p == first else unlinked)(p))
        return replaced(place, target)

    monkeypatch.setattr(Path, "replace", once)
    files = {first: b"new", second: b"new"}
    words = (
        r"p\.pth was replaced while what belongs to it could not be, and cannot be put back; run"
    )
    with pytest.raises(OutputError, match=words):
        write_together(files)
    monkeypatch.undo()
    assert (first.read_bytes(), second.read_bytes()) == (b"new", b"old")
    write_together(files)
    assert second.read_bytes() == b"new"
    assert names(tmp_path) == ["p.pt2", "p.pth"]
