"""The shell steps of the action, run as GitHub runs them, with values that try to be code."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci.workflow_files import EXPRESSION, ROOT, action
from tests.conftest import SAMPLES

EVIL = "$(touch pwned) `touch pwned` \"; touch pwned; # ${{ github.token }} '*' \\"

RECORDER = """#!{python}
import json, os, subprocess, sys
if sys.argv[1] != "-m":
    sys.exit(subprocess.run([{python!r}, *sys.argv[1:]]).returncode)
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
sys.exit(int(os.environ.get("LEAVES_WITH", "0")))
"""
"In place of Python: writes down what it was called with. `-c` is passed on."


class Runner:
    """Runs single steps of the action in a folder of its own."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.record, self.output = folder / "record", folder / "output"
        self.summary = folder / "summary.md"
        tools = folder / "tools"
        (folder / "work").mkdir(parents=True)
        tools.mkdir()
        (tools / "python").write_text(python)
        (tools / "python").chmod(0o755)
        self.environment = {
            "PATH": f"{tools}:/usr/bin:/bin",
            "HOME": str(folder),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_ACTION_PATH": str(ROOT),
            "RECORD": str(self.record),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, name: str, leaves_with: int = 0, **given: str) -> subprocess.CompletedProcess:
        """Run the step of this name; inputs that are not given have their defaults."""
        data = action().data
        (step,) = [step for step in data["runs"]["steps"] if step.get("name") == name]
        inputs = {key: value.get("default", "") for key, value in data["inputs"].items()}
        inputs |= {key.replace("_", "-"): value for key, value in given.items()}
        stated = {
            key: EXPRESSION.sub(lambda found: inputs[found[1].strip()[len("inputs.") :]], text)
            for key, text in step["env"].items()
        }
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=self.folder / "work",
            env=self.environment | stated | {"LEAVES_WITH": str(leaves_with)},
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    def outputs(self) -> dict[str, str]:
        text = self.output.read_text() if self.output.exists() else ""
        return dict(line.split("=", 1) for line in text.splitlines())

    def is_unharmed(self) -> bool:
        return not list(self.folder.rglob("pwned*"))


@pytest.fixture
def recorded(tmp_path):
    return Runner(tmp_path / "job", RECORDER.format(python=sys.executable))


@pytest.fixture
def real(tmp_path):
    return Runner(tmp_path / "job", f'#!/bin/bash\nexec "{sys.executable}" "$@"\n')


def test_the_code_beside_the_action_is_installed_with_the_versions_it_was_tested_with(recorded):
    assert recorded.run("Install reportgen").returncode == 0
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    (call,) = recorded.calls()
    assert call == [*pip, "--constraint", f"{ROOT}/constraints.txt", str(ROOT)]


@pytest.mark.parametrize("version", ["0.3.1", EVIL, "1 --index-url x"])
def test_a_version_is_one_requirement_whatever_it_says(recorded, version):
    assert recorded.run("Install reportgen", version=version).returncode == 0
    assert recorded.calls()[0][5:] == [f"torch-reportgen=={version}"]
    assert recorded.is_unharmed()


def test_every_value_reaches_the_command_as_it_is(recorded):
    done = recorded.run(
        "Build the report",
        model=f"my {EVIL}.pth",
        images=f"one folder\n\n  {EVIL}  \n*\n",
        args="--arch 'a b.py:Net' --mean 0.5 0.5 \\\n  --title \"$(touch pwned) *\" --labels l.txt",
        output=f"out {EVIL}",
        fail_on=f"dead>5%\naccuracy < 0.9\ncompare:units_died>0\n{EVIL}",
        baseline="before",
        site_url=EVIL,
    )
    assert done.returncode == 0, done.stderr
    (call,) = recorded.calls()
    assert call[:4] == ["-m", "reportgen", "build", "--quiet"]
    assert call[4:14] == [
        *("--arch", "a b.py:Net", "--mean", "0.5", "0.5"),
        *("--title", "$(touch pwned) *", "--labels", "l.txt", "--fail-on"),
    ]
    assert call[14:19] == ["dead>5%", "--fail-on", "accuracy < 0.9", "--fail-on", EVIL]
    assert call[19:23] == ["--summary-file", str(recorded.summary), "--summary-base", EVIL]
    assert call[23:25] == ["--output", f"out {EVIL}"]
    assert call[25:] == ["--", f"my {EVIL}.pth", "one folder", EVIL, "*"]
    wanted = {"report-path": f"out {EVIL}", "size-bytes": "0", "passed": "true"}
    assert recorded.outputs() == wanted
    assert recorded.is_unharmed()


@pytest.mark.parametrize("output", ["", "a\nsize-bytes=7"])
def test_an_output_that_is_no_folder_is_refused(recorded, output):
    done = recorded.run("Build the report", model="m", images="i", output=output)
    assert done.returncode == 2
    assert done.stdout == "::error::The input output is one folder.\n"
    assert recorded.outputs() == {}


def test_flags_with_an_open_quote_are_refused(recorded):
    done = recorded.run("Build the report", model="m", images="i", args="--title 'a")
    assert done.returncode == 2
    assert "::error::The input args has a quote that does not end." in done.stdout


