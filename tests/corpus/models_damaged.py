"""Model files that came to harm on the way, and files that never were any."""

import io
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tests.corpus.models_greedy import MODEL
from tests.corpus.models_hostile import save
from tests.corpus.runner import Case

CUT = r"model\.pth is cut short \("


def _honest(folder: Path) -> Path:
    weight = torch.arange(64 * 64, dtype=torch.float32).reshape(64, 64)
    return save({"weight": weight}, folder / MODEL, is_old=False)


def _cut(share: float) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        whole = _honest(folder).read_bytes()
        (folder / MODEL).write_bytes(whole[: int(len(whole) * share)])

    return make


def _changed(folder: Path, change: Callable[[bytearray, int], None]) -> None:
    """The file with `change` made to its bytes, which is told where the tensor stands."""
    file = _honest(folder)
    content = bytearray(file.read_bytes())
    change(content, content.index(np.arange(64, dtype="<f4").tobytes()))
    file.write_bytes(content)


def _flip(content: bytearray, start: int) -> None:
    content[start + 1001] ^= 8


def _wrong_checksum(content: bytearray, start: int) -> None:
    """Of the record with the tensor, in both places where the archive keeps it."""
    directory = content.index(b"PK\x01\x02")
    while b"/data/0" not in content[directory + 46 : directory + 66]:
        directory = content.index(b"PK\x01\x02", directory + 4)
    content[directory + 16] ^= 1


def _lying_size(content: bytearray, start: int) -> None:
    """The tensor's record claims eight bytes more than stand there."""
    directory = content.index(b"PK\x01\x02")
    while b"/data/0" not in content[directory + 46 : directory + 66]:
        directory = content.index(b"PK\x01\x02", directory + 4)
    for field in (20, 24):
        size = int.from_bytes(content[directory + field : directory + field + 4], "little")
        changed = (size + 2**20).to_bytes(4, "little")
        content[directory + field : directory + field + 4] = changed


def _doubled(folder: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(_honest(folder), "a") as archive:
        warnings.simplefilter("ignore")  # zipfile warns of what we are here for
        archive.writestr("model/data/0", bytes(64 * 64 * 4))


def _packed(folder: Path) -> None:
    source = _honest(folder).rename(folder / "plain.pth")
    with (
        zipfile.ZipFile(source) as archive,
        zipfile.ZipFile(folder / MODEL, "w", zipfile.ZIP_DEFLATED) as copy,
    ):
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
    source.unlink()


DAMAGED = (
    Case("cut to nothing but its first record", _cut(0.01), 4, CUT),
    Case("cut in the middle", _cut(0.5), 4, CUT),
    Case("cut at the end", _cut(0.999), 4, CUT),
    Case(
        "flipped bit",
        lambda folder: _changed(folder, _flip),
        4,
        r"checksum of its record model/data/0 is wrong",
    ),
    Case("doubled record", _doubled, 4, r"two records named model/data/0"),
    Case("packed again", _packed, 4, r"compressed record \(model/data\.pkl\)"),
    Case(
        "wrong checksum",
        lambda folder: _changed(folder, _wrong_checksum),
        4,
        r"checksum of its record model/data/0 is wrong",
    ),
    Case(
        "lying size",
        lambda folder: _changed(folder, _lying_size),
        4,
        "claims more data than it has",
    ),
)


def _containing(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / MODEL).write_bytes(content)


def _tar(mode: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return stream.getvalue()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("weights.pth", b"1")
    return stream.getvalue()


def _arrays() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, np.ones(3))
    return stream.getvalue()


STRANGE = (
    Case("empty", _containing(b""), 4, r"is empty \(0 bytes\)"),
    Case("web page", _containing(b"\n<!DOCTYPE html><html>404</html>"), 4, "is a web page"),
    Case(
        "git-lfs pointer",
        _containing(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        4,
        "run `git lfs pull`",
    ),
    Case("arrays", _containing(_arrays()), 4, r"archive of NumPy arrays \(\.npz\)"),
    Case("tar", _containing(_tar("w")), 4, "is a tar archive"),
    Case("tar.gz", _containing(_tar("w:gz")), 4, "is a gzip archive"),
    Case("zip", _containing(_zip()), 4, "is an ordinary zip archive"),
    Case("folder", lambda folder: (folder / MODEL).mkdir(), 4, "is a folder"),
    Case("list", lambda folder: save([1, 2], folder / MODEL, is_old=False), 4, "it holds a list"),
)
