import errno
import os
import stat
import time
from pathlib import Path

import pytest

from reportgen.errors import OutputError
from reportgen.write import exchange, site, write_site
from reportgen.write.destination import checked

FILES = {
    "index.html": b"<p>one</p>",
    "report.json": b"{}",
    "img/a-1.png": b"\x89PNG" * 100,
    "layers/deep/x.html": b"",
}
NEW = {"index.html": b"<p>two</p>", "report.json": b"{}", "data/t.csv": b"a,b\n"}


@pytest.fixture
def output(tmp_path):
    return tmp_path / "report"


def content(folder):
    """Everything below a folder but the marker, as bytes by path; links as where they lead."""
    return {
        str(place.relative_to(folder)): str(place.readlink())
        if place.is_symlink()
        else place.read_bytes()
        for place in sorted(folder.rglob("*"))
        if (place.is_symlink() or place.is_file()) and place.name != ".reportgen"
    }


def only_child(output):
    """Whether nothing was left beside the report."""
    return [child.name for child in output.parent.iterdir()] == [output.name]


def test_a_new_folder_holds_the_files_and_nothing_is_left_beside_it(output):
    written = write_site(FILES.items(), output)
    assert content(output) == FILES
    assert (written.folder, written.count, written.bytes) == (output, 4, 412)
    assert only_child(output)


def test_the_summary_ends_with_the_folder(output):
    summary = write_site(FILES.items(), output).summary().splitlines()
    assert summary == [f"4 files, 0.0 MB; open {output}/index.html", str(output)]


def test_folders_on_the_way_are_made(tmp_path):
    write_site(FILES.items(), tmp_path / "a" / "b" / "report")
    assert content(tmp_path / "a" / "b" / "report") == FILES


def test_an_empty_folder_is_used(output):
    output.mkdir()
    write_site(FILES.items(), output)
    assert content(output) == FILES


def test_a_report_of_ours_is_replaced_whole(output):
    write_site(FILES.items(), output)
    write_site(NEW.items(), output)
    assert content(output) == NEW
    assert only_child(output)


def test_a_report_is_replaced_where_the_system_cannot_swap_folders(output, monkeypatch):
    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda name: object())
    write_site(FILES.items(), output)
    write_site(NEW.items(), output)
    assert content(output) == NEW
    assert only_child(output)


def test_modes_do_not_depend_on_the_umask(output):
    before = os.umask(0o077)
    try:
        write_site(FILES.items(), output)
    finally:
        os.umask(before)
    for place in (output, *output.rglob("*")):
        assert stat.S_IMODE(place.stat().st_mode) == (0o755 if place.is_dir() else 0o644), place


def test_the_same_file_may_come_twice_but_not_two_of_one_name(output):
    assert write_site([*FILES.items(), *FILES.items()], output).count == 4
    with pytest.raises(ValueError, match=r"two files of the report are named .INDEX\.html."):
        write_site([*FILES.items(), ("INDEX.html", FILES["index.html"])], output)
    with pytest.raises(ValueError, match=r"two files of the report are named 'index\.html'"):
        write_site([*FILES.items(), ("index.html", b"other")], output)
    assert content(output) == FILES


@pytest.mark.parametrize(
    "name",
    [
        "/etc/x",
        "../x",
        "a/../x",
        "a/..",
        ".",
        "",
        "a//b",
        "a/",
        "a\\b",
        "é.html",
        "a b",
        ".reportgen",
    ],
)
def test_unsafe_names_are_refused_and_nothing_stays(output, name):
    with pytest.raises(ValueError, match=r"may not hold a file named"):
        write_site([("index.html", b""), (name, b"")], output)
    assert not list(output.parent.iterdir())


def test_a_dot_file_may_be_written(output):
    write_site([*FILES.items(), (".nojekyll", b"")], output)
    assert (output / ".nojekyll").read_bytes() == b""


def test_a_foreign_folder_is_refused_even_by_force(output):
    output.mkdir()
    (output / "thesis.tex").write_text("years of work")
    for force in (False, True):
        with pytest.raises(OutputError, match="is not empty and holds no report of ours"):
            write_site(FILES.items(), output, force=force)
    assert content(output) == {"thesis.tex": b"years of work"}
    assert only_child(output)


