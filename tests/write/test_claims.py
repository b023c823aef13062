"""A folder is kept for one build from before it computes: who cannot write there learns it then."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from reportgen.errors import OutputError
from reportgen.write import (
    claimed,
    destination,
    exchange,
    locks,
    staging,
    write_file,
    write_site,
    write_together,
)
from tests.corpus.faults import left_with, tree

FILES = {"report.json": b"{}", "index.html": b"<p>" * 1000}
LOCKS = Path(__file__).parents[2] / "reportgen/write/locks.py"
NEW = {"report.json": b"{}", "index.html": b"<b>" * 1000}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "report"


def alone(output: Path) -> bool:
    return [place.name for place in output.parent.iterdir()] == [output.name]


def test_a_second_build_is_refused_at_once_and_the_first_is_whole(output: Path) -> None:
    write_site(FILES.items(), output)
    with claimed(output) as claim:
        before = tree(output.parent)
        with pytest.raises(OutputError, match="report is in use by another run of reportgen"):
            write_site(FILES.items(), output)
        with pytest.raises(OutputError, match=r"wait for it, or give another folder with -o$"):
            claimed(output).__enter__()
        assert tree(output.parent) == before
        write_site(FILES.items(), output.with_name("other"))
        claim.write(NEW.items())
    assert (output / "index.html").read_bytes() == NEW["index.html"]
    write_site(FILES.items(), output)
    assert sorted(place.name for place in output.parent.iterdir()) == ["other", "report"]


PROGRAM = """
import sys
from pathlib import Path
from reportgen.errors import OutputError
from reportgen.write import write_site
name, written = sys.argv[2], 0
while written < 10:
    files = {f"{name}{i}": name.encode() for i in range(20)} | {"report.json": b""}
    try:
        write_site(files.items(), Path(sys.argv[1]))
        written += 1
    except OutputError as error:
        assert "in use by another run" in str(error), error
