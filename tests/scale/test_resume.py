"""A build that is killed goes on where it was, and ends with the bytes of one that was not."""

import io
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.faults import tree
from tests.scale.conftest import Launch, build_words

PAUSED = '{"noise": 0.1, "pause": 0.02}'
"A network that draws random numbers, and takes 20 ms a batch: 23 of them."


@pytest.fixture(scope="module")
def whole(launch: Launch, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a build that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    ended = launch(*build_words(sources, folder / "report", net=PAUSED))
    assert ended["codes"] == [0], ended
    assert [place.name for place in folder.iterdir()] == ["report"]
    return folder / "report"


def test_killed_at_several_moments_and_resumed_the_bytes_are_the_same(
    launch: Launch, sources: Path, whole: Path, tmp_path: Path
) -> None:
    words = build_words(sources, tmp_path / "report", "--checkpoint-every", 0, net=PAUSED)
    state = tmp_path / ".report.resume-0.npz"
    # In the middle of a batch, and most likely of a write too.
    for writes, seconds in ((1, 0.0), (4, 0.004), (3, 0.011)):
        ended = launch(*words, "--resume", kill=0, file=state, writes=writes, seconds=seconds)
        assert ended["codes"] == [-9], ended
        assert state.exists() and not (tmp_path / "report").exists()
    ended = launch(*words, "--resume")
    assert ended["codes"] == [0], ended
    assert tree(tmp_path / "report") == tree(whole)
    assert [place.name for place in tmp_path.iterdir()] == ["report"]


def test_a_state_of_another_run_is_refused_with_what_differs(
    launch: Launch, sources: Path, tmp_path: Path
) -> None:
    output = tmp_path / "report"
    words = build_words(sources, output, "--checkpoint-every", 0, net=PAUSED)
    state = tmp_path / ".report.resume-0.npz"
    launch(*words, kill=0, file=state, writes=2)
    kept = state.read_bytes()
    ended = launch(*words, "--seed", 1, "--resume")
    assert ended["codes"] == [2]
    assert "with other options;" in ended["told"][0].splitlines()[-1]
    assert state.read_bytes() == kept and not output.exists()
    array = io.BytesIO()
    np.save(array, np.arange(3))
    for damaged in (kept[:-400], array.getvalue()):
        state.write_bytes(damaged)
        ended = launch(*words, "--resume")
        assert ended["codes"] == [2]
        assert "cannot be read" in ended["told"][0].splitlines()[-1]


def test_without_resume_a_state_is_passed_over_and_goes_at_the_end(
    launch: Launch, sources: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / ".report.resume-0.npz").write_bytes(b"what somebody left")
    ended = launch(*build_words(sources, tmp_path / "report", net=PAUSED))
    assert ended["codes"] == [0], ended
    assert tree(tmp_path / "report") == tree(whole)
    assert [place.name for place in tmp_path.iterdir()] == ["report"]


def test_a_kill_after_the_pass_costs_nothing_of_it(
    launch: Launch, sources: Path, whole: Path, tmp_path: Path
) -> None:
    words = build_words(sources, tmp_path / "report", "--checkpoint-every", 0, net=PAUSED)
    assert launch(*words, kill=0, line="Activations")["codes"] == [-9]
    # The code that would run the images again is gone; the weights are what they were.
    ended = launch(*words, "--resume")
    assert ended["codes"] == [0], ended
    assert tree(tmp_path / "report") == tree(whole)
