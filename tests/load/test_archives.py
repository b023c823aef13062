"""ZIP and tar archives, read in place: the images of the folder, and nothing from elsewhere."""

import io
import itertools
import random
import shutil
import stat
import tarfile
import zipfile

import numpy as np
import pytest
import torch

from reportgen.errors import ImageError
from reportgen.load.content import content
from reportgen.load.decode import UnreadableImage
from reportgen.load.gzipped import Gzipped
from reportgen.load.images import image_set
from reportgen.load.listing import listing, shown_names
from tests.load.test_images import SMALL, paths, picture, reasons

PACKINGS = ("stored.zip", "deflated.zip", "plain.tar", "packed.tar.gz", "packed.tgz")


def png(tmp_path, seed=0):
    picture(tmp_path / "one.png", seed=seed, height=9, width=13)
    return (tmp_path / "one.png").read_bytes()


def pack(archive, members):
    """An archive of (name, content) in this order; a name that ends in a slash is a folder."""
    if archive.name.endswith(".zip"):
        how = zipfile.ZIP_STORED if "stored" in archive.name else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(archive, "w", how) as packed:
            for name, data in members:
                packed.writestr(name, data)
        return archive
    with tarfile.open(archive, "w:gz" if archive.suffix in {".gz", ".tgz"} else "w") as packed:
        for name, data in members:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.size = len(data)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            packed.addfile(info, io.BytesIO(data))
    return archive


