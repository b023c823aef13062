"""Gates and summary from the command line: what is refused, told, shown and kept."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from reportgen.gates.comparing import COMPARED_NUMBERS
from reportgen.report.store import load_report
from tests.conftest import left_with

SOURCE = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        )
"""
DEAD = (1, 6)
"Of the eight units of the ReLU."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with two dead filters of eight, and six images in one folder a class."""
    made = tmp_path_factory.mktemp("gates")
    (made / "net.py").write_text(SOURCE)
    torch.manual_seed(0)
    conv, head = nn.Conv2d(1, 8, 3), nn.Linear(8, 2)
    with torch.no_grad():
        # Each unit sees the brightness; two are pushed below zero for good.
        conv.weight.fill_(1 / 9)
        conv.bias.fill_(0.1)
        conv.weight[list(DEAD)], conv.bias[list(DEAD)] = 0.0, -1.0
        head.weight[0], head.weight[1], head.bias[:] = -1.0, 1.0, torch.tensor([3.0, -3.0])
    torch.save(
        nn.Sequential(conv, nn.ReLU(), nn.Identity(), nn.Identity(), head).state_dict(),
        made / "net.pth",
    )
    for name, levels in (("bright", (250, 240, 30)), ("dark", (0, 10, 20))):
        (made / "images" / name).mkdir(parents=True)
        for level in levels:
            Image.new("L", (12, 10), level).save(made / "images" / name / f"{level}.png")
    return made


def words(folder: Path, *more: object, images: str = "images") -> tuple[object, ...]:
    stated = ("--arch", f"{folder / 'net.py'}:Net", "--input-size", 10, 12, "--mean", 0, "--std", 1)
    named = ("--labels", folder / "labels.txt", "--sections", "dead_filters,weights,answers", "-q")
    (folder / "labels.txt").write_text("dark\nbright\n")
    return ("build", folder / "net.pth", folder / images, *stated, *named, *more)


def test_a_gate_that_holds_exits_with_1_and_the_report_stands(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, summary = tmp_path / "out", tmp_path / "s.md"
    conditions = ("dead>20%", "accuracy<0.9", "nonfinite>0", "dead[1]>=25%")
    flags = [word for condition in conditions for word in ("--fail-on", condition)]
    code = left_with(*words(folder, *flags, "--summary-file", summary, "-o", out))
    printed = capsys.readouterr()
    assert code == 1
    assert printed.out.splitlines()[-1] == str(out)
    assert printed.err.splitlines() == [
        "reportgen: 3 of 4 gates failed:",
        "  dead>20%  (25 %)",
        "  accuracy<0.9  (83.3 %)",
        "  dead[1]>=25%  (1: 25 %)",
    ]
    report = json.loads((out / "report.json").read_text())
    assert [gate["outcome"] for gate in report["gates"]] == [
        "tripped",
        "tripped",
        "passed",
        "tripped",
    ]
    assert report["gates"][0]["value"] == len(DEAD) / 8
    assert report["gates"][1]["value"] == report["accuracy"] == 5 / 6
    text = (out / "index.html").read_text()
    assert '<section id="gates"' in text
    assert "3 of 4 failed" in text and text.count("Passed:") == 1
    assert "--fail-on 'dead&gt;20%'" in text.replace("&#39;", "'")
    assert "### Gates: 3 of 4 failed" in summary.read_text()
    assert str(tmp_path) not in summary.read_text() and str(folder) not in summary.read_text()


def test_gates_that_pass_exit_with_0(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = ("--fail-on", "dead>25%", "--fail-on", "failed>0", "--fail-on", "dead_filters.dead!=2")
    assert left_with(*words(folder, *gates, "-o", tmp_path / "out")) == 0
    assert capsys.readouterr().err == ""
    assert "All 3 passed" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("ded>5%", "there is no ded; the nearest is dead"),
        ("dead>5", "dead is a share"),
        ("dead=5%", "is no condition"),
        ("trust.steps>3", "the section trust is not made"),
        ("findings[activation-scale]>0", "no section that is made finds such a thing"),
        ("compare:accuracy_drop>0", "one report is not a comparison"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_the_model_is_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], condition: str, sentence: str
) -> None:
    (_, _, *rest) = words(folder, "--fail-on", condition, "-o", tmp_path / "out")
    assert left_with("build", tmp_path / "nowhere.pth", *rest) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_accuracy_without_classes_is_refused_before_the_network_runs(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reportgen.making.Probe", None)
    given = words(folder, "--fail-on", "accuracy<1", "-o", tmp_path / "out", images="images/dark")
    assert left_with(*given) == 2
    assert "the class of no image is known, so there is no accuracy" in capsys.readouterr().err


def test_what_shows_only_later_fails_and_says_why(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(*words(folder, "--fail-on", "dead[rleu*]>5%", "-o", tmp_path / "out")) == 1
    assert "dead[rleu*]>5%  (no layer is called rleu*)" in capsys.readouterr().err
    assert (tmp_path / "out" / "index.html").is_file()
    assert "Failed, not known:" in (tmp_path / "out" / "index.html").read_text()


def test_weights_that_are_not_finite_trip(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = torch.load(folder / "net.pth", weights_only=True)
    state["0.bias"][3] = float("nan")
    (tmp_path / "net.py").write_text(SOURCE)
    torch.save(state, tmp_path / "net.pth")
    (tmp_path / "images").symlink_to(folder / "images")
    gates = ("--fail-on", "nonfinite>0", "--fail-on", "dead>5%", "--fail-on", "confidence<0.1")
    assert left_with(*words(tmp_path, *gates, "-o", tmp_path / "out")) == 1
    told = capsys.readouterr().err
    assert "dead>5%  (not finite)" in told and "confidence<0.1  (not finite)" in told
    report = load_report(tmp_path / "out")
    assert [gate.outcome for gate in report.gates] == ["tripped"] * 3
    assert report.gates[0].value and report.gates[0].value > 1
    assert report.gates[1].value is None


def test_render_judges_a_saved_report(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert left_with(*words(folder, "--fail-on", "dead>20%", "-o", out)) == 1
    before = (out / "index.html").read_bytes()
    # Without conditions of its own it shows those of the build and fails nothing.
    assert left_with("render", out) == 0
    assert (out / "index.html").read_bytes() == before
    capsys.readouterr()
    again = ("--fail-on", "dead>10%", "--fail-on", "images<1", "--summary-file", tmp_path / "s.md")
    assert left_with("render", out, "-o", tmp_path / "new", *again) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[1:] == ["  dead>10%  (25 %)"]
    assert printed.out.splitlines()[-1] == str(tmp_path / "new")
    assert "1 of 2 failed" in (tmp_path / "new" / "index.html").read_text()
    assert "1 of 2 failed" in (tmp_path / "s.md").read_text()
    # What is not there is known at once, and nothing is written.
    assert left_with("render", out, "-o", tmp_path / "none", "--fail-on", "trust.steps>1") == 2
    assert "the section trust is not made" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.fixture(scope="module")
def both(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two reports: of the network, and of one in which two more units died."""
    made = tmp_path_factory.mktemp("both")
    state = torch.load(folder / "net.pth", weights_only=True)
    state["0.weight"][[2, 3]], state["0.bias"][[2, 3]] = 0.0, -1.0
    torch.save(state, made / "worse.pth")
    assert left_with(*words(folder, "-o", made / "a")) == 0
    _, _, *rest = words(folder, "-o", made / "b")
    assert left_with("build", made / "worse.pth", *rest) == 0
    return made / "a", made / "b"


