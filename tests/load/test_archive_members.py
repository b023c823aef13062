"""What archives hold beside images: labels, what is hidden, folders around all, and damage."""

import gzip
import io
import json
import os
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from reportgen.load import archives, content
from reportgen.load.archives import archived, is_archive
from reportgen.load.candidates import Candidate
from reportgen.load.content import InTar, InZip
from reportgen.load.decode import UnreadableImage
from reportgen.load.images import image_set
from reportgen.load.listing import listing
from tests.load.test_archives import pack, png
from tests.load.test_images import SMALL, picture


def labels(tmp_path: Path, **beside: bytes) -> list[str | None]:
    """What a shard of three images has as their classes; `a_json` is the file `a.json`."""
    members = [(f"{stem}.png", b"") for stem in "abc"]
    members += [(name.replace("_", "."), data) for name, data in beside.items()]
    part = archived(pack(tmp_path / "shard.tar", members))
    assert [found.path for found in part.candidates] == ["a.png", "b.png", "c.png"]
    return [found.label for found in part.candidates]


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"PK\x03\x04", True),
        (b"PK\x05\x06" + bytes(18), True),  # of nothing
        (b"PK\x07\x08", False),
        (b"\x1f\x8b", True),
        (b"\x1f", False),
        (bytes(257) + b"ustar", True),
        (bytes(256) + b"ustar", False),
        (bytes(258) + b"ustar", False),
        (b"", False),
    ],
)
def test_an_archive_is_known_by_its_first_bytes(head: bytes, is_one: bool) -> None:
    assert is_archive(head) is is_one


@pytest.mark.parametrize("key", ["cls", "label", "class", "class_name", "category", "target"])
def test_each_usual_key_states_a_class(tmp_path: Path, key: str) -> None:
    stated = json.dumps({"width": 8, key: "eel"}).encode()
    assert labels(tmp_path, b_json=stated) == [None, "eel", None]
    keys = ["cls", "label", "class", "class_name", "category", "target"]
    later = keys[keys.index(key) :][::-1]
    both = json.dumps({name: f"by {name}" for name in later}).encode()
    assert labels(tmp_path, b_json=both) == [None, f"by {key}", None]


@pytest.mark.parametrize(
    ("stated", "label"),
    [
        (b"4", "4"),
        (b'"eel"', "eel"),
        (b'{"label": 0}', "0"),
        (b"true", None),
        (b'{"label": false}', None),
        (b'{"label": 1.5}', None),
        (b'{"label": null, "class": "eel"}', None),
        (b"[1]", None),
        (b"{}", None),
        (b"[" * 100_000, None),
        (b'{"label": "' + b"x" * 100 + b'"}', "x" * 100),
        (b'{"label": "' + b"x" * 101 + b'"}', None),
        (b'{"label": "a\\nb"}', None),
    ],
)
def test_json_states_a_class_by_name_or_index(
    tmp_path: Path, stated: bytes, label: str | None
) -> None:
    assert labels(tmp_path, b_json=stated) == [None, label, None]


