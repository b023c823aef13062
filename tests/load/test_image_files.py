"""What is known of one image file: its class, its name in a report, and what is said of it."""

import io
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reportgen.errors import ImageError
from reportgen.load.candidates import Candidate
from reportgen.load.decode import UnreadableImage, decode
from reportgen.load.image_files import ImageFile, geometry_notes, labelled, slug_of
from reportgen.load.image_kinds import damaged, is_video, one_line, unidentified
from reportgen.load.image_set import ImageSet
from reportgen.load.images import checked, image_set, images_of, problems_of
from reportgen.options import Options
from reportgen.report.records import Preprocessing
from tests.load.test_images import SMALL, picture

FILE = ImageFile(Path("x.png"), "x.png", "x", "", 8, 8, None, ())


def classes(*candidates: Candidate) -> tuple[list[tuple[str | None, int | None]], tuple[str, ...]]:
    files, notes = labelled(candidates, (FILE,) * len(candidates))
    return [(file.true_class, file.true_index) for file in files], notes


def stated(label: str | None, index: int | None = None, folder: str | None = "f") -> Candidate:
    return Candidate(Path("x.png"), "x.png", folder, label, index)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([stated("3"), stated("0"), stated("20.0")], [(None, 3), (None, 0), (None, 20)]),
        ([stated("3"), stated("-1"), stated(None)], [(None, 3), (None, None), (None, None)]),
        ([stated("3"), stated("cat"), stated("-1")], [("3", None), ("cat", None), (None, None)]),
        ([stated("1.5"), stated("3")], [("1.5", None), ("3", None)]),
        ([stated("1" * 9), stated("0")], [(None, 111_111_111), (None, 0)]),
        ([stated("1" * 10), stated("0")], [("1" * 10, None), ("0", None)]),
        ([stated("-2")], [("-2", None)]),
        ([stated("")], [("", None)]),
        # Names of a data set are names, and do not turn the numbers of a list into names.
        ([stated("7", 2), stated("5")], [("7", 2), (None, 5)]),
        ([stated("7", 2), stated(None)], [("7", 2), (None, None)]),
        ([stated("-1", 0)], [("-1", 0)]),
    ],
)
def test_what_is_stated_is_a_name_or_an_index(
    candidates: list[Candidate], expected: list[tuple[str | None, int | None]]
) -> None:
    assert classes(*candidates) == (expected, ())
    files, _ = labelled(candidates, (FILE,) * len(candidates))
    assert [file.is_labelled for file in files] == [pair != (None, None) for pair in expected]


def folders(*names: str | None) -> tuple[list[str | None], tuple[str, ...]]:
    found, notes = classes(*(stated(None, None, name) for name in names))
    assert all(index is None for _, index in found)
    return [name for name, _ in found], notes


def test_folders_are_classes_where_all_images_lie_in_two_or_more() -> None:
    assert folders("a", "b", "a") == (["a", "b", "a"], ())
    assert folders("a", "a") == ([None, None], ())
    assert folders(None, None) == ([None, None], ())
    assert folders("a", None) == ([None, None], ())
    said = "Folder names are not taken as classes: {} of {} images do not lie exactly one folder "
    said += "below the one given."
    assert folders("a", "b", None) == ([None] * 3, (said.format(1, 3),))
    assert folders("a", None, "b", None) == ([None] * 4, (said.format(2, 4),))
    # Where a class is stated for one, folders say nothing.
    found, notes = classes(stated("x", None, "a"), stated(None, None, "b"))
    assert (found, notes) == ([("x", None), (None, None)], ())


def test_enlargement_is_said_from_four_times_on() -> None:
    def notes(width: int, height: int, to: Preprocessing = SMALL) -> list[str]:
        return list(geometry_notes(width, height, to))

    said = "The file has only {} x {} pixels; the network sees it enlarged {} times."
    assert notes(2, 2) == [said.format(2, 2, "4.0")]
    assert notes(3, 3) == notes(2, 2, replace(SMALL, height=7, width=7, resize=7)) == []
    assert notes(1, 2) == [said.format(1, 2, "8.0")]
    squeezed = replace(SMALL, resize=None)
    assert notes(2, 8, squeezed) == [said.format(2, 8, "4.0")]
    assert notes(8, 2, squeezed) == [said.format(8, 2, "4.0")]
    assert notes(8, 3, squeezed) == []
    # A side that is rounded down is enlarged a little less.
    large, kept = replace(SMALL, resize=16), "The centre crop keeps only 19.05% of the picture."
    assert notes(4, 3, large) == [said.format(4, 3, "5.3"), kept]
    assert notes(3, 4, large) == [said.format(3, 4, "5.3"), kept]


