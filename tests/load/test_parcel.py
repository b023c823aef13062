"""What goes into a parcel comes out of it, and what is no whole parcel is seen to be none."""

import io
import math
import traceback
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reportgen.errors import ModelError, OptionError, UnsafeModelError
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.exported import Exported
from reportgen.load.parcel import is_finished, pack, pack_failure, unpack
from reportgen.load.salvage import SavedModule


def packed(checkpoint: Checkpoint, most: int = 2**20) -> bytearray:
    out = io.BytesIO()
    pack(checkpoint, out, most, "model.pth")
    return bytearray(out.getvalue())


FORMATS = [
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
]  # fmt: skip


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_tensors_of_every_format_and_shape_come_back(dtype: torch.dtype) -> None:
    base = (torch.arange(24) % 5 - 2).to(dtype)
    tensors = {
        "plain": base.reshape(2, 3, 4),
        "turned": base.reshape(4, 6).T,
        "part": base[3:9:2],
        "number": base[5],
        "none": base[:0].reshape(0, 3),
        "repeated": base[1].expand(7),
    }
    found = unpack(packed(Checkpoint(tensors, "state_dict"))).tensors
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == dtype and torch.equal(found[name], tensor), name


def test_tensors_that_are_one_are_written_once() -> None:
    one = torch.rand(1000)
    data = packed(Checkpoint({"a": one, "b": one, "c": one.detach()}, "state_dict"))
    assert len(data) < 2 * one.nbytes
    found = unpack(data).tensors
    assert found["a"] is found["b"] is found["c"]


def test_tensors_that_repeat_more_than_allowed_are_refused() -> None:
    checkpoint = Checkpoint({"weight": torch.ones(1).expand(10_000)}, "state_dict")
    with pytest.raises(ModelError, match=r"model\.pth holds tensors that repeat"):
        packed(checkpoint, most=10_000)


def test_all_that_is_said_of_a_network_comes_back() -> None:
    module = SavedModule("a.B", {"size": (2, 3), "p": math.inf, "name": "\udc80<"}, True, False)
    checkpoint = Checkpoint(
        tensors={"a\n<b>\udc80": torch.ones(2)},
        format="whole module",
        notes=("One.", "Two."),
        modules={"": module, "head": module},
        exported=Exported(b"\xff{", {"c": torch.zeros(3)}, b""),
    )
    found = unpack(packed(checkpoint))
    assert (found.format, found.notes, dict(found.modules)) == (
        checkpoint.format, checkpoint.notes, dict(checkpoint.modules),
    )  # fmt: skip
    assert list(found.tensors) == ["a\n<b>\udc80"]
    assert found.exported is not None
    assert (found.exported.program, found.exported.pruned) == (b"\xff{", b"")
    assert torch.equal(found.exported.constants["c"], torch.zeros(3))


@pytest.mark.parametrize("kind", [ModelError, OptionError, UnsafeModelError])
def test_a_refusal_comes_back_as_what_it_was(kind: type[Exception]) -> None:
    out = io.BytesIO()
    pack_failure(kind("model.pth is odd."), out)
    with pytest.raises(kind, match=r"^model\.pth is odd\.$"):
        unpack(out.getvalue())


@given(st.data())
def test_a_parcel_that_was_cut_is_not_finished(data: Any) -> None:
    whole = packed(Checkpoint({"weight": torch.ones(3)}, "state_dict", ("A note.",)))
    assert is_finished(whole)
    assert not is_finished(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert not is_finished(bytes(len(whole)))


def test_a_fault_of_ours_comes_back_with_its_place() -> None:
    out = io.BytesIO()
    try:
        raise KeyError("absent")
    except KeyError as error:
        pack_failure(error, out)
        expected = "".join(traceback.format_exception(error))
    with pytest.raises(RuntimeError) as caught:
        unpack(out.getvalue())
    assert str(caught.value) == "KeyError: 'absent'" and caught.value.__notes__ == [expected]


def test_tensors_as_large_as_allowed_are_packed() -> None:
    checkpoint = Checkpoint({"w": torch.ones(5)}, "zip")
    assert torch.equal(unpack(packed(checkpoint, most=64 + 20)).tensors["w"], torch.ones(5))
    with pytest.raises(ModelError) as caught:
        packed(checkpoint, most=64 + 19)
    assert str(caught.value) == "model.pth holds tensors that repeat few numbers 83 times."


def test_a_parcel_without_anything_in_it_is_none() -> None:
    assert not is_finished(b"") and not is_finished(bytes(15)) and not is_finished(bytes(16))
    whole = bytes(packed(Checkpoint({}, "zip")))
    assert is_finished(whole) and is_finished(whole + b"more") and not is_finished(whole[:-1])