@pytest.mark.parametrize(
    ("stated", "label"),
    [
        (b" eel \r\n", "eel"),
        (b"a\nb", None),
        (b"\n", None),
        (b"x" * 100, "x" * 100),
        (b"x" * 101, None),
        (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        (b" " * (2**20 - 3) + b"eel", "eel"),
        (b" " * (2**20 - 2) + b"eel", None),
    ],
)
def test_a_class_file_is_one_short_line(tmp_path: Path, stated: bytes, label: str | None) -> None:
    assert labels(tmp_path, b_cls=stated) == [None, label, None]
    assert labels(tmp_path, b_CLS=stated) == [None, label, None]


def test_texts_are_classes_unless_they_are_captions(tmp_path: Path) -> None:
    assert labels(tmp_path, a_txt=b"cat") == ["cat", None, None]
    assert labels(tmp_path, a_txt=b"cat", b_txt=b"cat") == ["cat", "cat", None]
    assert labels(tmp_path, a_txt=b"cat", b_txt=b"dog") == [None, None, None]
    assert labels(tmp_path, a_txt=b"3", b_txt=b"10") == ["3", "10", None]
    assert labels(tmp_path, a_txt=b"3", b_txt=b"dog") == [None, None, None]
    beside = {"a_txt": b"on a mat", "b_txt": b"off it", "b_cls": b"7", "c_json": b"8"}
    assert labels(tmp_path, **beside) == [None, "7", "8"]
    assert labels(tmp_path, a_txt=b"t", a_json=b'"j"', a_cls=b"c") == ["c", None, None]
    assert labels(tmp_path, a_txt=b"t", a_json=b'"j"') == ["j", None, None]


def test_what_states_a_class_is_not_counted_as_left_out(tmp_path: Path) -> None:
    members = [("a.png", b""), ("a.cls", b"1"), ("b.cls", b"2"), ("c.json", b"{}"), ("d.md", b"")]
    part = archived(pack(tmp_path / "a.tar", members))
    assert [found.label for found in part.candidates] == ["1"]
    assert part.left_out == {".cls": 1, ".json": 1, ".md": 1} and part.skipped == {}


def test_a_zip_file_is_a_folder_and_no_shard(tmp_path: Path) -> None:
    """Classes are files beside images in shards for training, which are tar archives."""
    members = [("a.png", b""), ("a.cls", b"1"), ("a.json", b"1")]
    part = archived(pack(tmp_path / "stored.zip", members))
    assert [(found.path, found.label) for found in part.candidates] == [
        ("a.png", None),
        ("a.cls", None),
    ]
    assert part.left_out == {".json": 1}


def test_links_that_would_be_labels_state_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("a.png", tarfile.REGTYPE), ("a.cls", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "a.png"
            archive.addfile(info)
    (found,) = archived(tmp_path / "a.tar").candidates
    assert found.label is None


@pytest.mark.parametrize("packing", ["stored.zip", "plain.tar", "packed.tar.gz"])
def test_hidden_entries_are_counted_as_a_walk_meets_them(tmp_path: Path, packing: str) -> None:
    names = [".git/a/b", ".git/c", "cat/.a.png", "cat/.b.png", "cat/.c/x.png", "cat/.c/y.png"]
    part = archived(pack(tmp_path / packing, [(name, b"") for name in [*names, "cat/a.png"]]))
    assert part.left_out == {"hidden": 4}
    assert [(found.path, found.folder) for found in part.candidates] == [("cat/a.png", "cat")]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["cat/a.png", "cat/b.png"], [("cat/a.png", "cat"), ("cat/b.png", "cat")]),
        (["set/cat/a.png", "set/cat/b.png"], [("cat/a.png", "cat"), ("cat/b.png", "cat")]),
        (["x/set/cat/a.png", "x/set/eel/b.png"], [("cat/a.png", "cat"), ("eel/b.png", "eel")]),
        (["set/a.png", "set/cat/b.png"], [("set/a.png", "set"), ("set/cat/b.png", None)]),
        (["a.png", "cat/b.png"], [("a.png", None), ("cat/b.png", "cat")]),
        (["./a.png"], [("a.png", None)]),
    ],
)
def test_folders_around_all_folders_are_left_out_of_the_names(
    tmp_path: Path, names: list[str], shown: list[tuple[str, str | None]]
) -> None:
    part = archived(pack(tmp_path / "plain.tar", [(name, b"") for name in names]))
    assert [(found.path, found.folder) for found in part.candidates] == shown


def test_refused_members_are_named_as_they_would_be_listed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("set/cat/a.png", tarfile.LNKTYPE), ("set/eel/b.png", b"0")):
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)
    part = archived(tmp_path / "a.tar")
    assert [entry.path for entry in part.skipped.values()] == ["cat/a.png"]


