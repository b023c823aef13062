"""How soon each command answers, each run in a new process, and what it imports."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.table import Ratio, Row, ratio_of, run

SAMPLES = Path(__file__).parent.parent / "sample_models"
COMMAND = [sys.executable, "-m", "reportgen"]
LENET = (SAMPLES / "lenet.pth", SAMPLES / "fashion_mnist", "--arch", f"{SAMPLES}/lenet.py:LeNet")
LENET_FLAGS = ("--input-size", "28", "28", "--mean", "0.286", "--std", "0.353")
HEAVY = {"torch", "torchvision", "numpy", "PIL", "matplotlib", "seaborn", "jinja2", "rich", "numba"}
SECTIONS = "overview,activations,kernels,weights,answers,gradcam,dead_filters"


def rows(quick: bool) -> Iterator[Row | str]:
    """Wall time in any case: it is what somebody waits for."""
    rounds = 2 if quick else 7
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        build = [*COMMAND, "build", *map(str, LENET), *LENET_FLAGS, "-o", str(report)]
        subprocess.run([*build, "-q", "--sections", SECTIONS], check=True, capture_output=True)
        render = [*COMMAND, "render", str(report), "-o", str(Path(folder) / "again"), "--force"]
        yield waited("`--help`", _whole([*COMMAND, "--help"]), "numpy", rounds, at_most=0.4)
        yield waited(
            "`build --help`", _whole([*COMMAND, "build", "--help"]), "numpy", rounds, at_most=0.4
        )
        yield waited(
            "`render` of a LeNet on 20 images", _whole(render), "matplotlib.pyplot", rounds
        )
        yield waited("`build`, to its first line", _first_line(build), "torch, torchvision", rounds)
        for name, words in (
            ("--help", ["--help"]),
            ("render", render[3:]),
            ("build", [*build[3:], "-q", "--sections", "overview", "--force"]),
        ):
            yield f"`{name}` imports {imports(words)}."


def waited(
    what: str,
    ours: Callable[[], float],
    modules: str,
    rounds: int,
    at_most: float | None = None,
) -> Row:
    """Against a process that only imports some modules, or against a number of seconds."""
    theirs = _whole([sys.executable, "-c", f"import {modules}"])
    ours()
    theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    found = ratio_of(pairs)
    if at_most is not None:
        taken = sorted(one for one, _ in pairs)
        found = Ratio(found.ours, taken[0], taken[-1], rounds, found.ours, 1)
    against = f"`import {modules}`, {ratio_of(pairs).theirs:.2f} s"
    if at_most is not None:
        against += "; the ratio is in seconds"
    return Row(what, f"{found.ours:.2f} s", against, found, at_most=at_most)


def imports(words: list[str]) -> str:
    """How many modules a command imports, and which heavy ones are among them."""
    code = (
        "import sys; from reportgen.cli import main\n"
        f"try: main({words!r})\n"
        f"except SystemExit: print('|', len(sys.modules), *({HEAVY!r} & sys.modules.keys()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    count, *heavy = told.rpartition("|")[2].split()
    return f"{int(count):,} modules, of the heavy ones {', '.join(sorted(heavy)) or 'none'}"


def _whole(command: list[str]) -> Callable[[], float]:
    def work() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start

    return work


def _first_line(command: list[str]) -> Callable[[], float]:
    """Until a command first says something on standard error; it is then ended."""

    def work() -> float:
        start = time.perf_counter()
        with subprocess.Popen(
            [*command, "--force"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            assert process.stderr is not None
            process.stderr.readline()
            taken = time.perf_counter() - start
            process.terminate()
        return taken

    return work


if __name__ == "__main__":
    run(rows)
