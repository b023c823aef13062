"""The built wheel builds a report away from the checkout: templates and index are inside."""

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