"""


def test_two_runs_at_once_leave_one_whole_report(output: Path) -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(output), name], cwd=Path(__file__).parents[2]
        )
        for name in "ab"
    ]
    assert [run.wait() for run in runs] == [0, 0]
    names = {place.name[0] for place in output.iterdir() if place.name[0] not in ".r"}
    assert len(names) == 1 and len(list(output.iterdir())) == 22
    assert alone(output)


def test_a_run_that_never_ends_its_turn_is_not_waited_for_long(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.05)
    with locks.turn(output.parent), pytest.raises(OutputError, match="and does not end; stop it"):
        write_site(FILES.items(), output)
    write_site(FILES.items(), output)
    assert alone(output)


def test_a_run_waits_for_its_turn(output: Path) -> None:
    begun, steps = threading.Event(), []

    def other() -> None:
        with locks.turn(output.parent):
            begun.set()
            time.sleep(0.2)
            steps.append("other")

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait()
    with locks.turn(output.parent):
        steps.append("this")
    thread.join()
    assert steps == ["other", "this"]


def test_what_a_dead_run_left_is_cleared_and_nothing_else(output: Path) -> None:
    beside = output.parent
    for name in ("abcdefgh", "12345678", "________"):
        (beside / f".report.reportgen-{name}" / "layers").mkdir(parents=True)
    (beside / ".report.reportgen-abcdefgh/.reportgen").write_text("{}\n")
    (beside / ".report.reportgen-abcdefgh/layers/half.html").write_text("<p")
    (beside / ".report.reportgen-12345678/layers/thesis.tex").write_text("years of work")
    (beside / ".report.reportgen-mine").mkdir()
    (beside / ".other.reportgen-abcdefgh").mkdir()
    write_site(FILES.items(), output)
    assert sorted(place.name for place in beside.iterdir()) == [
        ".other.reportgen-abcdefgh",
        ".report.reportgen-12345678",
        ".report.reportgen-mine",
        "report",
    ]
    assert (beside / ".report.reportgen-12345678/layers/thesis.tex").exists()


def test_an_old_report_that_was_put_aside_comes_back(output: Path) -> None:
    """A run without a swap of folders was killed between its two renames."""
    write_site(FILES.items(), output)
    whole = tree(output)
    aside = output.with_name(".report.reportgen-abcdefgh-old")
    output.rename(aside)

    def files() -> Iterator[tuple[str, bytes]]:
        assert tree(output) == whole and not aside.exists()
        yield from NEW.items()

    write_site(files(), output)
    assert (output / "index.html").read_bytes() == NEW["index.html"] and alone(output)
    write_site(FILES.items(), aside)
    write_site(FILES.items(), output)
    assert alone(output), "where a report stands, one that was put aside is old"


@pytest.mark.parametrize("lacking", ["flock", "fcntl"])
def test_without_locks_others_are_left_alone(
    output: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def refused(*_: object) -> None:
        raise OSError(37, "No locks available")

    if lacking == "flock":
        monkeypatch.setattr(locks.fcntl, "flock", refused)
    else:
        monkeypatch.setattr(locks, "fcntl", None)
    with claimed(output):
        write_site(FILES.items(), output)
        assert len(list(output.parent.iterdir())) == 2
    assert alone(output)


Usage = namedtuple("Usage", "total used free")


def test_too_little_room_is_told_before_anything_is_made(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda _: Usage(0, 0, 999_999))
    with pytest.raises(
        OutputError, match=r"1\.0 MB are free on its disk and the report needs 1\.0"
    ):
        claimed(output).__enter__()
    assert not list(output.parent.iterdir())
    monkeypatch.setattr(destination.shutil, "disk_usage", lambda _: Usage(0, 0, 1_000_000))
    pictures = {f"img/{index}.png": bytes(4097) for index in range(200)}
    write_site((FILES | pictures).items(), output)
    (output / "img/0.png").unlink()
    room = 199 * 8192 + 2 * 4096
    before = tree(output.parent)
    for free, is_enough in ((room, True), (room - 1, False)):
        monkeypatch.setattr(destination.shutil, "disk_usage", lambda _, n=free: Usage(0, 0, n))
        if is_enough:
            with claimed(output):
                pass
        else:
            with pytest.raises(OutputError, match=r"needs 1\.6 MB, for the old one stays until"):
                claimed(output).__enter__()
    assert tree(output.parent) == before


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mounted, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"no disk may be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and told.startswith("reportgen: ")
    return told


def test_a_disk_that_is_really_full(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = disk / "report"
    write_site(FILES.items(), output)
    before = tree(disk)
    large = NEW | {f"img/{index}.png": os.urandom(100_000) for index in range(40)}
    assert left_with(lambda: write_site(large.items(), output)) == 6
    assert "report (the disk is full), so nothing was changed there" in one_sentence(capsys)
    assert tree(disk) == before
    single = disk / "report.html"
    assert left_with(lambda: write_file(single, bytes(5_000_000))) == 6
    assert "the disk is full" in one_sentence(capsys)
    (disk / "notes").write_bytes(bytes(2_500_000))
    assert left_with(lambda: write_file(disk / "notes", bytes(5_000_000), append=True)) == 6
    assert "the disk is full" in one_sentence(capsys)
    assert (disk / "notes").read_bytes() == bytes(2_500_000)
    files = {disk / "p.pth": bytes(10), disk / "notes": bytes(4_000_000)}
    assert left_with(lambda: write_together(files)) == 6
    assert not (disk / "p.pth").exists() and (disk / "notes").stat().st_size == 2_500_000
    assert left_with(lambda: claimed(output).__enter__()) == 6
    assert "make room, or give another folder" in capsys.readouterr().err.splitlines()[-1]
    (disk / "notes").unlink()
    assert tree(disk) == before


def test_a_disk_that_is_read_only(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_site(FILES.items(), disk / "report")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert left_with(lambda: claimed(disk / "report").__enter__()) == 6
    assert "report (the disk is read-only), so nothing was changed" in one_sentence(capsys)
    with pytest.raises(OutputError, match=r"summary\.md is where you may not write; give another"):
        destination.check_file(disk / "summary.md", disk / "report")


def test_where_a_disk_is_mounted_no_report_can_be(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(lambda: claimed(disk).__enter__()) == 6
    assert "is where a disk is mounted, which cannot be replaced; a folder" in one_sentence(capsys)


@pytest.mark.skipif(not hasattr(os, "fork") or os.getuid() != 0, reason="takes another user's part")
def test_a_parent_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for place in tmp_path.parents[:2]:
        place.chmod(0o755)
    child = os.fork()
    if not child:
        os.setuid(65534)
        os._exit(left_with(lambda: claimed(tmp_path / "report").__enter__()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
    assert not list(tmp_path.iterdir())


def test_what_vanishes_meanwhile(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def vanishing(place: Path) -> Iterator[tuple[str, bytes]]:
        yield from FILES.items()
        exchange.shutil.rmtree(place)

    write_site(FILES.items(), output)
    assert left_with(lambda: write_site(vanishing(output), output)) == 0
    assert (output / "index.html").exists(), "who removes the old report may have the new one"
    before = tree(output.parent)
    with claimed(output) as claim:
        assert left_with(lambda: claim.write(vanishing(claim.staging))) == 6
    assert "no such file or directory" in one_sentence(capsys)
    assert tree(output.parent) == before
    with claimed(output) as claim:

        def one_goes() -> Iterator[tuple[str, bytes]]:
            yield from FILES.items()
            (claim.staging / "index.html").unlink()

        assert left_with(lambda: claim.write(one_goes())) == 6
    assert "no such file or directory" in one_sentence(capsys)
    assert tree(output.parent) == before


def test_what_reads_back_otherwise_is_not_put_in_place(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_site(FILES.items(), output)
    before = tree(output.parent)
    with claimed(output) as claim:

        def damaged() -> Iterator[tuple[str, bytes]]:
            yield from NEW.items()
            (claim.staging / "index.html").write_bytes(b"<b>" * 999 + b"<c>")

        assert left_with(lambda: claim.write(damaged())) == 6
    assert "gives back something else than was written" in one_sentence(capsys)
    assert tree(output.parent) == before


def test_a_clock_that_runs_backwards_does_no_harm(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(10**9, 0, -(10**5)))
    monkeypatch.setattr(time, "time", lambda: next(moments))
    write_site(FILES.items(), output)
    first = (output / ".reportgen").read_bytes()
    write_site(FILES.items(), output)
    assert (output / ".reportgen").read_bytes() == first and alone(output)


def test_where_the_old_report_cannot_go_it_is_told(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_site(FILES.items(), output)
    unlink = Path.unlink

    def refused(self: Path, *, missing_ok: bool = False) -> None:
        if self.name == "index.html":
            raise OSError(1, "Operation not permitted")
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        written = write_site(NEW.items(), output)
    (left,) = (place for place in output.parent.iterdir() if place != output)
    assert written.warnings == (
        f"The report is written, but what stood in {output} before could not be removed at once "
        f"(operation not permitted): {left.name} beside it may go.",
    )
    assert (output / "index.html").read_bytes() == NEW["index.html"]
    write_site(NEW.items(), output)
    assert alone(output)


def test_signals_that_the_program_ignores_stay_ignored(output: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        write_site(
            (
                (name, content, os.kill(os.getpid(), signal.SIGINT))[:2]
                for name, content in FILES.items()
            ),
            output,
        )
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert alone(output)


def test_staging_is_private_to_its_target(output: Path) -> None:
    with claimed(output) as claim:
        assert claim.staging.parent == output.parent
        assert claim.staging.name.startswith(staging._prefix(output))


def test_a_system_without_such_locks_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = importlib.util.spec_from_file_location("locks_of_windows", LOCKS)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.opened(Path("/")) is None and module.is_ours(None) is None
    with module.turn(Path("nowhere")):
        pass