@pytest.mark.parametrize(
    ("code", "outputs"),
    [
        (0, {"report-path": "report", "size-bytes": "0", "passed": "true"}),
        (1, {"report-path": "report", "size-bytes": "0", "passed": "false"}),
        (8, {"report-path": "report", "size-bytes": "0", "passed": "false"}),
        (4, {}),
    ],
)
def test_the_step_ends_as_the_command_does(recorded, code, outputs):
    done = recorded.run("Build the report", leaves_with=code, model="m", images="i")
    assert done.returncode == code
    assert recorded.outputs() == outputs


def test_without_a_summary_none_is_asked_for(recorded):
    recorded.run("Build the report", model="m", images="i", step_summary="false")
    recorded.run("Compare it with the baseline", baseline=str(ROOT), step_summary="false")
    assert not any("--summary-file" in call for call in recorded.calls())


def test_without_a_baseline_gates_on_it_are_refused_by_the_command(recorded):
    recorded.run("Build the report", model="m", images="i", fail_on="compare:units_died>0")
    assert "compare:units_died>0" in recorded.calls()[0]


def test_a_baseline_without_a_report_is_a_warning(recorded):
    done = recorded.run("Compare it with the baseline", baseline=EVIL)
    assert done.returncode == 0
    assert done.stdout.startswith("::warning title=reportgen::The baseline holds no report")
    assert not recorded.record.exists() and recorded.outputs() == {}
    assert recorded.is_unharmed()


@pytest.mark.parametrize(("code", "passed"), [(0, "true"), (1, "false"), (4, None)])
def test_a_comparison_is_given_its_own_gates_alone(recorded, code, passed):
    before = recorded.folder / "work" / f"before {EVIL.replace('/', '')}"
    before.mkdir()
    (before / "report.json").write_text("{}")
    done = recorded.run(
        "Compare it with the baseline",
        leaves_with=code,
        baseline=before.name,
        output="after it",
        fail_on="dead>5%\ncompare:accuracy_drop>1%\n",
    )
    assert done.returncode == code, done.stderr
    gate = ["--fail-on", "compare:accuracy_drop>1%", "--summary-file", str(recorded.summary)]
    out = ["--output", "after it-changes", "--", before.name, "after it"]
    assert recorded.calls() == [["-m", "reportgen", "compare", *gate, *out]]
    wanted = {"comparison-path": "after it-changes", "passed": passed} if passed else {}
    assert recorded.outputs() == wanted
    assert recorded.is_unharmed()


def test_the_document_says_what_the_file_says():
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    for name, given in action().data["inputs"].items():
        default = f"`{given['default']}`" if given.get("default") else ""
        assert f"| `{name}` | {default} | {given['description']} |".replace("|  |", "| |") in page
    for name, given in action().data["outputs"].items():
        assert f"| `{name}` | {given['description']} |" in page


def test_the_verdict_of_both_steps():
    """`passed` is read off the expression: both steps, or the first alone."""
    text = action().data["outputs"]["passed"]["value"]
    for build, compare, wanted in [
        *(("true", "", True), ("true", "true", True), ("true", "false", False)),
        *(("false", "true", False), ("", "", False)),
    ]:
        said = re.sub(r"steps\.build\.outputs\.passed", repr(build), EXPRESSION.search(text)[1])
        said = re.sub(r"steps\.compare\.outputs\.passed", repr(compare), said)
        assert eval(said.replace("&&", "and").strip()) is wanted


@pytest.mark.slow
def test_a_report_and_a_comparison_are_really_made(real):
    """LeNet under hostile names: built twice, compared, summed up, gates judged."""
    evil = "$(touch pwned) `touch pwned`; 'x"
    work = real.folder / "work"
    shutil.copy(SAMPLES / "lenet.pth", work / f"{evil}.pth")
    shutil.copy(SAMPLES / "lenet.py", work / "my net.py")
    shutil.copytree(SAMPLES / "fashion_mnist" / "bag", work / evil / "bag")
    stated = "--arch 'my net.py:LeNet' --input-size 28 28 --mean 0.286 --std 0.353"
    given = {
        "model": f"{evil}.pth",
        "images": evil,
        "args": f"{stated} --sections answers,dead_filters --labels labels.txt",
        "fail_on": "dead>=0%\ncompare:answers_changed>0",
        "baseline": "before",
    }
    shutil.copy(SAMPLES / "fashion_mnist_labels.txt", work / "labels.txt")
    done = real.run("Build the report", **given | {"output": "before", "fail_on": ""})
    assert done.returncode == 0, done.stderr
    done = real.run("Build the report", **given, output=f"after {evil}")
    assert done.returncode == 1, done.stderr
    assert "dead>=0%" in done.stderr
    made = [path for path in (work / f"after {evil}").rglob("*") if path.is_file()]
    assert real.outputs()["report-path"] == f"after {evil}"
    assert real.outputs()["passed"] == "false"
    assert int(real.outputs()["size-bytes"]) == sum(Path(path).stat().st_size for path in made)
    done = real.run("Compare it with the baseline", **given, output=f"after {evil}")
    assert done.returncode == 0, done.stderr
    assert real.outputs()["passed"] == "true"
    assert (work / real.outputs()["comparison-path"] / "index.html").is_file()
    summary = real.summary.read_text()
    assert summary.count("### Gates: ") == 2
    assert "### Gates: 1 of 1 failed" in summary and "### Gates: all passed" in summary
    assert real.is_unharmed()