def test_a_marker_alone_does_not_make_a_report(output):
    output.mkdir()
    (output / ".reportgen").write_text('{"files": {"thesis.tex": ""}}')
    (output / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="holds no report of ours"):
        write_site(FILES.items(), output, force=True)


def test_a_file_that_is_not_ours_stops_the_build_and_survives_force(output):
    write_site(FILES.items(), output)
    (output / "notes").mkdir()
    (output / "notes/mine.txt").write_text("keep me")
    (output / "notes/link").symlink_to("mine.txt")
    (output / "folder-link").symlink_to(output.parent)
    with pytest.raises(
        OutputError, match=r"folder-link \(and 2 more\) did not come from reportgen"
    ):
        write_site(NEW.items(), output)
    assert content(output).keys() == FILES.keys() | {
        "notes/mine.txt",
        "notes/link",
        "folder-link",
    }
    write_site(NEW.items(), output, force=True)
    assert content(output) == NEW | {
        "notes/mine.txt": b"keep me",
        "notes/link": "mine.txt",
        "folder-link": str(output.parent),
    }
    assert only_child(output)


def test_files_are_kept_on_a_disk_without_links(output, monkeypatch):
    write_site(FILES.items(), output)
    (output / "mine.txt").write_text("keep me")

    def no_links(*args, **kwargs):
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", no_links)
    write_site(NEW.items(), output, force=True)
    assert content(output) == NEW | {"mine.txt": b"keep me"}
    assert only_child(output)


def test_a_file_that_the_new_report_would_overwrite_is_not_lost(output):
    write_site(FILES.items(), output)
    (output / "data").mkdir()
    (output / "data/t.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"data/t\.csv did not come from reportgen and the new"):
        write_site(NEW.items(), output, force=True)
    assert content(output) == FILES | {"data/t.csv": b"mine"}
    assert only_child(output)


def test_an_edited_file_is_replaced_only_by_force(output):
    write_site(FILES.items(), output)
    (output / "index.html").write_text("my words")
    with pytest.raises(OutputError, match=r"index\.html was changed since"):
        write_site(NEW.items(), output)
    assert (output / "index.html").read_text() == "my words"
    write_site(NEW.items(), output, force=True)
    assert content(output) == NEW


def test_what_a_file_browser_leaves_is_no_hindrance(output):
    write_site(FILES.items(), output)
    (output / "img/.DS_Store").write_bytes(b"\0")
    write_site(NEW.items(), output)
    assert content(output) == NEW
    assert only_child(output)


def refused(output, message, inputs=()):
    with pytest.raises(OutputError, match=message) as error:
        write_site(FILES.items(), output, inputs=inputs, force=True)
    assert "\n" not in str(error.value)


def test_dangerous_places_are_refused(tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "home/here"
    here.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    (tmp_path / "repository/.git").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(here)
    (tmp_path / "dangling").symlink_to("nowhere")
    refused(Path("/"), "is the root of the disk")
    refused(home, "is or holds your home folder")
    refused(tmp_path, "is or holds your home folder")
    refused(Path(), "is or holds the folder you are in")
    refused(Path("x/.."), "is or holds the folder you are in")
    refused(tmp_path / "repository", "is the root of a git repository")
    refused(tmp_path / "file", "is a file")
    refused(tmp_path / "file/report", "lies below a file")
    refused(tmp_path / "link", "is a symbolic link")
    refused(tmp_path / "dangling", "is a symbolic link")
    assert sorted(place.name for place in tmp_path.iterdir()) == sorted(
        ["home", "repository", "file", "link", "dangling"]
    )


def test_the_places_of_the_inputs_are_refused(tmp_path):
    images, model = tmp_path / "images", tmp_path / "models/m.pth"
    images.mkdir()
    model.parent.mkdir()
    model.touch()
    inputs = (model, images)
    refused(images, "is or holds .*images, which the report is made from", inputs)
    refused(tmp_path, "is or holds .*which the report is made from", inputs)
    refused(model.parent, r"is or holds .*m\.pth", inputs)
    refused(images / "report", "so the next build would take its pictures for images", inputs)
    write_site(FILES.items(), tmp_path / "models/report", inputs=inputs)


def test_the_check_alone_writes_nothing(tmp_path):
    assert checked(tmp_path / "a/report") == tmp_path / "a/report"
    assert not list(tmp_path.iterdir())


def test_a_short_write_is_continued(output, monkeypatch):
    original = os.write
    monkeypatch.setattr(os, "write", lambda file, data: original(file, bytes(data)[:3]))
    write_site(FILES.items(), output)
    monkeypatch.undo()
    assert content(output) == FILES


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, OSError])
def test_an_end_in_the_middle_leaves_no_trace(output, error):
    def files():
        yield from FILES.items()
        raise error("stop")

    with pytest.raises(error, match="stop"):
        write_site(files(), output.parent / "new/report")
    assert not list(output.parent.iterdir())
    write_site(NEW.items(), output)
    with pytest.raises(error, match="stop"):
        write_site(files(), output)
    assert content(output) == NEW
    assert only_child(output)


