"""What lies in ZIP and tar archives, which are read in place: nothing is unpacked to the disk."""

import json
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from reportgen.load.candidates import PLAINLY_OTHER, Candidate, Part, text
from reportgen.load.content import TOO_LARGE, Held, InTar, InZip, is_bomb, opened
from reportgen.load.decode import MAX_BYTES, UnreadableImage
from reportgen.load.gzipped import Gzipped, InGzip, Unpacked
from reportgen.report.records import SkippedImage

_LABELS = (".cls", ".json", ".txt")
"Endings of files beside an image that state its class, as in WebDataset shards; the first wins."
_KEYS = ("cls", "label", "class", "class_name", "category", "target")
"What states the class in a JSON object; the first wins."
_MAX_LABEL_FILE = 2**20
_MAX_LABEL = 100
"Characters that the name of a class may have."
_LINK = 0o120000
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class _Member:
    name: str
    location: Held | None
    "None of a folder."
    size: int = 0
    problem: str = ""


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so (512 bytes) is an archive that is read in place."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b")) or _is_tar(head)


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def archived(location: Path) -> Part:
    """What an archive holds, whose end may be missing.

    Names that lead out of it are refused, links in it are not followed. Where a name occurs twice,
    the last counts, as when it is unpacked. One folder around all folders is left out of the names.
    """
    members: dict[PurePosixPath, _Member] = {}
    skipped: list[SkippedImage] = []
    hidden: set[PurePosixPath] = set()
    labels: dict[str, dict[str, str]] = {}
    is_tar = False
    try:
        with opened(location) as file:
            head = file.read(tarfile.BLOCKSIZE)
            is_tar = not head.startswith(b"PK")
            for member in _members(location, head, file):
                path = PurePosixPath(member.name)
                if _leads_out(path, member.name):
                    reason = "This name leads out of the archive."
                    skipped.append(SkippedImage(text(member.name), reason))
                elif any(part.startswith(".") for part in path.parts):
                    hidden.add(_first_hidden(path))
                elif member.location is not None and path.parts:
                    members[path] = member
                    is_label = is_tar and path.suffix.lower() in _LABELS
                    if is_label and not member.problem and member.size <= _MAX_LABEL_FILE:
                        _read_label(path, member.location, labels)
    except UnreadableImage as error:
        skipped.append(SkippedImage("", str(error)))
    except OSError as error:
        skipped.append(SkippedImage("", f"It cannot be opened ({error.strerror})."))
    # Damaged archives reach every kind of exception inside the readers (struct.error, ValueError,
    # EOFError, KeyError): none may end the report, and what came before the damage is read.
    except Exception as error:
        detail = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        reason = f"The archive is damaged, or cut short here ({detail[:100]})."
        skipped.append(SkippedImage("", reason))
    others = PLAINLY_OTHER.union(_LABELS if is_tar else ())
    return _sorted_out(members, skipped, len(hidden), others, _classes(labels))


def _members(location: Path, head: bytes, file: BinaryIO) -> Iterator[_Member]:
    if head.startswith(b"PK"):
        yield from _in_zip(location, file)
    elif _is_tar(head):
        file.seek(0)
        for info in _infos(file):
            yield _in_tar(info, InTar(location, info.offset_data, info.size))
    else:
        packed = Gzipped(location)
        for info in _infos(cast(BinaryIO, Unpacked(packed))):
            yield _in_tar(info, InGzip(packed, info.offset_data, info.size))