def test_a_narrow_crop_is_said_below_a_quarter() -> None:
    def notes(width: int, height: int, to: Preprocessing = SMALL) -> list[str]:
        return list(geometry_notes(width, height, to))

    assert notes(32, 8) == notes(8, 32) == []
    assert notes(33, 8) == notes(8, 33) == ["The centre crop keeps only 24.24% of the picture."]
    assert notes(32, 32, replace(SMALL, resize=16)) == []
    assert notes(34, 34, replace(SMALL, resize=17)) == [
        "The centre crop keeps only 22.15% of the picture."
    ]


def test_both_and_what_was_done_to_the_slices_are_said() -> None:
    volume = replace(SMALL, slices=4)
    assert list(geometry_notes(1, 9, volume, 7)) == [
        "The network is given 4 of its 7 slices, evenly spread.",
        "The file has only 1 x 9 pixels; the network sees it enlarged 8.0 times.",
        "The centre crop keeps only 11.11% of the picture.",
    ]


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("cat/IMG 1.png", "cat-img-1"),
        ("a.b.png", "a-b"),
        (".png", "png"),
        ("README", "readme"),
        ("Caf\u00e9_\u00c5.png", "cafe-a"),
        ("\u65e5\u672c.png", "image"),
        ("index.png", "image-index"),
        ("Con.png", "image-con"),
        *((f"{name}.png", f"image-{name}") for name in ("prn", "aux", "nul", "com1", "lpt9")),
        ("com.png", "com"),
        ("com12.png", "com12"),
        ("index2.png", "index2"),
        ("x" * 61 + ".png", "x" * 60),
        ("a" + "-" + "x" * 59 + ".png", "x" * 59),
        ("ab" + "-" + "x" * 57 + ".png", "ab-" + "x" * 57),
    ],
)
def test_the_name_of_a_page_is_plain(path: str, slug: str) -> None:
    taken: set[str] = set()
    assert slug_of(path, taken) == slug and taken == {slug}


def test_names_of_pages_that_are_taken_are_numbered() -> None:
    taken: set[str] = set()
    found = [slug_of(path, taken) for path in ("a.png", "A.jpg", "a-2.png", "a.gif", "a 2.png")]
    assert found == ["a", "a-2", "a-2-2", "a-3", "a-2-3"]
    assert taken == set(found)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("broken  data\n stream.", "broken data stream"),
        ("cannot identify <_io.BytesIO object at 0x7f65157a30d0>", "cannot identify data"),
        ("at 0x7f65157a30 here", "at data here"),
        ("code 0x12345 of 0x123456", "code 0x12345 of data"),
        ("x" * 119 + ". more", "x" * 119),
        ("x" * 130, "x" * 120),
        ("why. . ", "why"),
        ("", ""),
    ],
)
def test_a_message_of_a_decoder_is_one_line(message: str, line: str) -> None:
    assert one_line(message) == line


def test_damage_is_said_by_the_kind_of_the_file() -> None:
    assert damaged(b"GIF8", ValueError("odd\n.")) == "The GIF file is cut short or damaged (odd)."
    said = "The image file is cut short or damaged (EOFError)."
    assert damaged(b"?", EOFError()) == said


def test_text_is_known_by_its_first_four_thousand_bytes() -> None:
    text, unknown = "This is text, not an image.", "The content is of no known image format."
    assert unidentified(b"a" * 4096 + b"\xff") == text
    assert unidentified(b"a" * 4095 + b"\xff") == unknown
    assert unidentified(b"x" + "\u00e9".encode() * 2048) == text
    assert unidentified(b"a\x00") == unidentified(b"\x7f") == unknown
    drawing = "This is an SVG drawing, which has no pixels: save it as PNG."
    assert unidentified(b" " * 508 + b"x<svg ") == text
    assert unidentified(b" " * 508 + b"<svg ") == drawing
    assert unidentified(b"x" * 508 + b"<svg ") == drawing
    assert unidentified(b"x" * 509 + b"<svg ") == text


def test_films_are_known() -> None:
    assert is_video(b"\0\0\0\x18ftypisom") and is_video(b"\0\0\0\x18ftypmp42")
    for kind in (b"avif", b"avis", b"heic", b"heix", b"mif1"):
        assert not is_video(b"\0\0\0\x18ftyp" + kind)
    assert not is_video(b"ftypisom") and not is_video(b"")


def test_why_nothing_is_there_is_said(tmp_path: Path) -> None:
    def said(*paths: Path) -> str:
        with pytest.raises(ImageError) as caught:
            image_set(paths, SMALL)
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    (tmp_path / "more").mkdir()
    given = f"{tmp_path / 'empty'}, {tmp_path / 'more'}"
    assert said(tmp_path / "empty", tmp_path / "more") == f"There is no image in {given}."
    (tmp_path / "more" / "a.png").touch()
    assert said(tmp_path / "empty", tmp_path / "more") == (
        f"No image in {given}: the only file cannot be used; more/a.png: The file is empty."
    )
    (tmp_path / "more" / "b.png").write_text("words")
    assert said(tmp_path / "more") == (
        f"No image in {tmp_path / 'more'}: none of the 2 files can be used; a.png: The file is "
        "empty."
    )


