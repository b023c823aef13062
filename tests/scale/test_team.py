"""Several processes make the report that one makes, and end together when one of them fails."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corpus.faults import tree
from tests.scale.conftest import ROOT, SECTIONS, Launch, build_words

PAUSED = '{"pause": 0.02}'
SHARED = f"{SECTIONS},occlusion,gradients,visualisation"
PAINTED = ("--visualise", 6, "--visualise-also", "class:2")
"More units than go at a time, and a class: three pieces of work."


@pytest.fixture(scope="module")
def alone(launch: Launch, sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report that one process makes."""
    output = tmp_path_factory.mktemp("alone") / "report"
    ended = launch(*build_words(sources, output, *PAINTED, sections=SHARED))
    assert ended["codes"] == [0], ended
    return output


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Where two records differ: numbers with a fraction by more than a millionth of their size."""
    if type(one) is not type(other):
        yield f"{place}: {one!r} and {other!r}"
    elif isinstance(one, dict):
        if list(one) != list(other):
            yield f"{place}: {[*one]} and {[*other]}"
        for key in one.keys() & other.keys():
            yield from differences(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list):
        if len(one) != len(other):
            yield f"{place}: {len(one)} and {len(other)}"
        for index, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from differences(left, right, f"{place}[{index}]")
    elif isinstance(one, float):
        if not math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9):
            yield f"{place}: {one} and {other}"
    elif one != other:
        yield f"{place}: {one!r} and {other!r}"


def assert_same_report(one: Path, other: Path) -> None:
    """All of `report.json`, and every array."""
    records = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    assert list(differences(*records)) == []
    arrays = sorted(place.relative_to(one) for place in one.rglob("*.npz"))
    assert arrays and arrays == sorted(place.relative_to(other) for place in other.rglob("*.npz"))
    for name in arrays:
        with np.load(one / name) as left, np.load(other / name) as right:
            assert left.files == right.files
            for entry in left.files:
                if np.issubdtype(left[entry].dtype, np.floating):
                    np.testing.assert_allclose(right[entry], left[entry], rtol=1e-6, atol=1e-9)
                else:
                    np.testing.assert_array_equal(right[entry], left[entry])


def assert_same_bytes_of_single_images(one: Path, other: Path) -> None:
    """What was shared out by image, and every picture: nothing is added up in another order."""
    records = [json.loads((folder / "report.json").read_text()) for folder in (one, other)]
    made = [[i for i in record["images"] if i["is_pictured"]] for record in records]
    assert len(made[0]) == len(made[1]) == 3
    for left, right in zip(*made, strict=True):
        assert left["gradients"]["maps"] and left["occlusion"]["peak_drop"]
        assert left["gradients"] == right["gradients"]
        assert left["occlusion"] == right["occlusion"]
    pictures = [sorted((folder / "img").iterdir()) for folder in (one, other)]
    assert [place.name for place in pictures[0]] == [place.name for place in pictures[1]]
    for shared in ("smoothgrad", "unit-visualised", "class-visualised"):
        assert any(shared in place.name for place in pictures[0])
    painted = [painted_in(record) for record in records]
    assert [layer["kinds"] for layer in painted[0]] == [["unit"] * 6, ["class"]]
    for left, right in zip(*painted, strict=True):
        for found in ("kinds", "numbers", "reached", "means"):
            assert left[found] == right[found]
    for left, right in zip(*pictures, strict=True):
        assert left.read_bytes() == right.read_bytes(), left.name


def painted_in(record: Any) -> list[Any]:
    """What is told of the painted pictures of each layer that has some."""
    return [layer["visualisation"] for layer in record["layers"] if "visualisation" in layer]


def test_a_difference_is_found() -> None:
    assert list(differences({"a": [1.0, 2]}, {"a": [1.0 + 1e-8, 2]})) == []
    assert list(differences({"a": [1.0, 2]}, {"a": [1.0, 3]})) == [".a[1]: 2 and 3"]
    assert list(differences([1.0], [1.001])) == ["[0]: 1.0 and 1.001"]


@pytest.mark.parametrize("size", [2, 4])
def test_several_processes_make_the_report_of_one(
    launch: Launch, sources: Path, alone: Path, tmp_path: Path, size: int
) -> None:
    output = tmp_path / "report"
    ended = launch(*build_words(sources, output, *PAINTED, sections=SHARED), size=size)
    assert ended["codes"] == [0] * size, ended
    assert_same_report(alone, output)
    assert_same_bytes_of_single_images(alone, output)
    assert ended["told"][0].splitlines()[-1] == str(output)
    assert ended["told"][1:] == [""] * (size - 1)
    assert [place.name for place in tmp_path.iterdir()] == ["report"]


def test_memory_that_runs_out_on_one_process_changes_no_pictures(
    launch: Launch, sources: Path, alone: Path, tmp_path: Path
) -> None:
    """The second process has room for two images at a time, the first one for four."""
    whole = (sources / "net.py").read_text()
    start = "        time.sleep(self.pause)\n"
    scarce = (
        '        if __import__("os").environ["RANK"] == "1" and len(x) > 2:\n'
        "            raise torch.OutOfMemoryError\n"
    )
    (tmp_path / "net.py").write_text(whole.replace(start, scarce + start))
    output = tmp_path / "report"
    words = build_words(sources, output, *PAINTED, sections="visualisation")
    words[words.index("--arch") + 1] = f"{tmp_path / 'net.py'}:Net"
    ended = launch(*words, size=2)
    assert ended["codes"] == [0, 0], ended
    records = [json.loads((place / "report.json").read_text()) for place in (alone, output)]
    painted = [painted_in(record) for record in records]
    assert len(painted[0]) == 2 and list(differences(*painted)) == []


def test_what_is_wrong_for_all_is_told_once(launch: Launch, sources: Path, tmp_path: Path) -> None:
    ended = launch(*build_words(sources, tmp_path / "report", "--layers", "nothing"), size=2)
    assert ended["codes"] == [2, 2], ended
    told = [line for said in ended["told"] for line in said.splitlines() if "reportgen:" in line]
    assert len(told) == 1 and "nothing: no layer has such a name" in told[0], ended
    ended = launch("build", "--no-such-flag", size=2)
    assert ended["codes"] == [2, 2]
    assert "".join(ended["told"]).count("reportgen:") == 1


def test_what_is_wrong_for_one_ends_all(launch: Launch, sources: Path, tmp_path: Path) -> None:
    """The second process is told of weights that are not there."""
    words = build_words(sources, tmp_path / "report")
    (tmp_path / "net-0.pth").write_bytes((sources / "net.pth").read_bytes())
    words[1] = tmp_path / "net-RANK.pth"
    ended = launch(*words, size=2)
    assert ended["codes"] == [7, 4], ended
    told = [line for said in ended["told"] for line in said.splitlines() if "reportgen:" in line]
    assert len(told) == 1 and "net-1.pth" in told[0], ended
    assert [place.name for place in tmp_path.iterdir()] == ["net-0.pth"]


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_process_ends_the_others_and_resume_takes_it_up(
    launch: Launch, sources: Path, alone: Path, tmp_path: Path, dead: int
) -> None:
    output = tmp_path / "report"
    words = build_words(sources, output, "--checkpoint-every", 0, net=PAUSED)
    state = tmp_path / f".report.resume-{dead}.npz"
    ended = launch(*words, size=2, kill=dead, line="", file=state, writes=4)
    assert ended["codes"][dead] == -9, ended
    assert ended["codes"][1 - dead] == 7, ended
    last = ended["told"][1 - dead].splitlines()[-1]
    assert "Another of the 2 processes" in last and "--resume" in last
    assert not output.exists() and state.exists()
    refused = launch(*words, "--resume")
    assert refused["codes"] == [2] and "number of processes" in refused["told"][0]
    ended = launch(*words, "--resume", size=2)
    assert ended["codes"] == [0, 0], ended
    assert [place.name for place in tmp_path.iterdir()] == ["report"]
    words = build_words(sources, tmp_path / "again", net=PAUSED)
    assert launch(*words, size=2)["codes"] == [0, 0]
    assert tree(output) == tree(tmp_path / "again")


def test_one_that_dies_while_single_images_are_shared_out(
    launch: Launch, sources: Path, tmp_path: Path
) -> None:
    """After the pass, in the gradients of its image; the report of a resumed run is the same."""

    def words(output: Path) -> list[object]:
        return build_words(sources, output, net='{"pause": 0.1}', sections="gradients")

    output = tmp_path / "report"
    kept = (*words(output), "--checkpoint-every", 0)
    ended = launch(*kept, size=2, kill=1, heard=0, line="Gradients")
    assert ended["codes"] == [7, -9], ended
    assert "Another of the 2 processes" in ended["told"][0].splitlines()[-1]
    assert not output.exists()
    ended = launch(*kept, "--resume", size=2)
    assert ended["codes"] == [0, 0], ended
    assert launch(*words(tmp_path / "again"), size=2)["codes"] == [0, 0]
    assert tree(output) == tree(tmp_path / "again")


def test_torchrun_itself(sources: Path, alone: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    words = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    words += ["-m", "reportgen", *map(str, build_words(sources, output, *PAINTED, sections=SHARED))]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == str(output)
    assert_same_report(alone, output)


def test_damaged_images_are_left_out_on_every_process_and_after_a_resume(
    launch: Launch, sources: Path, tmp_path: Path
) -> None:
    """One looks well at its beginning, and is damaged behind it, in the share of the second."""
    images = tmp_path / "images"
    shutil.copytree(sources / "images", images)
    damaged = images / "bee" / "089.png"
    damaged.write_bytes(damaged.read_bytes()[:-60])
    outputs = [tmp_path / "one/report", tmp_path / "two/report", tmp_path / "killed/report"]
    words = [build_words(sources, output, net=PAUSED) for output in outputs]
    for some in words:
        some[2] = images
    assert launch(*words[0])["codes"] == [0]
    record = json.loads((outputs[0] / "report.json").read_text())
    assert [image["path"] for image in record["skipped"]] == ["bee/089.png"]
    ended = launch(*words[1], size=2)
    assert ended["codes"] == [0, 0], ended
    assert_same_report(outputs[0], outputs[1])
    state = outputs[2].with_name(".report.resume-0.npz")
    more = ("--checkpoint-every", 0, "--resume")
    launch(*words[2], *more, kill=0, file=state, writes=3)
    ended = launch(*words[2], *more)
    assert ended["codes"] == [0], ended
    assert (outputs[2] / "report.json").read_bytes() == (outputs[0] / "report.json").read_bytes()
