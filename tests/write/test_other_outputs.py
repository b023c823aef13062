"""What is written beside reports is whole or not there: logs, settings, pruned networks."""

import errno
import itertools
from pathlib import Path

import pytest

import reportgen
from reportgen.loggers import tensorboard
from tests.conftest import SAMPLES
from tests.conftest import left_with as command_left_with
from tests.corpus.faults import Fault, failing, left_with, tree
from tests.python.networks import LABELS, MEAN, STD, pixels, small

FULL = Fault("full", ("write", "close", "mkdir", "open"), errno.ENOSPC, "the disk is full")


@pytest.fixture(scope="module")
def report() -> reportgen.Report:
    given = {"mean": MEAN, "std": STD, "device": "cpu", "sections": ("answers",)}
    return reportgen.build(small(), pixels(), labels=LABELS, **given)


def test_a_log_for_tensorboard_is_whole_or_not_there(
    report: reportgen.Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("tensorboard")
    for at in itertools.count(1):
        place = tmp_path / str(at)
        place.mkdir()
        monkeypatch.chdir(place)
        with failing(FULL, at) as counted:
            code = left_with(lambda: tensorboard.log(report.record, "run", 1))
        told = capsys.readouterr().err
        if not counted.was_hit:
            break
        if code:
            assert code == 6 and told.endswith("; run it where you may write\n")
            assert tree(place) == {}
        else:
            assert len([name for name in tree(place) if "tfevents" in name]) == 1
    (written,) = (place / "runs/run").iterdir()
    assert code == 0 and written.name.endswith(".reportgen")


def test_settings_are_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for at in itertools.count(1):
        with failing(FULL, at) as counted:
            code = command_left_with("init", "-o", "nightly.toml")
        told = capsys.readouterr().err
        if not counted.was_hit:
            break
        if code:
            assert code == 6 and told.count("\n") == 1 and "the disk is full" in told
            assert tree(tmp_path) == {}
        (tmp_path / "nightly.toml").unlink(missing_ok=True)
    assert code == 0 and (tmp_path / "nightly.toml").exists()


@pytest.mark.slow
def test_a_pruned_network_is_whole_or_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("prune", SAMPLES / "lenet.pth", SAMPLES / "fashion_mnist", "-q", "--arch")
    words += (f"{SAMPLES / 'lenet.py'}:LeNet", "--input-size", 28, 28, "--mean", 0.286)
    words += ("--std", 0.353, "-o", tmp_path / "p.pth")
    assert command_left_with(*words) == 0
    before = tree(tmp_path)
    full = Fault("full", ("fsync", "replace"), errno.ENOSPC, "the disk is full")
    for at in (1, 2, 3, 5, 6):
        capsys.readouterr()
        with failing(full, at) as counted:
            assert command_left_with(*words, "--force") == 6
        assert counted.was_hit and "p.pth (the disk is full)" in capsys.readouterr().err
        assert tree(tmp_path) == before
