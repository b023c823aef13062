"""What a file is, where one byte more or less decides, and the whole sentences that say so."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from reportgen.errors import ModelError
from reportgen.load import formats, plain_tensors
from reportgen.load.checkpoint import Checkpoint, read_checkpoint
from reportgen.load.formats import LEGACY_MAGIC, kind_of

CUT = "the download or copy did not finish; get it again."


def refused(content: bytes) -> str:
    """What is said of a file `m.pth`, without its name."""
    with pytest.raises(ModelError) as caught:
        kind_of(io.BytesIO(content), "m.pth")
    name, _, said = str(caught.value).partition(" ")
    assert name == "m.pth"
    return said


def zipped(records: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tensors(header: object, data: int = 0, length: int | None = None) -> bytes:
    """A safetensors file by hand: this header, and so many bytes of numbers."""
    said = json.dumps(header).encode()
    return (len(said) if length is None else length).to_bytes(8, "little") + said + bytes(data)


def entry(*shape: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [0, end]}


PLAIN = {"m/data.pkl": b"\x80\x02}.", "m/version": b"3"}
CODE = {**PLAIN, "m/constants.pkl": b"\x80\x02)."}
PROGRAM = {**PLAIN, "m/archive_format": b"pt2"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zipped(PLAIN), "zip"),
        (zipped(CODE), "TorchScript"),
        (zipped(PROGRAM), "pt2"),
        (zipped({**CODE, **PROGRAM}), "pt2"),
        (save({"w": torch.ones(2)}), "safetensors"),
        (b"\x80\x02" + LEGACY_MAGIC + b".", "legacy"),
        (b"\x80\x02" + b"x" * 17 + LEGACY_MAGIC, "legacy"),  # the last that is looked at
    ],
)
def test_a_file_is_told_and_left_at_its_beginning(content: bytes, kind: str) -> None:
    stream = io.BytesIO(content)
    stream.seek(7)
    assert kind_of(stream, "m.pth") == kind and stream.tell() == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", f"is empty (0 bytes): {CUT}"),
        (
            b"\x80\x02" + b"x" * 18 + LEGACY_MAGIC,
            "is a plain pickle, not a file of torch.save; load it where it was made and save the "
            "weights with torch.save(model.state_dict(), FILE) or as safetensors.",
        ),
        (b"\x08" + b"\x07" * 24 + b"pytorch", "is an ONNX graph, which reportgen does not read; "
         "give the PyTorch checkpoint."),
        (b"\x08" + b"\x07" * 25 + b"pytorch", "is not a model file that reportgen knows (it begins "
         "with 08 07 07 07)."),
        (b"a\x08\x07pytorch", "is not a model file that reportgen knows (it begins with 61 08 07 "
         "70)."),
        (b"a\tb\n", "is a text file, not a model."),
        (b"\xff", "is not a model file that reportgen knows (it begins with ff)."),
        ("é".encode() * 512 + b"x", "is a text file, not a model."),
        (b"x" + "é".encode() * 600, "is a text file, not a model."),  # one is cut in two
    ],
)  # fmt: skip
def test_what_is_no_model_is_told_by_its_first_bytes(content: bytes, said: str) -> None:
    assert refused(content) == said


def test_a_tar_archive_is_told() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    said = "is a tar archive; unpack it (torch files of this kind, from before 0.2, are not read)."
    assert refused(stream.getvalue()) == said
    assert refused(b"\xff" + stream.getvalue()[1:].replace(b"ustar", b"uster")).startswith("is not")


def test_a_header_of_safetensors_is_whole_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = "has a damaged safetensors header."
    header = {"a": entry(2, end=8), "b": entry(1, end=4), "__metadata__": {"a": "b"}}
    whole = tensors(header, 8)
    assert kind_of(io.BytesIO(whole), "m.pth") == "safetensors"
    count = len(whole)
    assert refused(whole[:-1]) == f"is cut short ({count - 1:,} of {count:,} bytes): {CUT}"
    assert refused(whole[: count - 9]) == f"is cut short ({count - 9:,} bytes): {CUT}"
    for wrong in ({"a": {}}, {"a": 3}, {"a": {"data_offsets": [0]}}, {"a": {"data_offsets": 3}}):
        assert refused(tensors(wrong)) == damaged
    assert refused(b"\x0b\0\0\0\0\0\0\0" + b'{"a":1,"a":') == damaged
    twice = b'{"a":{"data_offsets":[0,0]},"a":{"data_offsets":[0,0]}}'
    assert refused(len(twice).to_bytes(8, "little") + twice) == damaged
    said = json.dumps({"__metadata__": {"a": "b"}}).encode()
    assert kind_of(io.BytesIO(tensors({"__metadata__": {"a": "b"}})), "m.pth") == "safetensors"
    monkeypatch.setattr(formats, "_MAX_HEADER", len(said))
    assert kind_of(io.BytesIO(tensors({"__metadata__": {"a": "b"}})), "m.pth") == "safetensors"
    monkeypatch.setattr(formats, "_MAX_HEADER", len(said) - 1)
    assert refused(tensors({"__metadata__": {"a": "b"}})).startswith("is not a model file")


def test_safetensors_of_too_many_tensors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {name: entry(0, end=0) for name in "abc"}
    monkeypatch.setattr(plain_tensors, "_MOST_TENSORS", 3)
    assert kind_of(io.BytesIO(tensors(header)), "m.pth") == "safetensors"
    monkeypatch.setattr(plain_tensors, "_MOST_TENSORS", 2)
    assert refused(tensors(header)) == "holds 3 tensors, which is more than any network has."


@pytest.mark.parametrize("name", ["../x", "m/../x", "m/..", "..", "/x", "m\\x", "C:x", "C:/x"])
def test_a_name_that_leaves_the_archive_is_refused(name: str) -> None:
    assert refused(zipped({**PLAIN, name: b""})) == "holds a record whose name leaves the archive."


@pytest.mark.parametrize("name", ["m/..x", "m/x..", "m/a:b", "m/...", "m/x/data.pkl"])
def test_a_name_that_stays_is_taken(name: str) -> None:
    assert kind_of(io.BytesIO(zipped({**PLAIN, name: b""})), "m.pth") == "zip"


ORDINARY = "is an ordinary zip archive; unpack it and give the model inside."


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (["a/data.pkl", "b/version"], ORDINARY),
        (["data.pkl"], ORDINARY),
        (["m/x/data.pkl"], ORDINARY),
        (["a/constants.pkl", "b/data.pkl"], ORDINARY),
        (["a/archive_format", "b/data.pkl"], ORDINARY),
        (["w.npy"], "is an archive of NumPy arrays (.npz), not a PyTorch model."),
        (["w.npy", "x"], ORDINARY),
        (["model.h5", "x"], "is a Keras model, which reportgen does not read."),
        (["a.keras"], "is a Keras model, which reportgen does not read."),
    ],
)
def test_other_archives_are_told_by_the_names_in_them(records: list[str], said: str) -> None:
    assert refused(zipped(dict.fromkeys(records, b"1"))) == said


def test_an_archive_of_nothing_is_an_ordinary_one() -> None:
    assert refused(b"PK\x03\x04").startswith("is cut short (4 bytes; the end of its zip archive")
    assert refused(zipped(PLAIN)[:-1]) == (
        f"is cut short ({len(zipped(PLAIN)) - 1:,} bytes; the end of its zip archive is missing): "
        f"{CUT}"
    )


def test_records_are_looked_at_but_for_the_packed_code_of_a_script() -> None:
    packed = zipped({**CODE, "m/code/a.py": b"x" * 99, "m/data/0": b"1"}, zipfile.ZIP_DEFLATED)
    assert refused(packed) == (
        "holds a compressed record (m/data.pkl), which torch never writes; was it packed again?"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/code/a.py", b"x" * 99, zipfile.ZIP_DEFLATED)
        for name, content in {**CODE, "m/data/0": b"numbers"}.items():
            archive.writestr(name, content)
    whole = stream.getvalue()
    assert kind_of(io.BytesIO(whole), "m.pth") == "TorchScript"
    changed = whole.replace(b"numbers", b"numberz")
    assert refused(changed) == (
        "is damaged: the checksum of its record m/data/0 is wrong; get it again."
    )
    without = whole.replace(b"m/constants.pkl", b"m/constants.xyz")
    assert refused(without) == (
        "holds a compressed record (m/code/a.py), which torch never writes; was it packed again?"
    )


def test_a_record_in_two_spellings_is_two_of_one_name() -> None:
    assert refused(zipped({**PLAIN, "m/DATA.PKL": b""})) == (
        "holds two records named m/data.pkl, so readers disagree on it."
    )


def test_what_lies_around_the_archive_is_refused() -> None:
    whole = zipped(PLAIN)
    assert refused(whole + whole) == (
        "holds something before its zip archive, so readers disagree."
    )
    stream = io.BytesIO(whole)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = b"!"
    assert refused(stream.getvalue()) == (
        "has a comment behind its zip directory, which torch never writes."
    )
    place = whole.rindex(b"PK\x01\x02")
    wrong = bytearray(whole)
    wrong[place + 16] ^= 1  # of the checksum of the last
    assert refused(bytes(wrong)) == (
        "is damaged: the checksum of its record m/version is wrong; get it again."
    )
    wrong = bytearray(whole)
    wrong[place] = 0
    assert refused(bytes(wrong)) == "is a damaged zip archive; get it again."


def test_many_records_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_MOST_RECORDS", 2)
    assert kind_of(io.BytesIO(zipped(PLAIN)), "m.pth") == "zip"
    assert refused(zipped({**PLAIN, "m/x": b""})) == (
        "holds 3 records, which is more than any network."
    )


def read(content: object, name: str = "m.pth", *, is_new: bool = True) -> Checkpoint:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=is_new)
    stream.seek(0)
    return read_checkpoint(Path(name), stream)


NAMED = "The file is named {} but is not one; its content decided."
OLD = "The file is in the format of torch before 1.6, which has no checksums."
TABLE = {"w": torch.ones(2)}


def test_a_file_is_called_by_what_is_in_it() -> None:
    net = nn.Sequential(nn.Linear(2, 3))
    for is_new, notes in ((True, ()), (False, (OLD,))):
        for content, form in ((TABLE, "state_dict"), (net, "whole module")):
            found = read(content, is_new=is_new)
            assert (found.format, found.notes) == (form, notes)
    stream = io.BytesIO(save(TABLE))
    assert read_checkpoint(Path("m.safetensors"), stream).format == "safetensors"


@pytest.mark.parametrize("ending", [".safetensors", ".pt2"])
def test_an_ending_that_is_not_true_is_said(ending: str) -> None:
    said = NAMED.format(ending)
    assert read(TABLE, f"m{ending}").notes == (said,)
    assert read(TABLE, f"m{ending}", is_new=False).notes == (OLD, said)
    stream = io.BytesIO(save(TABLE))
    notes = read_checkpoint(Path(f"m{ending}"), stream).notes
    assert notes == (() if ending == ".safetensors" else (said,))
    stream.seek(0)
    assert read_checkpoint(Path("m.pth"), stream).notes == ()


def test_damage_in_safetensors_is_told() -> None:
    wrong = tensors({"a": entry(3, end=8)}, 8)
    with pytest.raises(ModelError, match=r"^m\.pth is a damaged safetensors file: .*\.$"):
        read_checkpoint(Path("m.pth"), io.BytesIO(wrong))
