"""What the command refuses, in one sentence and with the right exit code."""

import json
import shutil

import pytest

from tests.conftest import left_with


@pytest.fixture
def told(capsys):
    """Exit code of `reportgen compare` and the one line that it says."""

    def run(*words):
        code = left_with("compare", *words)
        return code, capsys.readouterr().err.strip()

    return run


def test_one_report_is_too_few(folders, told, tmp_path):
    code, said = told(folders["a"], "-o", tmp_path / "out")
    assert code == 2 and "takes two reports or more" in said
    assert not (tmp_path / "out").exists()


def test_the_same_report_twice(folders, told, tmp_path):
    twice = folders["a"].parent / "b" / ".." / "a"
    code, said = told(folders["a"], folders["b"], twice, "-o", tmp_path / "out")
    assert code == 2 and f"{twice} is given twice" in said


def test_not_a_report(folders, told, tmp_path):
    (tmp_path / "empty").mkdir()
    code, said = told(folders["a"], tmp_path / "empty", "-o", tmp_path / "out")
    assert code == 2 and "empty/report.json" in said and len(said.splitlines()) == 1
    code, said = told(folders["a"], tmp_path / "nowhere", "-o", tmp_path / "out")
    assert code == 2 and "nowhere" in said


def test_another_schema(folders, told, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(folders["a"], old)
    document = json.loads((old / "report.json").read_text())
    (old / "report.json").write_text(json.dumps(document | {"schema_version": 1}))
    code, said = told(folders["b"], old, "-o", tmp_path / "out")
    assert code == 2 and str(old) in said and "schema version 1" in said


def test_damaged_arrays(folders, told, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(folders["a"], bad)
    (bad / "arrays" / "weights.npz").write_bytes(b"PK")
    code, said = told(folders["b"], bad, "-o", tmp_path / "out")
    assert code == 2 and str(bad) in said and "weights.npz is damaged" in said


def test_the_output_may_not_touch_a_report(folders, told, root):
    for place in (folders["a"], folders["a"] / "changes", root):
        code, said = told(folders["a"], folders["b"], "-o", place, "--force")
        assert code == 6, said
        assert len(said.splitlines()) == 1
    assert not (folders["a"] / "changes").exists()
    assert (folders["a"] / "report.json").is_file()


def test_a_comparison_replaces_a_comparison_and_no_report(folders, told, tmp_path):
    out = tmp_path / "out"
    assert told(folders["a"], folders["b"], "-o", out) == (0, "")
    assert told(folders["b"], folders["a"], "-o", out) == (0, "")
    (out / "index.html").write_text("mine")
    code, said = told(folders["a"], folders["b"], "-o", out)
    assert code == 6 and "was changed since" in said
    assert told(folders["a"], folders["b"], "-o", out, "--force") == (0, "")
    report = tmp_path / "report"
    shutil.copytree(folders["c"], report)
    code, said = told(folders["a"], folders["b"], "-o", report, "--force")
    assert code == 6 and "holds no compare" in said
    assert left_with("render", folders["a"], "-o", out) == 6


def test_the_image_of_the_film(folders, told, tmp_path):
    three = [folders[name] for name in ("a", "b", "c")]
    code, said = told(*three, "--image", "nothing.png", "-o", tmp_path / "out")
    assert code == 2 and "--image nothing.png" in said and "cat/0.png" in said
    code, said = told(*three[:2], "--image", "cat/0.png", "-o", tmp_path / "out")
    assert code == 2 and "three reports or more" in said


def test_no_torch_is_imported(folders, tmp_path):
    import subprocess
    import sys

    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'matplotlib'): sys.modules[name] = None\n"
        "from reportgen.cli import main; main(sys.argv[1:])"
    )
    words = ["compare", folders["a"], folders["b"], "-o", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out")
