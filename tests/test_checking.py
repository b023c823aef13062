"""All processes of a run must see the same network and images before they share them."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from PIL import Image

from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.checking import checked_by_all
from reportgen.errors import EndedError, OptionError
from reportgen.load.image_set import ImageSet
from reportgen.load.images import image_set
from reportgen.making import _outcome
from reportgen.probe.passing import Rows
from reportgen.progress import Progress
from reportgen.report.records import Preprocessing

PREPARED = Preprocessing(6, 9, 6, "bilinear", (0.5,) * 3, (0.5,) * 3, 3, "stated", is_assumed=False)


class Recorder:
    """The second of two processes, whose words are kept."""

    rank, size = 1, 2

    def __init__(self) -> None:
        self.said: list[Rows] = []

    def gathered(self, rows: Rows | None) -> Iterator[Rows]:
        assert rows is not None
        self.said.append(rows)
        yield from ()

    def told(self, rows: Rows | None) -> Rows:
        raise InterruptedError


class First:
    """The first of two processes, to which the other has said something."""

    rank, size = 0, 2

    def __init__(self, said: list[Rows]) -> None:
        self.said = said
        self.told_all = False

    def gathered(self, rows: Rows | None) -> Iterator[Rows]:
        yield from self.said

    def told(self, rows: Rows | None) -> Rows:
        assert rows is not None
        self.told_all = True
        return rows


def pictures(folder: Path, levels: tuple[int, ...]) -> ImageSet:
    folder.mkdir()
    for place, level in enumerate(levels):
        pixels = np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3) + np.uint8(level)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    return image_set([folder], PREPARED, is_checked=False)


def said_by_another(images: ImageSet, model: str) -> list[Rows]:
    other = Recorder()
    with pytest.raises(InterruptedError):
        checked_by_all(images, other, model)
    return other.said


def test_the_same_files_are_shared(tmp_path: Path) -> None:
    said = said_by_another(pictures(tmp_path / "a", (1, 2, 3)), "m")
    found = checked_by_all(pictures(tmp_path / "b", (1, 2, 3)), First(said), "m")
    assert [file.path for file in found.files] == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(
    ("levels", "model"), [((1, 2, 4), "m"), ((1, 2), "m"), ((1, 2, 3), "another")], ids=str
)
def test_other_files_end_the_run_on_every_process(
    levels: tuple[int, ...], model: str, tmp_path: Path
) -> None:
    first = First(said_by_another(pictures(tmp_path / "a", levels), model))
    with pytest.raises(OptionError, match="do not have the same model and images"):
        checked_by_all(pictures(tmp_path / "b", (1, 2, 3)), first, "m")
    assert first.told_all, "else the others would wait"


def test_a_process_that_ended_is_no_section_that_could_not_be_made() -> None:
    def run(study: Study) -> Outcome:
        raise EndedError("Another process ended.")

    study = cast(Study, SimpleNamespace(evidence=SimpleNamespace(task="classify")))
    with pytest.raises(EndedError):
        _outcome(Analysis("x", "X", "image", run), study, Progress(quiet=True))
