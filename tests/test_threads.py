"""The number of threads is what was asked for, and is given back."""

import os
import subprocess
import sys

import pytest
import torch

from reportgen.threads import in_threads, prepare


@pytest.mark.parametrize("count", [1, 3])
def test_torch_has_as_many_as_asked_for_and_then_those_of_before(count: int) -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt), in_threads(count):
        assert torch.get_num_threads() == count
        raise KeyboardInterrupt
    assert torch.get_num_threads() == before


def test_products_of_numpy_take_one_thread_whatever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENBLAS_NUM_THREADS", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "7")
    prepare()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["GOMP_SPINCOUNT"] == "7", "what somebody chose stays"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    prepare()
    assert int(os.environ["GOMP_SPINCOUNT"]) > 0


def test_the_command_says_so_before_anything_is_loaded() -> None:
    code = (
        "import sys, reportgen.threads as threads\n"
        "def prepare(): print(sorted({'numpy', 'torch'} & set(sys.modules)))\n"
        "threads.prepare = prepare\n"
        "from reportgen.cli import main\n"
        "main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[]\n")
