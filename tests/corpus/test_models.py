"""A hundred model files that are hostile, greedy, damaged, no models, or odd but good."""

import argparse
import contextlib
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reportgen.load.limits import Limits
from reportgen.load.model import load_model
from tests.conftest import SAMPLES, left_with
from tests.corpus.guards import state_of, watched
from tests.corpus.models_damaged import DAMAGED, STRANGE
from tests.corpus.models_greedy import GREEDY
from tests.corpus.models_hostile import HOSTILE
from tests.corpus.models_odd import ODD, Odd, everything, twin
from tests.corpus.runner import Capture, Case, checked
from tests.load.model_files import answers


def named(case: Case) -> str:
    return case.name.replace(" ", "-")


def refused(case: Case, folder: Path, image: Path, report: Path, capture: Capture) -> None:
    """Give a case to `reportgen build`, over a report that stands there already."""
    case.make(folder)
    words = ("build", folder / "model.pth", image, "-o", report, "-q")
    checked(case, words, capture, kept=(folder, report))
    assert not (folder / "canary").exists()


@pytest.mark.parametrize("case", HOSTILE, ids=named)
def test_a_file_that_asks_for_code_is_refused(
    case: Case, tmp_path: Path, good_image: Path, former_report: Path, capfd: Capture
) -> None:
    refused(case, tmp_path, good_image, former_report, capfd)


ARMED = [
    case for case in HOSTILE
    if re.match(r"posix|builtins\.(eval|exec)|timeit|runpy|pickle|marshal|torchvision", case.name)
]  # fmt: skip


@pytest.mark.parametrize("case", ARMED, ids=named)
def test_a_reader_that_runs_code_would_fall_for_it(case: Case, tmp_path: Path) -> None:
    """The guards would be of no use if the files did nothing to anybody."""
    case.make(tmp_path)
    with watched() as did, contextlib.suppress(Exception):
        torch.load(tmp_path / "model.pth", weights_only=False)
    assert (tmp_path / "canary").exists() or did, "nothing happened"


def test_what_training_saved_beside_the_weights_stays_out_of_the_report(
    good_image: Path, tmp_path: Path
) -> None:
    lenet = torch.load(SAMPLES / "lenet.pth", weights_only=True)
    secret = "a-secret-of-someone"
    beside = {"dirpath": Path(f"/home/{secret}"), "host": secret, "args": [secret]}
    beside |= {"args": argparse.Namespace(user=secret, data=Path(secret))}
    torch.save({"model": lenet, **beside, **everything()}, tmp_path / "model.pth")
    words = ("build", tmp_path / "model.pth", good_image, "-o", tmp_path / "report", "-q")
    arch = ("--arch", f"{SAMPLES / 'lenet.py'}:LeNet", "--sections", "weights")
    size = ("--input-size", 28, 28, "--mean", 0.286, "--std", 0.353)
    assert left_with(*words, *arch, *size) == 0
    files = [path for path in (tmp_path / "report").rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert secret.encode() not in path.read_bytes(), path.name


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits and tells memory so")
@pytest.mark.parametrize("case", GREEDY, ids=named)
def test_a_file_that_asks_for_too_much_ends_within_its_limits(
    case: Case,
    tmp_path: Path,
    good_image: Path,
    former_report: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peaks: list[int] = []

    def waited(process: int, options: int) -> tuple[int, int]:
        ended, status, usage = os.wait4(process, options)
        if ended:
            peaks.append(usage.ru_maxrss * 1024)
        return ended, status

    monkeypatch.setattr(os, "waitpid", waited)
    before = resident()
    refused(case, tmp_path, good_image, former_report, capfd)
    assert len(peaks) == 1
    size = (tmp_path / "model.pth").stat().st_size
    assert peaks[0] - before < Limits.for_file(size).memory
    assert resident() - before < 2**28, "the parent has taken none of it over"


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.parametrize("case", (*DAMAGED, *STRANGE), ids=named)
def test_what_is_no_whole_model_is_told_apart(
    case: Case, tmp_path: Path, good_image: Path, former_report: Path, capfd: Capture
) -> None:
    refused(case, tmp_path, good_image, former_report, capfd)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ODD, ids=named)
def test_an_odd_but_good_file_is_the_network_that_was_saved(
    case: Odd, tmp_path: Path, capfd: Capture
) -> None:
    case.make(tmp_path)
    file = tmp_path / case.file
    outcome = checked(case, ("inspect", file), capfd, kept=(tmp_path,))
    assert re.search(r"architecture *shufflenet_v2_x0_5 \(recognised", outcome.printed)
    assert outcome.told == ""
    found, expected = load_model(file).module, twin(case.dtype)
    assert torch.equal(answers(found), answers(expected))
    for name, value in expected.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(found.state_dict()[name], value.float()), name


REAL = {"posix.system zip", "pickle.loads legacy", "bytearray of 1024 GiB", "cut in the middle"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [c for c in (*HOSTILE, *GREEDY, *DAMAGED) if c.name in REAL], ids=named
)
def test_a_process_of_its_own_says_the_same(case: Case, tmp_path: Path) -> None:
    """Also where the environment asks torch to run the code in all files."""
    case.make(tmp_path)
    before = state_of(tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "reportgen", "inspect", tmp_path / "model.pth"],
        env={**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (case.code, "")
    assert len(run.stderr.splitlines()) == 1 and re.search(case.says, run.stderr)
    assert state_of(tmp_path) == before


def test_the_corpus_is_as_large_as_it_says() -> None:
    counts = [len(cases) for cases in (HOSTILE, GREEDY, DAMAGED, STRANGE, ODD)]
    assert counts == [44, 11, 8, 9, 33]
    names = [case.name for case in (*HOSTILE, *GREEDY, *DAMAGED, *STRANGE, *ODD)]
    assert len(set(names)) == len(names)
