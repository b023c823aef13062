"""The records of files that torch writes together with code: what is taken, what is left there."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from reportgen.errors import ModelError
from reportgen.load.exported import Exported, pt2_contents, without_code


def zipped(records: Mapping[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    stream.seek(0)
    return stream


def test_a_script_without_its_code_is_its_object_and_tensors() -> None:
    records = {
        "net/data.pkl": b"1",
        "net/data/0": b"2",
        "net/version": b"3",
        "net/code/__torch__.py": b"4",
        "net/constants.pkl": b"5",
        "net/constants/0": b"6",
        "net/extra/note.txt": b"7",
        "net/data/code/0": b"8",
        "alone": b"9",
    }
    kept = without_code(zipped(records))
    with zipfile.ZipFile(kept) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {name: records[name] for name in records if records[name] in b"12389"}
    assert without_code(zipped(records)).tell() == 0


def sizes(*numbers: int) -> list[dict[str, int]]:
    return [{"as_int": number} for number in numbers]


def entry(
    path: str = "weight_0",
    *,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    offset: int = 0,
    dtype: int = 7,
    pickled: bool = False,
) -> dict[str, Any]:
    layout = {"dtype": dtype, "sizes": sizes(*shape), "strides": sizes(*strides)}
    layout["storage_offset"] = {"as_int": offset}
    return {"path_name": path, "use_pickle": pickled, "tensor_meta": layout}


NUMBERS = torch.arange(12.0).numpy().tobytes()
PLACES = {"weights": "data/weights/model", "constants": "data/constants/model"}


def records(
    weights: Mapping[str, Any], constants: Mapping[str, Any] | None = None, **more: bytes
) -> dict[str, bytes]:
    """A file of which the tables are these."""
    found = {
        "net/archive_format": b"pt2",
        "net/byteorder": b"little",
        "net/models/model.json": b"{}",
        "net/data/weights/model_weights_config.json": json.dumps({"config": weights}).encode(),
        "net/data/weights/weight_0": NUMBERS,
        "net/data/weights/empty": b"",
    }
    if constants is not None:
        found["net/data/constants/model_constants_config.json"] = json.dumps(
            {"config": constants}
        ).encode()
        found["net/data/constants/tensor_0"] = NUMBERS
    return found | more


def contents(given: Mapping[str, bytes]) -> tuple[dict[str, torch.Tensor], Exported]:
    return pt2_contents(zipped(given), "m.pt2")


def refusal(given: Mapping[str, bytes]) -> str:
    with pytest.raises(ModelError) as caught:
        contents(given)
    return str(caught.value)


ALL = torch.arange(12.0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (entry(), ALL[:6].reshape(2, 3)),
        (entry(offset=4), ALL[4:10].reshape(2, 3)),
        (entry(shape=(3, 2), strides=(1, 3)), ALL[:6].reshape(2, 3).t()),
        (entry(shape=(2, 3), strides=(6, 2), offset=1), ALL[1::2].reshape(2, 3)),
        (entry(shape=(), strides=(), offset=11), torch.tensor(11.0)),
        (entry(shape=(12,), strides=(1,)), ALL),
        (entry(shape=(4,), strides=(0,), offset=3), torch.full((4,), 3.0)),
        (entry("empty", shape=(0, 3), strides=(3, 1)), torch.empty(0, 3)),
        (entry("empty", shape=(3, 0), strides=(1, 1), dtype=5), torch.empty(3, 0).long()),
        (
            entry(shape=(6,), strides=(1,), dtype=5),
            torch.frombuffer(bytearray(NUMBERS), dtype=torch.int64),
        ),
    ],
    ids=str,
)
def test_a_tensor_is_read_as_it_lay(given: dict[str, Any], expected: torch.Tensor) -> None:
    found, _ = contents(records({"w": given}))
    assert list(found) == ["w"]
    assert found["w"].dtype == expected.dtype and torch.equal(found["w"], expected)


def test_tensors_that_were_one_in_memory_are_read_once() -> None:
    found, _ = contents(records({"a": entry(), "b": entry(offset=6), "c": entry()}))
    assert found["a"].data_ptr() == found["c"].data_ptr()
    assert found["b"].data_ptr() == found["a"].data_ptr() + 6 * 4


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (entry(pickled=True), "it asks for a pickle"),
        (entry("../x"), "../x is no plain record name"),
        (entry("a/b"), "a/b is no plain record name"),
        (entry(dtype=9), "number format 9 is not supported"),
        (entry(offset=7), "weight_0 is smaller than its shape"),
        (entry(offset=-1), "weight_0 is smaller than its shape"),
        (entry(strides=(-3, 1), offset=5), "weight_0 is smaller than its shape"),
        (entry(shape=(-2, 3)), "weight_0 is smaller than its shape"),
        (entry(shape=(13,), strides=(1,)), "weight_0 is smaller than its shape"),
        (entry("empty"), "empty is smaller than its shape"),
        (entry("empty", shape=(), strides=()), "empty is smaller than its shape"),
        (entry(shape=(2, 3), strides=(3,)), "zip() argument 2 is shorter than argument 1"),
        (
            entry("none"),
            "There is no item named 'net/data/weights/none' in the archive",
        ),
        ({"use_pickle": False}, "path_name"),
        ([], "list indices must be integers or slices, not str"),
    ],
    ids=str,
)
def test_a_tensor_that_is_none_is_told(given: Any, words: str) -> None:
    assert refusal(records({"w": given})) == (
        f"m.pt2 has a table of weights that cannot be read: {words}."
    )


def test_a_table_that_is_none_is_told() -> None:
    for content, words in (
        (b"{}", "config"),
        (b'{"config": []}', "'list' object has no attribute 'items'"),
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ):
        given = {**records({}), "net/data/weights/model_weights_config.json": content}
        assert refusal(given) == f"m.pt2 has a table of weights that cannot be read: {words}."
    long = records({"w": entry(f"/{'a' * 400}")})
    said = "m.pt2 has a table of weights that cannot be read: "
    assert refusal(long) == f"{said}/{'a' * 199}."


def test_constants_that_are_objects_are_left_there() -> None:
    given = records({"w": entry()}, {"c": entry("tensor_0", offset=6), "o": entry(pickled=True)})
    found, exported = contents(given)
    assert list(found) == ["w"] and list(exported.constants) == ["c"]
    assert torch.equal(exported.constants["c"], ALL[6:].reshape(2, 3))


def test_what_lies_beside_the_weights() -> None:
    _, exported = contents(records({}))
    assert (exported.program, exported.constants, exported.pruned) == (b"{}", {}, b"")
    more = {"net/extra/reportgen.json": b"said", "net/models/deep/x.json": b"[]"}
    _, exported = contents(records({}) | more)
    assert (exported.program, exported.pruned) == (b"{}", b"said")
    _, exported = contents(records({}) | {"net/models/other.json": b"[]"})
    assert exported.program == b""
    without = {name: text for name, text in records({}).items() if "/models/" not in name}
    assert contents(without)[1].program == b""


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_has_one_table_of_weights(count: int) -> None:
    given = {
        name: text for name, text in records({}).items() if not name.endswith("_config.json")
    } | {f"net/data/{i}/m_weights_config.json": b'{"config": {}}' for i in range(count)}
    assert refusal(given) == (
        f"m.pt2 is a .pt2 file with {count} tables of weights where one is needed; save it again "
        "with torch.export.save of torch 2.10 or later, or its state_dict."
    )


def test_the_order_of_bytes_is_that_of_this_machine() -> None:
    assert refusal({**records({}), "net/byteorder": b"big"}) == (
        "m.pt2 was written on a big-endian machine, which is not read."
    )
    without = {name: text for name, text in records({}).items() if name != "net/byteorder"}
    assert contents(without)[0] == {}
