"""Where the sample models are, how to run the command, and one real report that many tests read."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Builds take two threads whatever is said above. Where several test processes share the cores,
# threads that wait must not keep them busy.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Whoever starts the tests in the background has Ctrl-C ignored, and some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SAMPLES = Path(__file__).parent.parent / "sample_models"
LENET_WORDS = (
    "build",
    SAMPLES / "lenet.pth",
    SAMPLES / "fashion_mnist",
    "--arch",
    f"{SAMPLES / 'lenet.py'}:LeNet",
    "--labels",
    SAMPLES / "fashion_mnist_labels.txt",
    *("--input-size", 28, 28, "--mean", 0.286, "--std", 0.353),
)
"The command that README gives for the LeNet sample."


def left_with(*words: object) -> int:
    """Exit code of one command, run in this process."""
    from reportgen.cli import main

    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


@pytest.fixture(scope="session", autouse=True)
def _freed_memory_goes_back() -> Iterator[None]:
    """Commands keep what they free, for they end soon; a process of a thousand tests would grow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reportgen.allocator.keep_freed_memory", lambda: None)
        yield


@pytest.fixture(scope="session")
def lenet_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the LeNet sample on its twenty images."""
    folder = tmp_path_factory.mktemp("lenet") / "report"
    assert left_with(*LENET_WORDS, "--save-arrays", "-q", "-o", folder) == 0
    return folder
