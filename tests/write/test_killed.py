"""Real processes that are killed or interrupted at any moment: one whole report, nothing beside."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from reportgen.write import write_site
from reportgen.write.destination import MARKER
from tests.conftest import LENET_WORDS, SAMPLES
from tests.corpus.faults import tree
from tests.write.killer import BEGUN, PREPARED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and reaps as Linux does")

Run: TypeAlias = Callable[..., dict[str, Any]]
ROOT = Path(__file__).parents[2]


def started(what: str) -> Iterator[Run]:
    """A process that runs commands and ends them."""
    server = subprocess.Popen(
        [sys.executable, ROOT / "tests/write/killer.py", what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )

    def run(
        *words: object, number: int = 0, line: str = "", seconds: float = 0.0
    ) -> dict[str, Any]:
        asked = {"words": [str(word) for word in words], "signal": number}
        assert server.stdin and server.stdout
        print(
            json.dumps({**asked, "line": line, "seconds": seconds}), file=server.stdin, flush=True
        )
        answer: dict[str, Any] = json.loads(server.stdout.readline())
        return answer

    with server:
        yield run
        assert server.stdin
        server.stdin.close()


@pytest.fixture(scope="module")
def writer() -> Iterator[Run]:
    yield from started("writing")


@pytest.fixture(scope="module")
def command() -> Iterator[Run]:
    yield from started("command")


def content(folder: Path) -> dict[str, bytes]:
    """The files of a report but its marker."""
    files = (place for place in folder.rglob("*") if place.is_file() and place.name != MARKER)
    return {place.relative_to(folder).as_posix(): place.read_bytes() for place in files}


def test_killed_at_fifty_moments_one_whole_report_stands(writer: Run, tmp_path: Path) -> None:
    output = tmp_path / "report"
    write_site(PREPARED[0].items(), output)
    moments = random.Random(7)
    left = 0
    for _ in range(50):
        ended = writer(output, number=signal.SIGKILL, seconds=moments.uniform(0, 0.1))
        assert ended["code"] == -signal.SIGKILL, ended
        assert content(output) in PREPARED
        left += len(list(tmp_path.iterdir())) - 1
        write_site(PREPARED[0].items(), output)
        assert content(output) == PREPARED[0]
        assert [place.name for place in tmp_path.iterdir()] == ["report"]
    assert left, "no moment was in the middle of anything"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_killed_where_nothing_stood(writer: Run, tmp_path: Path, number: int, code: int) -> None:
    """Without the command around it, a signal ends a process as Python does; no half is left."""
    for moment in (0.005, 0.02, 0.05):
        writer(tmp_path / "report", number=number, seconds=moment)
        found = tree(tmp_path)
        assert not (tmp_path / "report").exists() or content(tmp_path / "report") in PREPARED
        if number == signal.SIGINT:
            assert not [name for name in found if name.startswith(".")]


SMALL = ("--sections", "answers,activations,occlusion", "--max-images", 1, "--visualise", 0)
"Sections with pictures, figures that workers draw, and little to compute."


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """A build of LeNet on three images."""
    photos = tmp_path_factory.mktemp("killed") / "photos"
    photos.mkdir()
    for index, photo in enumerate(sorted((SAMPLES / "fashion_mnist").rglob("*.png"))[:3]):
        shutil.copy(photo, photos / f"{index}.png")
    return (*LENET_WORDS[:2], photos, *LENET_WORDS[3:], *SMALL)


STAGES = (BEGUN, "Loading the network", "Running the network", "Occlusion", "Writing")
"Lines of the progress behind which a signal comes."


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_build_that_is_interrupted_leaves_nothing(
    stage: str, number: int, code: int, command: Run, words: tuple[object, ...], tmp_path: Path
) -> None:
    moments = random.Random(stage)
    for _ in range(2):
        ended = command(
            *words,
            *("-o", tmp_path / "new/report"),
            number=number,
            line=stage,
            seconds=moments.uniform(0, 0.1),
        )
        told = ended["told"].splitlines()
        assert (ended["code"], ended["outlived"]) == (code, 0), ended
        assert told[-1].endswith("nothing half-written was left.") and "Traceback" not in told
        assert tree(tmp_path) == {}