def _infos(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (info := tar.next()) is not None:
            cast(Any, tar).members.clear()  # else all of them stay
            yield info
        file.seek(tar.offset)
        if any(file.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("bad header")  # which tarfile takes for the end


def _in_tar(info: tarfile.TarInfo, location: Held) -> _Member:
    if info.isdir():
        return _Member(info.name, None)
    problem = ""
    if info.issym() or info.islnk():
        problem = "This is a link, and links in archives are not followed."
    elif not info.isreg() or info.issparse():
        problem = "This is not a regular file."
    elif info.size > MAX_BYTES:
        problem = TOO_LARGE
    return _Member(info.name, location, info.size, problem)


def _in_zip(location: Path, file: BinaryIO) -> Iterator[_Member]:
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
    whole = location.stat().st_size
    if sum(info.compress_size for info in infos) > whole:
        raise UnreadableImage("Members of the archive lie over one another.")
    for info in infos:
        name = info.filename.replace("\\", "/")
        if name.endswith("/"):
            yield _Member(name, None)
            continue
        is_deflated = info.compress_type == zipfile.ZIP_DEFLATED
        held = InZip(
            location, info.header_offset, info.compress_size, info.file_size, info.CRC, is_deflated
        )
        yield _Member(name, held, info.file_size, _zip_problem(info))


def _zip_problem(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & _ENCRYPTED:
        return "It is encrypted."
    if (info.external_attr >> 16) & 0o170000 == _LINK:
        return "This is a link, and links in archives are not followed."
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "It is packed in a way that is not read here: only stored and deflated files are."
    if info.file_size > MAX_BYTES:
        return TOO_LARGE
    if is_bomb(info.compress_size, info.file_size):
        return "It unpacks to far more than a picture can."
    return ""


def _leads_out(path: PurePosixPath, name: str) -> bool:
    """Whether the path of a member is none below the archive."""
    is_drive = re.match(r"[A-Za-z]:[/\\]", name) is not None
    return path.is_absolute() or ".." in path.parts or is_drive


def _first_hidden(path: PurePosixPath) -> PurePosixPath:
    """The first on the way to a hidden member that is hidden: a walk goes no further."""
    count = next(at for at, part in enumerate(path.parts) if part.startswith("."))
    return PurePosixPath(*path.parts[: count + 1])


def _read_label(path: PurePosixPath, location: Held, labels: dict[str, dict[str, str]]) -> None:
    """Adds what a file beside an image states of its class, if it does, to `labels`."""
    said = location.read().decode("utf-8", "replace").strip()
    if path.suffix.lower() == ".json":
        try:
            found = json.loads(said)
        except (ValueError, RecursionError):
            return
        given = found if isinstance(found, dict) else {"label": found}
        value = next((given[key] for key in _KEYS if key in given), None)
        is_stated = isinstance(value, (str, int)) and not isinstance(value, bool)
        said = str(value) if is_stated else ""
    if said and len(said) <= _MAX_LABEL and "\n" not in said:
        labels.setdefault(path.suffix.lower(), {})[str(path.with_suffix(""))] = said


def _classes(labels: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    """The same without texts that are captions: of which no two are alike, and none is a number."""
    texts = labels.get(".txt", {})
    is_captions = len(texts) > 1 and len(set(texts.values())) == len(texts)
    if is_captions and not all(said.isdecimal() for said in texts.values()):
        return {ending: found for ending, found in labels.items() if ending != ".txt"}
    return labels


def _sorted_out(
    members: Mapping[PurePosixPath, _Member],
    skipped: list[SkippedImage],
    hidden: int,
    others: Container[str],
    labels: Mapping[str, Mapping[str, str]],
) -> Part:
    """Images and what is plainly none, with the class that is stated beside each."""
    left_out = Counter({"hidden": hidden}) if hidden else Counter[str]()
    tried: dict[PurePosixPath, str] = {}
    used: set[tuple[str, str]] = set()
    for path in members:
        if path.suffix.lower() not in others:
            # `a/b.seg.png` lies beside `a/b.cls`, and `a/b.c.png` beside `a/b.c.cls`.
            stems = (str(path.with_suffix("")), str(path.with_name(path.name.partition(".")[0])))
            found = [(e, stem) for e in _LABELS for stem in stems if stem in labels.get(e, {})]
            used.update(found)
            tried[path] = labels[found[0][0]][found[0][1]] if found else ""
    for path in members.keys() - tried.keys():
        if (path.suffix.lower(), str(path.with_suffix(""))) not in used:
            left_out[path.suffix.lower()] += 1
    depth = _around(list(tried))
    candidates = []
    for path, label in tried.items():
        inside, member = PurePosixPath(*path.parts[depth:]), members[path]
        if member.problem:
            skipped.append(SkippedImage(text(str(inside)), member.problem))
        else:
            assert member.location is not None  # folders are no members
            folder = text(inside.parts[0]) if len(inside.parts) == 2 else None
            candidates.append(Candidate(member.location, text(str(inside)), folder, label or None))
    return Part(tuple(candidates), dict(enumerate(skipped)), left_out=left_out)


def _around(paths: Sequence[PurePosixPath]) -> int:
    """How many folders lie around all the folders in which images lie."""
    depth = 0
    while paths and all(len(path.parts) > depth + 2 for path in paths):
        if len({path.parts[depth] for path in paths}) > 1:
            break
        depth += 1
    return depth
