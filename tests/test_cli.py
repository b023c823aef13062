"""The command line's promises: answers at once, one sentence an error, the right exit code."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from reportgen.cli import main
from reportgen.options import Options

SAMPLES = Path(__file__).parent.parent / "sample_models"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from reportgen.cli import commands\n"
        "try: commands(['build', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'jinja2', 'rich', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--occlusion-window" in done.stdout


def test_a_reader_that_stops_reading_is_no_fault_of_ours() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "reportgen", "build", "--help"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_render_does_not_import_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from reportgen.cli import main\n"
        "try: main(['render', sys.argv[1]])\n"
        "except SystemExit as left: assert left.code == 2, left.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "report.json" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("build",), 2, "Missing argument"),
        (("bild",), 2, "No such command"),
        (("build", "nowhere.pth", "photos", "--mean", "dark"), 2, "it takes numbers"),
        (("build", "m.pth", "a", "--occlusion-engine", "quick"), 2, "'exact', 'fast', 'plain'"),
        (("build", "nowhere.pth", SAMPLES / "photos"), 4, "nowhere.pth"),
        (("build", SAMPLES / "train.py", SAMPLES / "photos"), 4, "train.py"),
        (("build", SAMPLES / "squeezenet1_1.pth", "nowhere"), 2, "nowhere"),
        (("build", SAMPLES / "lenet.pth", SAMPLES / "photos"), 4, "--arch"),
    ],
)
def test_errors_are_one_sentence_with_their_exit_code(
    words: tuple[str | Path, ...],
    code: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    left_with, _, err = run(capsys, *words)
    assert left_with == code, err
    assert sentence in err
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert not list(tmp_path.iterdir()), "a failed build leaves nothing behind"


def test_mean_and_std_take_unquoted_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def build(options: object, progress: object, *, command: str, team: object) -> None:
        seen.update(options=options, command=command)
        raise KeyboardInterrupt

    monkeypatch.setattr("reportgen.pipeline.build", build)
    words = ("build", "--mean", "0.1", "0.2", "0.3", "m.pth", "a", "--std", "1,2,3", "b")
    code, _, err = run(capsys, *words)
    assert (code, err.splitlines()[-1]) == (
        130,
        "reportgen: Interrupted; nothing half-written was left.",
    )
    assert seen["options"].mean == (0.1, 0.2, 0.3)  # type: ignore[attr-defined]
    assert seen["options"].std == (1.0, 2.0, 3.0)  # type: ignore[attr-defined]
    assert [path.name for path in seen["options"].images] == ["a", "b"]  # type: ignore[attr-defined]


def test_a_fault_of_ours_is_told_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero\nsecond line")

    monkeypatch.setattr("reportgen.pipeline.build", build)
    code, _, err = run(capsys, "build", "m.pth", "a")
    assert code == 70
    assert "ZeroDivisionError: by zero (run again with --debug" in err
    assert "Traceback" not in err
    code, _, err = run(capsys, "build", "m.pth", "a", "--debug")
    assert code == 70
    assert "Traceback" in err


def test_the_printed_command_has_no_folder_of_this_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def build(options: object, progress: object, *, command: str, team: object) -> None:
        commands.append(command)
        raise KeyboardInterrupt

    monkeypatch.setattr("reportgen.pipeline.build", build)
    (tmp_path / "photos").mkdir()
    run(
        capsys,
        "build",
        tmp_path / "my net.pth",
        tmp_path / "photos",
        "--arch",
        f"{tmp_path}/net.py:Net",
        "--labels",
        tmp_path / "names.txt",
        "--input-size",
        "28",
        "30",
        "-o",
        tmp_path / "out",
    )
    assert commands == [
        "reportgen build 'my net.pth' images --arch net.py:Net --labels names.txt "
        "--input-size 28 30"
    ]


def test_the_printed_command_can_be_pasted_into_a_shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Options, str]] = []

    def build(options: Options, progress: object, *, command: str, team: object) -> None:
        seen.append((options, command))
        raise KeyboardInterrupt

    monkeypatch.setattr("reportgen.pipeline.build", build)
    words = ["build", "m.pth", "images", "--arch-args", '{"num_classes": 5}']
    words += ["--layers", "conv*", "--layers", "relu#2", "--mean", "0.1", "0.2", "--save-arrays"]
    words += ["--occlusion-window", "4", "6", "--target", "it's", "--crop-pct", "0.9"]
    words += ["--occlusion-engine", "fast"]
    words += ["--sections", "answers,gradcam", "--sections", "kernels", "--exclude", "kernels"]
    words += ["--visualise", "0", "--visualise-also", "conv1:3", "--visualise-also", "class:it's"]
    run(capsys, *words)
    run(capsys, *shlex.split(seen[0][1])[1:])
    assert seen[1] == seen[0]
    assert "'conv*'" in seen[0][1], "the shell must not take it for files"
    assert seen[0][0].sections == ("answers", "gradcam", "kernels")