def test_a_comparison_has_gates_of_its_own_and_those_of_the_last_report(
    both: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = ("compare:units_died>1", "compare:dead_share_rise>25%", "dead>30%", "dead[1]<0.5")
    flags = [word for condition in gates for word in ("--fail-on", condition)]
    files = ("--summary-file", tmp_path / "s.md", "-o", tmp_path / "out")
    assert left_with("compare", *both, *flags, *files) == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [
        "reportgen: 2 of 4 gates failed:",
        "  compare:units_died>1  (2)",
        "  dead>30%  (50 %)",
    ]
    assert printed.out.splitlines()[-1] == str(tmp_path / "out")
    document = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert document["metrics"].keys() == COMPARED_NUMBERS.keys()
    assert [gate["value"] for gate in document["gates"]] == [2, 0.25, 0.5, 0.5]
    assert "2 of 4 failed" in (tmp_path / "out" / "index.html").read_text()
    summary = (tmp_path / "s.md").read_text()
    assert "### Gates: 2 of 4 failed" in summary and "| Units that died |" in summary


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("compare:unit_died>1", "the nearest is compare:units_died"),
        ("compare:gradcam_correlation_min<0.5", "it is not defined for these reports"),
        ("trust.steps>1", "the section trust is not made"),
        ("findings[deadd-*]>0", "no section that is made finds such a thing"),
    ],
)
def test_what_a_comparison_cannot_judge_is_refused(
    both: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    condition: str,
    sentence: str,
) -> None:
    given = ("--fail-on", condition, "-o", tmp_path / "out")
    assert left_with("compare", *both, *given) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_written_is_refused_before_anything_is_done(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for file in (out / "s.md", tmp_path / "none" / "s.md", folder / "net.pth", tmp_path):
        assert left_with(*words(folder, "--summary-file", file, "-o", out)) == 6
        assert "give another file" in capsys.readouterr().err
    assert not out.exists()
