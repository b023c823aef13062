"""What a pickled network says besides its weights, and what reading it can run into."""

import errno
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reportgen.load import salvage
from reportgen.load.checkpoint import Checkpoint, read_checkpoint


def read(content: Any) -> Checkpoint:
    stream = io.BytesIO()
    torch.save(content, stream)
    stream.seek(0)
    return read_checkpoint(Path("m.pth"), stream)


def watched(module: nn.Module, *_: object) -> None:
    raise AssertionError("a hook of a file was run")


HOOKS = ("register_forward_hook", "register_forward_pre_hook")


@pytest.mark.parametrize("register", HOOKS)
def test_hooks_are_said_and_not_run(register: str) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    assert read(net).notes == ()
    getattr(net[1], register)(watched)
    found = read(net)
    assert found.notes == ("The file's modules carry hooks, which are code and are not run.",)
    assert found.modules["1"].has_hooks and not found.modules["0"].has_hooks
    assert torch.equal(found.tensors["0.weight"], net[0].weight)


def test_a_file_that_asks_for_what_cannot_be_opened_is_no_damaged_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader's process tells it from the number: the file asks for more than a model needs."""

    def closed(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(salvage, "_load", closed)
    with pytest.raises(OSError, match="Too many open files") as caught:
        read({"w": torch.ones(1)})
    assert caught.value.errno == errno.EMFILE
