"""Small model files that would take all memory or time: each ends within its reader's limits."""

import json
import pickle
import struct
import zipfile
from pathlib import Path

import torch

from tests.corpus.models_hostile import save, save_pickle
from tests.corpus.runner import Case
from tests.load.model_files import with_records

MODEL = "model.pth"


def _calling(module: str, name: str, size: int) -> bytes:
    """A pickle of {"weight": module.name(size)}."""
    return (
        b"\x80\x02}X\x06\x00\x00\x00weight" + f"c{module}\n{name}\n".encode()
        + pickle.dumps(size, 2)[2:-1] + b"\x85Rs."
    )  # fmt: skip


def _filling(size: int) -> Case:
    def make(folder: Path) -> None:
        pickled = _calling("__builtin__", "bytearray", size)
        save_pickle(pickled, folder / MODEL, is_old=False)

    return Case(f"bytearray of {size >> 30} GiB", make, 7, r"needs more than 4 GB of memory")


def _uninitialised(folder: Path) -> None:
    """A tensor of 2 GiB that stands in no record: torch makes it when it is asked to."""
    save_pickle(_calling("torch", "FloatTensor", 2**29), folder / MODEL, is_old=False)


def _packed(folder: Path, name: str, content: bytes) -> None:
    """An honest file with one record more, or another, that is packed a thousandfold."""
    honest = save({"weight": torch.ones(2)}, folder / "honest.pth", is_old=False)
    with_records(honest, folder / MODEL, lambda n, old: None if n.endswith(name) else old)
    with (
        zipfile.ZipFile(folder / MODEL, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"honest/{name}", "w") as record,
    ):
        for _ in range(128):
            record.write(content)
    honest.unlink()


def _repeated(folder: Path) -> None:
    save({"weight": torch.ones(4).as_strided((2**40,), (0,))}, folder / MODEL, is_old=False)


def _repeated_often(folder: Path) -> None:
    """A thousand tensors, each of few enough numbers, that share one."""
    one = torch.ones(1)
    views = {f"w{i}": one.expand(2**24 - i) for i in range(1000)}
    save(views, folder / MODEL, is_old=False)


def _nested_lists(folder: Path) -> None:
    pickled = b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    save_pickle(pickled, folder / MODEL, is_old=False)


def _many_keys(folder: Path) -> None:
    """A million names for one tensor, which is what the last line of its pickle but one makes."""
    one = save({"w": torch.ones(1)}, folder / MODEL, is_old=False)
    with zipfile.ZipFile(one) as archive:
        pickled = archive.read("model/data.pkl")
    start = pickled.index(b"X\x01\x00\x00\x00w")
    assert pickled.endswith(b"s.")
    names = b"".join(b"X\x08\x00\x00\x00%08d" % i + b"h\xc8" for i in range(1_000_000))
    head, tensor = pickled[:start], pickled[start:-2]
    many = head + b"(" + tensor + b"q\xc8" + names + b"u."
    with_records(one, folder / "many.pth", lambda n, old: many if n.endswith("data.pkl") else old)
    (folder / "many.pth").rename(folder / MODEL)


def _many_tensors(folder: Path) -> None:
    """A million tensors in the old format, each made anew by one call with the same arguments."""
    one = save({"w": torch.ones(1)}, folder / MODEL, is_old=True)
    before, name, rest = one.read_bytes().partition(b"X\x01\x00\x00\x00w")
    tensor, _, after = rest.partition(b"s.")
    assert tensor.startswith(b"q\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02")
    assert tensor.endswith(b"tq\x0cRq\r")
    again = (b"X\x08\x00\x00\x00%08dh\x02h\x0cR" % i for i in range(1_000_000))
    one.write_bytes(before + b"(" + name + tensor + b"".join(again) + b"u." + after)


def _long_header(folder: Path) -> None:
    entries = {
        f"w{i}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]}
        for i in range(100_000)
    }
    header = json.dumps(entries).encode()
    (folder / MODEL).write_bytes(struct.pack("<Q", len(header)) + header + bytes(400_000))


GREEDY = (
    _filling(5 * 2**30),
    _filling(2**40),
    Case("tensor of 2 GiB in 400 bytes", _uninitialised, 4, "claims 2,147,483,648 bytes"),
    Case(
        "packed record",
        lambda folder: _packed(folder, "data/0", bytes(2**20)),
        4,
        r"compressed record \(honest/data/0\)",
    ),
    Case(
        "packed pickle",
        lambda folder: _packed(folder, "data.pkl", b"N" * 2**18),
        4,
        r"compressed record \(honest/data\.pkl\)",
    ),
    Case("repeated number", _repeated, 4, "holds weight as 1,099,511,627,776 numbers"),
    Case("repeated often", _repeated_often, 4, "repeat"),
    Case("nested lists", _nested_lists, 4, "holds no model; it holds a list"),
    Case("million keys", _many_keys, 4, "more tensors or other entries than any network"),
    Case("million tensors", _many_tensors, 4, "more tensors or other entries than any network"),
    Case("long header", _long_header, 4, "holds 100,000 tensors"),
)
