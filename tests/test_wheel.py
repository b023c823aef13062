"""The built wheel builds a report away from the checkout: templates and index are inside."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.conftest import LENET_WORDS

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_builds_a_report_in_an_empty_environment(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")

    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    # torch and its kin are lent by a bare path: reading the lender's own .pth files would bring the
    # checkout's editable install with them.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")

    where = "import reportgen; print(reportgen.__file__)"
    found = subprocess.run(
        [python, "-c", where], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert found.stdout.startswith(str(home)), "the checkout was imported, not the wheel"
    words = [home / "bin" / "reportgen", *LENET_WORDS, "-q", "-o", tmp_path / "out"]
    made = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "out" / "index.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_same_sources_give_the_same_wheel(tmp_path: Path) -> None:
    """From another folder, at another time, under another umask and zone."""
    built = []
    for name, umask, when in (("one", 0o022, 1_000_000_000), ("two", 0o077, 1_700_000_000)):
        copy, environment = tmp_path / name / "sources", dict(os.environ)
        kept = shutil.ignore_patterns("__pycache__", "*.pyc")
        for part in ("reportgen", "templates"):
            shutil.copytree(ROOT / part, copy / part, ignore=kept)
        for part in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
            shutil.copyfile(ROOT / part, copy / part)
        for place in copy.rglob("*"):
            os.utime(place, (when, when))
        environment |= {"SOURCE_DATE_EPOCH": "1700000000", "TZ": f"XYZ{umask % 9}"}
        environment |= {"PYTHONHASHSEED": str(umask)}
        words = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
        subprocess.run(
            [*words, "--outdir", tmp_path / name, copy],
            check=True,
            capture_output=True,
            env=environment,
            umask=umask,
        )
        (wheel,) = (tmp_path / name).glob("*.whl")
        built.append((wheel.name, wheel.read_bytes()))
    assert built[0] == built[1]