def test_an_interrupt_at_the_exchange_leaves_one_whole_report(output, monkeypatch):
    write_site(FILES.items(), output)
    original = site.exchange

    def interrupted(staging, target):
        original(staging, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(site, "exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_site(NEW.items(), output)
    assert content(output) == NEW
    assert only_child(output)


def test_a_failed_exchange_without_swap_puts_the_old_report_back(output, monkeypatch):
    write_site(FILES.items(), output)
    monkeypatch.setattr(exchange.ctypes, "CDLL", lambda name: object())
    rename = Path.rename

    def second_fails(self, target):
        if Path(target) == output and "-old" not in self.name:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(OutputError, match="input/output error"):
        write_site(NEW.items(), output)
    assert content(output) == FILES
    assert only_child(output)


def test_folders_that_only_look_like_ours_are_left_alone(output):
    other = output.parent / ".report.reportgen-mine"
    other.mkdir()
    (other / "thesis.tex").touch()
    write_site(FILES.items(), output)
    assert (other / "thesis.tex").exists()


def test_the_same_files_give_the_same_folder_at_any_time(output):
    write_site(FILES.items(), output)
    first = (output / ".reportgen").read_bytes()
    time.sleep(0.01)
    write_site(reversed(FILES.items()), output.parent / "other")
    assert (output.parent / "other/.reportgen").read_bytes() == first


def test_a_listed_name_that_is_no_file_any_more_is_not_ours(output):
    write_site(FILES.items(), output)
    (output / "index.html").unlink()
    os.mkfifo(output / "index.html")
    with pytest.raises(OutputError, match=r"index\.html was changed since"):
        write_site(NEW.items(), output)
    (output / "index.html").unlink()
    (output / "index.html").symlink_to("report.json")
    with pytest.raises(OutputError, match=r"index\.html was changed since"):
        write_site(NEW.items(), output)
    (output / ".reportgen").unlink()
    os.mkfifo(output / ".reportgen")
    with pytest.raises(OutputError, match="holds no report of ours"):
        write_site(NEW.items(), output)


@pytest.mark.parametrize("marker", ["", "[]", "[" * 99_999, '{"files": 3}', '{"files": {}}', "\0"])
def test_a_marker_that_is_none_is_none(output, marker):
    write_site(FILES.items(), output)
    (output / ".reportgen").write_text(marker)
    with pytest.raises(OutputError, match="holds no report of ours"):
        write_site(NEW.items(), output, force=True)


def test_empty_folders_of_others_stay(output):
    (output / "notes/later").mkdir(parents=True)
    with pytest.raises(OutputError, match="is not empty and holds no report of ours"):
        write_site(FILES.items(), output)
    (output / "notes/later").rmdir()
    (output / "notes").rmdir()
    write_site(FILES.items(), output)
    (output / "img/a-1.png").unlink()
    (output / "notes/later").mkdir(parents=True)
    with pytest.raises(OutputError, match="in which notes/later did not come from reportgen"):
        write_site(NEW.items(), output)
    write_site(NEW.items(), output, force=True)
    assert (output / "notes/later").is_dir() and not (output / "img").exists()
    assert content(output) == NEW and only_child(output)
