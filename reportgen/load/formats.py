"""What a file is, told by its bytes and never by its extension."""

import codecs
import io
import json
import re
import zipfile
import zlib
from collections import Counter
from typing import IO, Literal, TypeAlias

from reportgen.errors import ModelError
from reportgen.load.pickle_names import names_in_pickle, refuse_dangerous
from reportgen.load.plain_tensors import refuse_too_many

Kind: TypeAlias = Literal["safetensors", "zip", "TorchScript", "pt2", "legacy"]

# The long integer with which `torch.save` began its files before version 1.6, as a pickle.
LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_MAX_HEADER = 100_000_000
"safetensors allows no longer header, in bytes."
_MOST_RECORDS = 100_000
"In a zip file: a record for each tensor, and for each of an optimizer."
_CUT = "the download or copy did not finish; get it again."
# First bytes of files that get handed over by mistake, and what to say.
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "is a gzip archive; unpack it and give the model file inside."),
    (b"BZh", "is a bzip2 archive; unpack it and give the model file inside."),
    (b"\xfd7zXZ", "is an xz archive; unpack it and give the model file inside."),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it and give the model file inside."),
    (b"Rar!", "is a rar archive; unpack it and give the model file inside."),
    (b"\x93NUMPY", "is a NumPy array, not a PyTorch model."),
    (b"\x89HDF", "is an HDF5 file (Keras?), not a PyTorch model."),
    (b"GGUF", "is a GGUF language model, which reportgen does not read."),
    (b"\x89PNG", "is a PNG image; the model comes first, then the images."),
    (b"\xff\xd8\xff", "is a JPEG image; the model comes first, then the images."),
    (b"%PDF", "is a PDF document, not a model."),
)