@pytest.mark.parametrize("packing", ["stored.zip", "deflated.zip", "plain.tar", "packed.tar.gz"])
def test_a_member_as_large_as_a_picture_may_be_is_taken(
    tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = png(tmp_path)
    monkeypatch.setattr(archives, "MAX_BYTES", len(data))
    archive = pack(tmp_path / packing, [("a.png", data), ("large.png", data + b"x")])
    images = image_set([archive], SMALL)
    assert [file.path for file in images.files] == ["a.png"]
    assert [(entry.path, entry.reason) for entry in images.skipped] == [
        ("large.png", "The file is larger than 512 MB.")
    ]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (KeyError("there is\n no  item."), "'there is\\n no item.'"),
        (ValueError("odd\n number.."), "odd number"),
        (EOFError(), "EOFError"),
        (ValueError("x" * 101), "x" * 100),
    ],
)
def test_any_fault_of_a_reader_is_said_in_one_line(
    tmp_path: Path, fault: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise fault

    archive = pack(tmp_path / "plain.tar", [("a.png", b"")])
    monkeypatch.setattr(archives, "_in_tar", faulty)
    part = archived(archive)
    (entry,) = part.skipped.values()
    words = f"The archive is damaged, or cut short here ({said})."
    assert (entry.path, entry.reason, part.candidates) == ("", words, ())


def test_what_follows_the_end_of_a_tar_archive_is_not_looked_at(tmp_path: Path) -> None:
    whole = pack(tmp_path / "plain.tar", [("a.png", b"1")]).read_bytes()
    for end, count in ((b"\0" * 512, 0), (b"\0" * 511 + b"x", 1), (b"", 0)):
        (tmp_path / "b.tar").write_bytes(whole[:1024] + end)
        part = archived(tmp_path / "b.tar")
        assert len(part.candidates) == 1 and len(part.skipped) == count


def in_zip(archive: Path) -> InZip:
    (found,) = listing([archive]).candidates
    assert isinstance(found.location, InZip)
    return found.location


@pytest.mark.parametrize("packing", ["stored.zip", "deflated.zip"])
def test_a_member_of_a_zip_file_is_read_behind_any_header(tmp_path: Path, packing: str) -> None:
    name, data = "n" * 700 + ".png", b"1234" * 100
    how = zipfile.ZIP_DEFLATED if packing == "deflated.zip" else zipfile.ZIP_STORED
    for extra in (b"", b"\x99\x99" + (600).to_bytes(2, "little") + bytes(600)):
        info = zipfile.ZipInfo(name)
        info.extra, info.compress_type = extra, how
        with zipfile.ZipFile(tmp_path / packing, "w") as archive:
            archive.writestr(info, data)
        assert in_zip(tmp_path / packing).read() == data


def test_a_member_of_a_zip_file_is_what_its_directory_states(tmp_path: Path) -> None:
    other, damaged = (
        "The archive does not hold here what it states.",
        "The archive is damaged here.",
    )
    stored = in_zip(pack(tmp_path / "stored.zip", [("a.png", b"abcdefgh")]))
    (tmp_path / "changed.zip").write_bytes(
        stored.archive.read_bytes().replace(b"abcdefgh", b"abcdefgX")
    )
    deflated = in_zip(pack(tmp_path / "deflated.zip", [("a.png", b"abcd" * 50)]))
    cases = [
        (replace(stored, archive=tmp_path / "changed.zip"), other),
        (replace(stored, checksum=stored.checksum ^ 1), other),
        (replace(stored, size=7, checksum=zlib.crc32(b"abcdefgh")), other),
        (replace(stored, header=stored.header + 1), damaged),
        (replace(stored, packed=10**6), "The archive is cut short."),
        (replace(deflated, size=199, checksum=zlib.crc32(b"abcd" * 50)), other),
        (replace(deflated, size=199, checksum=zlib.crc32((b"abcd" * 50)[:199])), other),
        (replace(deflated, size=201), other),
        (replace(deflated, header=0, is_deflated=True, archive=stored.archive), damaged),
    ]
    for held, said in cases:
        with pytest.raises(UnreadableImage) as caught:
            held.read()
        assert str(caught.value) == said


def test_a_member_of_a_tar_archive_is_so_long_as_it_states(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"0123456789")
    assert InTar(tmp_path / "a.tar", 2, 8).read() == b"23456789"
    with pytest.raises(UnreadableImage, match=r"^The archive is cut short\.$"):
        InTar(tmp_path / "a.tar", 2, 9).read()


def test_a_file_is_read_up_to_the_limit_and_refused_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(content, "MAX_BYTES", len(data))
    assert content.content(tmp_path / "a.png") == data
    monkeypatch.setattr(content, "MAX_BYTES", len(data) - 1)
    with pytest.raises(UnreadableImage, match=r"^The file is larger than 512 MB\.$"):
        content.content(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match=r"^The file cannot be opened \(No such file"):
        content.content(tmp_path / "b.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_what_is_no_regular_file_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    given: list[int] = []
    open_file = os.open

    def noted(path: str, flags: int, *more: int) -> int:
        given.append(open_file(path, flags, *more))
        return given[-1]

    monkeypatch.setattr(os, "open", noted)
    with pytest.raises(UnreadableImage, match=r"^This is not a regular file\.$"):
        content.opened(tmp_path / "pipe")
    (descriptor,) = given
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_gzip_file_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(b"only words"))
    part = archived(tmp_path / "a.tar.gz")
    (entry,) = part.skipped.values()
    assert entry.path == "" and entry.reason.startswith("The archive is damaged, or cut short here")


def test_the_last_of_two_members_of_one_name_counts(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for data in (b"first", b"second one"):
            info = tarfile.TarInfo("a.png")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    (tmp_path / "a.tar").write_bytes(stream.getvalue())
    location = InTar(tmp_path / "a.tar", 1536, 10)
    assert archived(tmp_path / "a.tar").candidates == (Candidate(location, "a.png", None),)
    assert location.read() == b"second one"
