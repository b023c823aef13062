"""Faults while the network runs: the n-th call fails, for n = 1, 2, 3 ... until none does."""

import itertools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import reportgen
from reportgen.errors import ResourceError
from tests.corpus.faults import left_with, tree
from tests.python.networks import LABELS, MEAN, STD, pixels, small

OUT_OF_MEMORY = {
    "CUDA": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    "CUDA by text": lambda: RuntimeError("CUDA error: out of memory"),
    "CPU": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory:"
        " you tried to allocate 4096000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "Python": MemoryError,
}


def interrupted(number: signal.Signals) -> Callable[[], BaseException | None]:
    def interrupt() -> None:
        os.kill(os.getpid(), number)

    return interrupt


def build(output: Path, happens: Callable[[], BaseException | None], at: int) -> tuple[int, int]:
    """Calls of the network that there were, and the exit code of a build."""
    network, calls = small(), itertools.count(1)
    whole = network.forward
    count = 0

    def forward(x: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count = next(calls)
        if count == at and (error := happens()):
            raise error
        return whole(x)

    network.forward = forward  # type: ignore[method-assign]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    code = left_with(
        lambda: reportgen.build(
            network,
            pixels(),
            output=output,
            labels=LABELS,
            mean=MEAN,
            std=STD,
            device="cpu",
            sections=("answers",),
            batch_size=4,
        )
    )
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in before.items())
    assert not any(module._forward_hooks for module in network.modules())
    return count, code


def answers(report: Path) -> list[tuple[str, float]]:
    """Every class of every image with its probability; sums depend a little on the batch."""
    images = json.loads((report / "report.json").read_text())["images"]
    found = [one for image in images for one in image["predictions"]]
    return [(one["label"], round(one["probability"], 4)) for one in found]


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
def test_memory_that_runs_out_at_the_nth_call_makes_the_batch_smaller(
    kind: str, tmp_path: Path
) -> None:
    build(tmp_path / "whole", lambda: None, 0)
    halved = 0
    for at in itertools.count(1):
        output = tmp_path / str(at)
        calls, code = build(output, OUT_OF_MEMORY[kind], at)
        if code:  # of one image alone there is no half
            assert code == ResourceError.exit_code and not output.exists()
        else:
            assert answers(output) == answers(tmp_path / "whole")
            provenance = json.loads((output / "report.json").read_text())["provenance"]
            halved += provenance["batch_size"] < 4
        if calls < at:
            break
    assert halved


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_at_the_nth_call_leaves_everything_as_it_was(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    build(tmp_path / "report", lambda: None, 0)
    before = tree(tmp_path)
    for at in itertools.count(1):
        calls, ended = build(tmp_path / "report", interrupted(number), at)
        assert tree(tmp_path) == before
        if calls < at:
            break
        assert ended == code
    assert ended == 0