def kind_of(stream: IO[bytes], file: str) -> Kind:
    """Tell a model file by its content; `stream` is left at its beginning.

    Raises:
        ModelError: if it holds no PyTorch model, saying what it is instead.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(1024)
    stream.seek(0)
    if not head:
        raise ModelError(f"{file} is empty (0 bytes): {_CUT}")
    if head[:4] == b"PK\x03\x04":
        return _kind_of_zip(stream, file, size)
    if head[:1] == b"\x80" and LEGACY_MAGIC in head[:32]:
        return "legacy"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _MAX_HEADER:
        _check_safetensors(stream, file, size)
        return "safetensors"
    _refuse_dangerous_pickle(stream, file)
    raise ModelError(f"{file} {_what_else(head)}")


def _refuse_dangerous_pickle(stream: IO[bytes], file: str) -> None:
    """Give a pickle that would run code its own error, though no pickle without torch is read."""
    try:
        names, _ = names_in_pickle(stream, file)
    except ModelError:
        return
    # Every tensor in a plain pickle is one of these; the pickle is refused in other words.
    refuse_dangerous(names - {"torch.storage._load_from_bytes"}, file)


def _what_else(head: bytes) -> str:
    """Name a file that is no model."""
    for start, words in _STRANGERS:
        if head.startswith(start):
            return words
    if head[257:262] == b"ustar":
        return (
            "is a tar archive; unpack it (torch files of this kind, from before 0.2, are not read)."
        )
    if head[4:8] == b"TFL3":
        return "is a TensorFlow Lite model, which reportgen does not read."
    if head[:1] == b"\x08" and b"pytorch" in head[:32]:
        return "is an ONNX graph, which reportgen does not read; give the PyTorch checkpoint."
    if head.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the model itself; run `git lfs pull` and try again."
    if head.strip().lower().startswith((b"<!doctype html", b"<html", b"<head")):
        return "is a web page: the download gave a page instead of the model; download it again."
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return (
            "is a plain pickle, not a file of torch.save; load it where it was made and save the "
            "weights with torch.save(model.state_dict(), FILE) or as safetensors."
        )
    if _is_text(head):
        return "is a text file, not a model."
    return f"is not a model file that reportgen knows (it begins with {head[:4].hex(' ')})."


def _is_text(head: bytes) -> bool:
    try:
        # The last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _check_safetensors(stream: IO[bytes], file: str, size: int) -> None:
    """See that a safetensors header is whole and says nothing twice."""
    length = int.from_bytes(stream.read(8), "little")
    header = stream.read(length)
    stream.seek(0)
    if len(header) < length:
        raise ModelError(f"{file} is cut short ({size:,} bytes): {_CUT}")
    try:
        entries = json.loads(header, object_pairs_hook=_without_duplicates)
        ends = [e["data_offsets"][1] for name, e in entries.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"{file} has a damaged safetensors header.") from error
    refuse_too_many(len(ends), file)
    expected = 8 + length + max(ends, default=0)
    if size < expected:
        raise ModelError(f"{file} is cut short ({size:,} of {expected:,} bytes): {_CUT}")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _kind_of_zip(stream: IO[bytes], file: str, size: int) -> Kind:
    """Tell the zip files of torch apart, and see that every record is whole.

    torch does not verify the checksums (one flipped byte loads in silence), and reads the first of
    two records of one name where other readers take the last.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            names = [info.filename for info in archive.infolist()]
            kind = _torch_kind(names, file)
            _check_records(archive, file, size, kind)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{file} {_zip_fault(str(error), size)}") from error
    except (EOFError, OSError, ValueError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{file} is a damaged zip archive; get it again.") from error
    stream.seek(0)
    return kind


def _torch_kind(names: list[str], file: str) -> Kind:
    if any(re.search(r"(^|/)\.\.(/|$)|^/|\\|^\w:", name) for name in names):
        raise ModelError(f"{file} holds a record whose name leaves the archive.")
    tops = {name.split("/", 1)[0] for name in names}
    inside = {name.split("/", 1)[1] for name in names if "/" in name}
    if len(tops) == 1 and "archive_format" in inside:
        return "pt2"
    if len(tops) == 1 and "constants.pkl" in inside:
        return "TorchScript"
    if len(tops) == 1 and "data.pkl" in inside:
        return "zip"
    if names and all(name.endswith(".npy") for name in names):
        raise ModelError(f"{file} is an archive of NumPy arrays (.npz), not a PyTorch model.")
    if any(name.endswith((".h5", ".keras")) for name in names):
        raise ModelError(f"{file} is a Keras model, which reportgen does not read.")
    raise ModelError(f"{file} is an ordinary zip archive; unpack it and give the model inside.")


def _check_records(archive: zipfile.ZipFile, file: str, size: int, kind: Kind) -> None:
    """Refuse records that are doubled, packed, locked or changed."""
    # miniz, which torch reads with, does not tell upper from lower case.
    names = [info.filename.casefold() for info in archive.infolist()]
    if len(names) > _MOST_RECORDS:
        raise ModelError(f"{file} holds {len(names):,} records, which is more than any network.")
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise ModelError(f"{file} holds two records named {doubled[0]}, so readers disagree on it.")
    if archive.comment:
        raise ModelError(
            f"{file} has a comment behind its zip directory, which torch never writes."
        )
    if min(info.header_offset for info in archive.infolist()):
        raise ModelError(f"{file} holds something before its zip archive, so readers disagree.")
    stored = 0
    for info in archive.infolist():
        if info.flag_bits & 1:
            raise ModelError(f"{file} holds an encrypted record ({info.filename}).")
        # The code of a TorchScript file is packed; it is never read.
        if kind == "TorchScript" and info.filename.partition("/")[2].startswith("code/"):
            continue
        if info.compress_type != zipfile.ZIP_STORED:
            raise ModelError(
                f"{file} holds a compressed record ({info.filename}), which torch never writes; "
                "was it packed again?"
            )
        stored += info.file_size
        if stored > size:
            raise ModelError(f"{file} claims more data than it has: its records overlap.")
        with archive.open(info) as record:
            while record.read(1 << 20):
                pass


def _zip_fault(reason: str, size: int) -> str:
    """Say in plain words why Python cannot read a zip file."""
    crc = re.search(r"Bad CRC-32 for file '(.+)'", reason)
    if crc:
        return f"is damaged: the checksum of its record {crc.group(1)} is wrong; get it again."
    if "not a zip file" in reason:
        return f"is cut short ({size:,} bytes; the end of its zip archive is missing): {_CUT}"
    return "is a damaged zip archive; get it again."