@pytest.fixture
def folder(tmp_path):
    """Images of two classes, a broken one, companions and what is hidden."""
    folder = tmp_path / "folder"
    for seed, name in enumerate(("cat/10.png", "cat/9.png", "dog bag/1.png", "dog bag/é.png")):
        picture(folder / name, seed=seed, height=9 + seed, width=13)
    (folder / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff cut")
    (folder / "notes.txt").write_text("words")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.png").write_bytes(b"")
    return folder


def packed(folder, archive, around=""):
    """The folder in an archive, in an order that is not that of its names."""
    entries = sorted(folder.rglob("*"), reverse=True)
    members = []
    for entry in entries:
        name = around + entry.relative_to(folder).as_posix()
        members.append((name + "/", b"") if entry.is_dir() else (name, entry.read_bytes()))
    return pack(archive, members)


@pytest.mark.parametrize("around", ["", "./", "set/", "deep/set/"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_an_archive_is_read_as_the_folder_that_was_packed(tmp_path, folder, packing, around):
    archive = packed(folder, tmp_path / packing, around)
    there, here = image_set([folder], SMALL), image_set([archive], SMALL)
    assert paths(here) == ["cat/9.png", "cat/10.png", "dog bag/1.png", "dog bag/é.png"]
    assert [file.true_class for file in here.files] == ["cat", "cat", "dog bag", "dog bag"]
    known = [(f.path, f.slug, f.sha256, f.width, f.height, f.notes) for f in here.files]
    assert known == [(f.path, f.slug, f.sha256, f.width, f.height, f.notes) for f in there.files]
    assert here.skipped == there.skipped and len(here.skipped) == 1
    assert here.notes == there.notes and "1 .txt, 1 hidden" in here.notes[0]
    for index in reversed(range(4)):
        assert torch.equal(here.pixels(index), there.pixels(index))


def test_several_archives_are_told_apart_by_their_names(tmp_path):
    data = png(tmp_path)
    shards = [pack(tmp_path / f"s-{at}.tar", [("a.png", data)]) for at in (10, 9)]
    assert paths(image_set(shards, SMALL)) == ["s-9.tar/a.png", "s-10.tar/a.png"]
    assert shown_names(shards) == ["s-9.tar", "s-10.tar"]
    assert shown_names(shards[:1]) == ["images.tar"]


HARMFUL = ["../out.png", "/etc/out.png", "a/../../out.png", "C:\\out.png", "C:/out.png"]


@pytest.mark.parametrize("name", HARMFUL)
@pytest.mark.parametrize("packing", ["stored.zip", "plain.tar", "packed.tar.gz"])
def test_a_name_that_leads_out_of_an_archive_is_refused(tmp_path, packing, name):
    data = png(tmp_path)
    images = image_set([pack(tmp_path / packing, [(name, data), ("good.png", data)])], SMALL)
    assert paths(images) == ["good.png"]
    assert list(reasons(images).values()) == ["This name leads out of the archive."]


def test_links_and_devices_in_archives_are_not_followed(tmp_path):
    data, secret = png(tmp_path), tmp_path / "secret.png"
    secret.write_bytes(png(tmp_path, seed=9))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind, to in (
            ("soft.png", tarfile.SYMTYPE, str(secret)),
            ("hard.png", tarfile.LNKTYPE, "good.png"),
            ("pipe.png", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, to
            archive.addfile(info)
        info = tarfile.TarInfo("good.png")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    images = image_set([tmp_path / "a.tar"], SMALL)
    assert paths(images) == ["good.png"]
    link = "This is a link, and links in archives are not followed."
    not_a_file = "This is not a regular file."
    assert reasons(images) == {"hard.png": link, "pipe.png": not_a_file, "soft.png": link}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("soft.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, str(secret))
        archive.writestr("good.png", data)
    assert reasons(image_set([tmp_path / "a.zip"], SMALL)) == {"soft.png": link}


def test_encrypted_and_oddly_packed_members_say_so(tmp_path):
    data = png(tmp_path)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packing:
        packing.writestr("good.png", data)
        packing.writestr("locked.png", data)
        packing.writestr("odd.png", data, zipfile.ZIP_BZIP2)
    content = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the bit that says encrypted
        places = [place for place in range(len(content)) if content.startswith(mark, place)]
        content[places[1] + at] |= 1
    archive.write_bytes(content)
    images = image_set([archive], SMALL)
    assert paths(images) == ["good.png"]
    assert reasons(images) == {
        "locked.png": "It is encrypted.",
        "odd.png": "It is packed in a way that is not read here: only stored and deflated files "
        "are.",
    }


def test_bombs_are_refused_unopened(tmp_path, monkeypatch):
    data, zeros = png(tmp_path), bytes(70 * 2**20)
    archive = pack(tmp_path / "deflated.zip", [("bomb.png", zeros), ("good.png", data)])
    opened = []
    whole = type(listing([archive]).candidates[0].location).read
    monkeypatch.setattr(
        "reportgen.load.content.InZip.read", lambda self: opened.append(self.size) or whole(self)
    )
    images = image_set([archive], SMALL)
    assert reasons(images) == {"bomb.png": "It unpacks to far more than a picture can."}
    assert set(opened) == {len(data)}
    packed = pack(tmp_path / "a.tar.gz", [("a.png", data), ("bomb.png", zeros), ("b.png", data)])
    images = image_set([packed], SMALL)
    assert paths(images) == ["a.png"]
    said = "The archive unpacks to far more than pictures can."
    assert reasons(images) == {"a.tar.gz": said, "bomb.png": said}


def test_a_member_larger_than_any_picture_is_refused(tmp_path):
    data = png(tmp_path)
    archive = tmp_path / "a.tar"
    large = tarfile.TarInfo("large.png")
    large.size = 600 * 2**20
    good = tarfile.TarInfo("good.png")
    good.size = len(data)
    with archive.open("wb") as file:  # a hole, of which nothing is on the disk
        file.write(large.tobuf())
        file.seek(512 + large.size)
        file.write(good.tobuf() + data + bytes(-len(data) % 512 + 1024))
    images = image_set([archive], SMALL)
    assert paths(images) == ["good.png"]
    assert reasons(images) == {"large.png": "The file is larger than 512 MB."}


def test_members_that_lie_over_one_another_are_refused(tmp_path):
    data = png(tmp_path)
    archive = pack(tmp_path / "stored.zip", [("a.png", data), ("b.png", data)])
    content = bytearray(archive.read_bytes())
    first = content.index(b"PK\x01\x02")
    content[first + 20 : first + 24] = (10 * len(data)).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(ImageError, match="Members of the archive lie over one another"):
        image_set([archive], SMALL)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_damaged_archive_is_told_and_what_can_be_read_is_read(tmp_path, packing):
    noise = [(f"{at}.png", png(tmp_path, seed=at)) for at in range(6)]
    archive = pack(tmp_path / packing, noise)
    whole = archive.read_bytes()
    seen = set()
    for at in range(0, len(whole), 97):
        for change in (whole[:at], whole[:at] + b"\xa5" * 40 + whole[at + 40 :]):
            archive.write_bytes(change)
            try:
                images = image_set([tmp_path / "one.png", archive], SMALL)
            except ImageError:
                continue
            said = len(images.files) - 1 + sum("png" in path for path in reasons(images))
            # Names may be changed, too; what is not read is said, by its name or the archive's.
            assert said >= 6 or packing in "".join(reasons(images))
            seen.add(len(images.files) - 1)
    assert {0, 5} <= seen | {6}


def test_a_name_that_occurs_twice_is_what_unpacking_would_leave(tmp_path):
    first, last = png(tmp_path, seed=1), png(tmp_path, seed=2)
    archive = pack(tmp_path / "a.tar", [("x.png", first), ("x.png", last)])
    (candidate,) = listing([archive]).candidates
    assert candidate.location.read() == last


def shard(tmp_path, beside, packing="plain.tar"):
    data = png(tmp_path)
    members = [(f"{stem}.png", data) for stem in ("000", "001", "002")]
    return pack(tmp_path / packing, members + [(n, d.encode()) for n, d in beside.items()])


@pytest.mark.parametrize("packing", ["plain.tar", "packed.tar.gz"])
@pytest.mark.parametrize(
    ("beside", "names", "indices"),
    [
        ({"000.cls": "2", "001.cls": "0", "002.cls": "10"}, [None] * 3, [2, 0, 10]),
        ({"000.cls": "cat\n", "001.cls": "7"}, ["cat", "7", None], [None] * 3),
        ({"000.json": '{"label": 4, "cname": "x"}'}, [None] * 3, [4, None, None]),
        ({"002.json": '{"width": 4, "class_name": "eel"}'}, [None, None, "eel"], [None] * 3),
        ({"000.txt": "cat", "001.txt": "dog", "002.txt": "dog"}, ["cat", "dog", "dog"], [None] * 3),
        ({"000.txt": "a cat on a mat", "001.txt": "dogs"}, [None] * 3, [None] * 3),
        ({"000.txt": "3", "000.cls": "5"}, [None] * 3, [5, None, None]),
        ({"000.json": "{", "001.json": "[[[[", "002.cls": "x" * 200}, [None] * 3, [None] * 3),
    ],
)
def test_a_file_beside_an_image_states_its_class(tmp_path, packing, beside, names, indices):
    images = image_set([shard(tmp_path, beside, packing)], SMALL)
    assert paths(images) == ["000.png", "001.png", "002.png"]
    assert [file.true_class for file in images.files] == names
    assert [file.true_index for file in images.files] == indices
    assert images.skipped == ()


def test_the_second_image_of_a_sample_has_the_same_class(tmp_path):
    data = png(tmp_path)
    members = [("a.x.png", data), ("a.seg.png", data), ("a.x.cls", b"1"), ("a.cls", b"2")]
    images = image_set([pack(tmp_path / "a.tar", members)], SMALL)
    assert {f.path: f.true_index for f in images.files} == {"a.x.png": 1, "a.seg.png": 2}


def test_an_archive_is_told_by_its_content_and_not_by_its_name(tmp_path, folder):
    archive = packed(folder, tmp_path / "plain.tar")
    shutil.move(archive, tmp_path / "photos")
    assert len(image_set([tmp_path / "photos"], SMALL).files) == 4


def test_an_archive_that_changes_later_is_told(tmp_path):
    archive = pack(tmp_path / "stored.zip", [("a.png", png(tmp_path))])
    images = image_set([archive], SMALL)
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(ImageError, match=r"a\.png changed while the report was made"):
        images.pixels(0)
    archive.write_bytes(b"\0" * 4000)
    with pytest.raises(UnreadableImage, match="damaged"):
        content(images.files[0].location)


def test_any_place_of_a_gzip_file_is_read_as_it_was_packed(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setattr("reportgen.load.gzipped._RECENT", 3_000)
    monkeypatch.setattr("reportgen.load.gzipped._MARKS", 5)
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 40, 3_000_000, dtype=np.uint8).tobytes()
    # As pigz and cat make them: several streams, and padding at the end.
    cut = [raw[:1_000_001], raw[1_000_001:1_000_001], raw[1_000_001:]]
    file = tmp_path / "x.gz"
    file.write_bytes(b"".join(map(gzip.compress, cut)) + bytes(700))
    source = Gzipped(file)
    source._spacing = 100_000
    places = [*range(0, 3_000_000, 111_111), 2_999_990, 3_000_010]
    random.Random(3).shuffle(places)
    for place, size in zip(places, itertools.cycle([1, 5_000, 400_000]), strict=False):
        assert source.read(place, size) == raw[place : place + size]
    assert len(source._marks) <= 5


def test_the_name_of_one_archive_is_not_in_the_report(tmp_path):
    archive = pack(tmp_path / "owner.tar.gz", [("a.png", png(tmp_path))])
    assert shown_names([archive]) == ["images.tar.gz"]


def test_an_archive_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    archive = pack(tmp_path / "a.tar.gz", [("a.png", png(tmp_path)), ("b.png", png(tmp_path, 2))])
    images = image_set([archive], SMALL)
    held = pack(tmp_path / "b.zip", [("a.png", png(tmp_path))])
    in_zip = image_set([held], SMALL).files[0].location

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    for place in ("archives", "content", "gzipped"):
        monkeypatch.setattr(f"reportgen.load.{place}.opened", refuse)
    with pytest.raises(ImageError, match=r"It cannot be opened \(Permission denied\)"):
        image_set([archive], SMALL)
    with pytest.raises(UnreadableImage, match=r"cannot be opened \(Permission denied\)"):
        in_zip.read()
    images.files[0].location.archive._recent.clear()
    with pytest.raises(UnreadableImage, match=r"cannot be read \(Permission denied\)"):
        images.files[0].location.read()


def test_a_gzipped_archive_that_lost_its_end_is_told(tmp_path):
    members = [(f"{at}.png", png(tmp_path, at)) for at in range(3)]
    archive = pack(tmp_path / "a.tar.gz", members)
    last = image_set([archive], SMALL).files[2].location
    source = Gzipped(archive)
    with pytest.raises(UnreadableImage, match="cut short"):
        type(last)(source, last.start, 10**6).read()
    with pytest.raises(UnreadableImage, match="more memory than any picture needs"):
        source.read(0, 2**40)


def test_a_large_stored_member_is_refused(tmp_path, monkeypatch):
    data = png(tmp_path)
    monkeypatch.setattr("reportgen.load.archives.MAX_BYTES", len(data))
    archive = pack(tmp_path / "stored.zip", [("a.png", data), ("large.png", data + b"x")])
    assert reasons(image_set([archive], SMALL)) == {"large.png": "The file is larger than 512 MB."}


def test_a_label_that_cannot_be_one_is_left_alone(tmp_path):
    link = tarfile.TarInfo("a.cls")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    data = png(tmp_path)
    info = tarfile.TarInfo("a.png")
    info.size = len(data)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(link)
        archive.addfile(info, io.BytesIO(data))
    (file,) = image_set([tmp_path / "a.tar"], SMALL).files
    assert not file.is_labelled


def test_folders_that_part_are_not_left_out_of_the_names(tmp_path):
    data = png(tmp_path)
    archive = pack(tmp_path / "a.tar", [("top/x/cat/a.png", data), ("top/y/dog/b.png", data)])
    assert paths(image_set([archive], SMALL)) == ["x/cat/a.png", "y/dog/b.png"]