def damaged_behind_its_beginning(path: Path) -> None:
    picture(path, seed=3, height=60, width=60)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_decoded_is_left_out_once_it_is_known(tmp_path: Path, workers: int) -> None:
    for seed, name in enumerate("ace"):
        picture(tmp_path / f"{name}.png", seed=seed, height=9, width=13)
    damaged_behind_its_beginning(tmp_path / "b.png")
    images = image_set([tmp_path], SMALL, workers=workers, is_checked=False)
    problems = problems_of(images, [1, 0, 3])
    assert [bool(problem) for problem in problems] == [True, False, False]
    with pytest.raises(UnreadableImage) as caught:
        decode((tmp_path / "b.png").read_bytes())
    assert problems[0] == str(caught.value)
    whole = checked(images, ["", problems[0], "", ""])
    assert [file.path for file in whole.files] == ["a.png", "c.png", "e.png"]
    assert [(one.path, one.reason) for one in whole.skipped] == [("b.png", problems[0])]
    assert (whole.workers, whole.max_pixels) == (workers, images.max_pixels)
    assert checked(replace(images, is_pinned=True), problems_of(images, range(4))).is_pinned
    assert [file.path for file in checked(images).files] == ["a.png", "c.png", "e.png"]
    with pytest.raises(ImageError, match=r"none of the 4 files can be used; a\.png: odd$"):
        checked(images, ["odd"] * 4)
    none = ImageSet((), (), SMALL)
    assert checked(none) is none and none.settled() is none


def test_classes_that_are_stated_are_said_to_be(tmp_path: Path) -> None:
    for name in ("cat/a.png", "dog/b.png"):
        picture(tmp_path / name)
    assert not image_set([tmp_path], SMALL).is_stated
    (tmp_path / "l.csv").write_text("path,label\ncat/a.png,x\ndog/b.png,\n")
    assert image_set([tmp_path / "l.csv"], SMALL).is_stated
    (tmp_path / "l.csv").write_text("path,label\ncat/a.png,\ndog/b.png,\n")
    assert not image_set([tmp_path / "l.csv"], SMALL).is_stated


def test_facts_of_decoding_are_told_once_it_is_done(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.new("RGB", (40, 2)).save(stream, "PNG", exif=exif)
    content = stream.getvalue()
    (tmp_path / "a.png").write_bytes(content)
    picture(tmp_path / "b.png")
    images = image_set([tmp_path], SMALL, is_checked=False)
    assert images.settled() is images and images.facts == {}
    images.picture(1)
    assert images.facts == {} and images.settled() is images
    images.picture(0)
    turned = "Turned upright as its EXIF orientation says."
    assert images.facts == {0: (2, 40, (turned,))}
    file, other = images.settled().files
    assert (file.width, file.height) == (2, 40) and other == images.files[1]
    assert file.notes == (
        turned,
        "The file has only 2 x 40 pixels; the network sees it enlarged 4.0 times.",
        "The centre crop keeps only 5.00% of the picture.",
    )


def test_one_image_at_a_time_is_not_decoded_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(4):
        picture(tmp_path / f"{index}.png", seed=index)
    images, decoded = image_set([tmp_path], SMALL, workers=2), []
    whole = ImageSet.pixels

    def noted(self: ImageSet, index: int) -> torch.Tensor:
        decoded.append((index, threading.current_thread().name.startswith("images")))
        return whole(self, index)

    monkeypatch.setattr(ImageSet, "pixels", noted)
    next(images.batches(1))
    assert decoded == [(0, False)]
    decoded.clear()
    assert [len(batch) for batch in images.batches_of([3], 4)] == [1] and decoded == [(3, False)]
    for indices, size in (([1, 3], 2), ([0, 1, 2, 3], 3)):
        decoded.clear()
        found = torch.cat(list(images.batches_of(indices, size)))
        assert sorted(decoded) == [(index, True) for index in indices]
        expected = torch.stack([images.normalise(whole(images, index)) for index in indices])
        assert torch.equal(found, expected)


def test_the_images_of_a_build_are_those_that_were_asked_for(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png", height=4, width=5)
    picture(tmp_path / "in" / "b.png", height=4, width=6)
    damaged_behind_its_beginning(tmp_path / "in" / "c.png")
    picture(tmp_path / "out.png", height=4, width=4)
    (tmp_path / "in" / "out.png").symlink_to(tmp_path / "out.png")
    options = Options(Path("m.pth"), (tmp_path / "in",), workers=3, device="cpu")
    images = images_of(options, SMALL)
    assert images.choice == "" and images.class_names == ()
    assert [file.path for file in images.files] == ["a.png", "b.png", "c.png"]
    assert images.workers == 3 and [one.path for one in images.skipped] == ["out.png"]
    images = images_of(replace(options, max_pixels=20, follow_links=True), SMALL)
    assert [file.path for file in images.files] == ["a.png", "out.png"]
    assert images.max_pixels == 20
