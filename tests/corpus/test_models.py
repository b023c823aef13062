"""A hundred model files that are hostile, greedy, damaged, no models, or odd but good."""

from pathlib import Path

import pytest

from tests.corpus.models_hostile import HOSTILE
from tests.corpus.runner import Capture, Case, checked


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


def test_there_are_22_tricks_in_two_formats() -> None:
    assert len(HOSTILE) == 44 == len({case.name for case in HOSTILE})
