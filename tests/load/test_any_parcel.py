"""What leaves the process that read a file is what it read, and no more than it may be."""

import io
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.errors import ModelError, OptionError, UnsafeModelError
from reportgen.load.checkpoint import Checkpoint
from reportgen.load.exported import Exported
from reportgen.load.parcel import is_finished, pack, pack_failure, unpack
from reportgen.load.salvage import SavedModule

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.uint8)


def numbers(dtype: torch.dtype, shape: list[int], turned: bool) -> torch.Tensor:
    values = torch.arange(27)[: torch.Size(shape).numel()].reshape(shape).to(dtype)
    return values.T if turned and len(shape) == 2 else values


TENSORS = st.builds(
    numbers, st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3), st.booleans()
)
SETTINGS = st.dictionaries(
    st.text(max_size=4),
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.tuples(st.integers()),
    max_size=3,
)


def sent(checkpoint: Checkpoint, most: int = 1 << 20) -> Checkpoint:
    out = io.BytesIO()
    pack(checkpoint, out, most, "m.pth")
    assert is_finished(out.getvalue())
    return unpack(bytearray(out.getvalue()))


def same(found: Any, expected: Any) -> bool:
    return found.keys() == expected.keys() and all(
        found[n].dtype == expected[n].dtype and torch.equal(found[n], expected[n]) for n in found
    )


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.text(), TENSORS, min_size=1, max_size=4),
    st.lists(st.text(), max_size=3).map(tuple),
    st.dictionaries(st.text(), SETTINGS, max_size=2),
    st.none()
    | st.tuples(st.binary(), st.dictionaries(st.text(), TENSORS, max_size=2), st.binary()),
)
def test_everything_arrives_as_it_was(tensors: Any, notes: Any, modules: Any, rest: Any) -> None:
    saved = {path: SavedModule(path, held, True, False) for path, held in modules.items()}
    exported = Exported(*rest) if rest else None
    found = sent(Checkpoint(tensors, "zip", notes, saved, exported))
    assert same(found.tensors, tensors)
    assert (found.format, found.notes, found.modules) == ("zip", notes, saved)
    assert (found.exported is None) == (exported is None)
    if exported and found.exported:
        assert (found.exported.program, found.exported.pruned) == (rest[0], rest[2])
        assert same(found.exported.constants, rest[1])


def test_tensors_that_are_one_stay_one() -> None:
    weight = torch.rand(5)
    found = sent(Checkpoint({"a": weight, "b": weight, "c": weight.clone()}, "zip")).tensors
    assert found["a"].data_ptr() == found["b"].data_ptr() != found["c"].data_ptr()


def test_numbers_that_are_repeated_without_end_are_refused() -> None:
    with pytest.raises(ModelError, match=r"m\.pth holds tensors that repeat few numbers 1,000"):
        sent(Checkpoint({"a": torch.ones(1).expand(1000)}, "zip"), most=1000)


@pytest.mark.parametrize("kind", [ModelError, OptionError, UnsafeModelError])
def test_a_refusal_arrives_as_one(kind: type[Exception]) -> None:
    out = io.BytesIO()
    pack_failure(kind("m.pth is no model."), out)
    with pytest.raises(kind, match=r"^m\.pth is no model\.$"):
        unpack(out.getvalue())


@pytest.mark.parametrize("error", [KeyError("x"), type("OptionError", (Exception,), {})("y")])
def test_a_fault_of_ours_says_where_it_was(error: Exception) -> None:
    out = io.BytesIO()
    pack_failure(error, out)
    with pytest.raises(RuntimeError, match=type(error).__name__) as caught:
        unpack(out.getvalue())
    assert type(error).__name__ in caught.value.__notes__[0]


@given(st.integers(0, 200))
def test_a_parcel_that_was_not_finished_is_none(length: int) -> None:
    out = io.BytesIO()
    pack(Checkpoint({"a": torch.ones(3)}, "zip"), out, 1 << 20, "m.pth")
    whole = out.getvalue()
    assert not is_finished(whole[: min(length, len(whole) - 1)])
    assert not is_finished(bytes(200))
