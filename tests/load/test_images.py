import hashlib
import os
import re
import shutil
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen.errors import ImageError
from reportgen.load.images import image_set
from reportgen.load.listing import listing
from reportgen.report.records import Preprocessing

SMALL = Preprocessing(
    height=8,
    width=8,
    resize=8,
    interpolation="bilinear",
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.25, 0.3),
    channels=3,
    source="stated by flag",
    is_assumed=False,
)


def picture(path, seed=0, height=8, width=8):
    """A picture of seeded noise at `path`, whatever its ending says: a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(values).save(path, "PNG")
    return values


def paths(images):
    return [file.path for file in images.files]


def reasons(images):
    return {entry.path: entry.reason for entry in images.skipped}


def test_what_is_known_of_a_file(tmp_path):
    picture(tmp_path / "deep" / "er" / "a b.png", height=10, width=16)
    (file,) = image_set([tmp_path], SMALL).files
    assert (file.path, file.slug, file.true_class) == ("deep/er/a b.png", "deep-er-a-b", None)
    assert (file.width, file.height) == (16, 10)
    assert file.sha256 == hashlib.sha256(file.location.read_bytes()).hexdigest()


def test_pixels_and_batches(tmp_path):
    values = [picture(tmp_path / f"{index}.png", seed=index) for index in range(5)]
    images = image_set([tmp_path], SMALL)
    assert images.pixels(3).shape == (3, 8, 8)
    assert images.pixels(3)[1, 2, 5].item() == pytest.approx(values[3][2, 5, 1] / 255)
    batches = list(images.batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    whole = torch.cat(batches)
    assert whole.dtype == torch.float32
    assert whole[4, 2, 1, 6].item() == pytest.approx(
        (values[4][1, 6, 2] / 255 - 0.3) / 0.3, rel=1e-5
    )
    torch.testing.assert_close(torch.cat(list(images.batches(5))), whole, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("start", "stop", "sizes"),
    [(0, None, [2, 2, 1]), (1, 4, [2, 1]), (3, None, [2]), (3, 99, [2]), (2, 2, []), (5, None, [])],
)
def test_batches_of_a_range_are_the_images_of_that_range(tmp_path, start, stop, sizes):
    for index in range(5):
        picture(tmp_path / f"{index}.png", seed=index)
    images = image_set([tmp_path], SMALL)
    batches = list(images.batches(2, start, stop))
    assert [len(batch) for batch in batches] == sizes
    for offset, image in enumerate(image for batch in batches for image in batch):
        assert torch.equal(image, images.normalise(images.pixels(start + offset)))


def test_a_thumbnail_keeps_the_whole_picture_and_its_proportions(tmp_path):
    values = picture(tmp_path / "a.png", height=30, width=50)
    images = image_set([tmp_path], SMALL)
    assert images.thumbnail(0, 25).shape == (15, 25, 3)
    np.testing.assert_array_equal(images.thumbnail(0, 100), values)


def test_the_content_decides_and_not_the_ending(tmp_path):
    picture(tmp_path / "really_a_png.jpg")
    picture(tmp_path / "no_ending")
    assert paths(image_set([tmp_path], SMALL)) == ["no_ending", "really_a_png.jpg"]


def test_unusable_files_are_listed_with_a_reason_beside_the_good_one(tmp_path):
    picture(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "words.jpg").write_text("not an image")
    whole = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7 \x80")
    (tmp_path / "loop.png").symlink_to("loop.png")
    images = image_set([tmp_path], SMALL)
    assert paths(images) == ["good.png"]
    listed = reasons(images)
    assert list(listed) == ["cut.png", "empty.png", "loop.png", "paper.pdf", "words.jpg"]
    assert listed["empty.png"] == "The file is empty."
    assert listed["words.jpg"] == "This is text, not an image."
    assert listed["cut.png"].startswith("The PNG file is cut short or damaged")
    assert listed["paper.pdf"].startswith("This is a PDF")


def test_the_folder_of_an_image_is_its_class(tmp_path):
    for name in ("ankle boot", "bag"):
        for index in range(2):
            picture(tmp_path / name / f"{index}.png", seed=index)
    images = image_set([tmp_path], SMALL)
    classes = ["ankle boot", "ankle boot", "bag", "bag"]
    assert [file.true_class for file in images.files] == classes


@pytest.mark.parametrize(
    "layout", [["a.png", "b.png"], ["cat/a.png", "cat/b.png"], ["x/cat/a.png", "x/dog/b.png"]]
)
def test_other_layouts_name_no_class(tmp_path, layout):
    for name in layout:
        picture(tmp_path / name)
    images = image_set([tmp_path], SMALL)
    assert [file.true_class for file in images.files] == [None, None]
    assert images.notes == ()


def test_a_stray_image_among_class_folders_is_said(tmp_path):
    for name in ("cat/a.png", "dog/b.png", "stray.png"):
        picture(tmp_path / name)
    images = image_set([tmp_path], SMALL)
    assert {file.true_class for file in images.files} == {None}
    assert images.notes == (
        "Folder names are not taken as classes: 1 of 3 images do not lie exactly one folder "
        "below the one given.",
    )


NAMES = [
    "A.png",
    "a.png",
    "a.jpg",
    "a-2.png",
    "index.png",
    "CON.png",
    "-rf.png",
    " .png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "日本.png",
    "<img src=x onerror=alert(1)>.png",
    "100%#?&.png",
    "\u202egnp.exe.png",
    "line\nbreak.png",
    "x" * 251 + ".png",
]


def test_slugs_are_plain_and_unique_whatever_the_names(tmp_path):
    for seed, name in enumerate(NAMES):
        picture(tmp_path / name, seed=seed)
    files = image_set([tmp_path], SMALL).files
    assert sorted(file.path for file in files) == sorted(NAMES)
    slugs = [file.slug for file in files]
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in slugs)
    assert all(len(slug) <= 70 for slug in slugs)
    assert not {"index", "con"} & set(slugs)
    assert len({unicodedata.normalize("NFC", slug.casefold()) for slug in slugs}) == len(NAMES)


def test_a_name_that_is_not_utf8_is_valid_text_in_the_report(tmp_path):
    picture(tmp_path / "good.png")
    shutil.copy(tmp_path / "good.png", os.fsencode(tmp_path) + b"/bad\xff.png")
    images = image_set([tmp_path], SMALL)
    assert paths(images) == ["bad\\xff.png", "good.png"]
    assert "\n".join(paths(images)).encode("utf-8")
    assert images.pixels(0).shape == (3, 8, 8)


def test_a_file_that_cannot_be_opened_is_listed(tmp_path, monkeypatch):
    picture(tmp_path / "good.png")
    picture(tmp_path / "locked.png")
    open_file = os.open

    def refuse(path, *flags, **more):
        if str(path).endswith("locked.png"):
            raise PermissionError(13, "Permission denied")
        return open_file(path, *flags, **more)

    monkeypatch.setattr(os, "open", refuse)
    images = image_set([tmp_path], SMALL)
    assert reasons(images) == {"locked.png": "The file cannot be opened (Permission denied)."}


def test_a_very_large_file_is_not_read(tmp_path):
    picture(tmp_path / "good.png")
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(600 * 2**20)
    images = image_set([tmp_path], SMALL)
    assert reasons(images) == {"large.png": "The file is larger than 512 MB."}


def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path, monkeypatch):
    picture(tmp_path / "good.png")
    picture(tmp_path / "swapped.png")
    listed = listing([tmp_path])
    (tmp_path / "swapped.png").unlink()
    os.mkfifo(tmp_path / "swapped.png")
    monkeypatch.setattr("reportgen.load.images.listing", lambda paths, **_: listed)
    images = image_set([tmp_path], SMALL)
    assert reasons(images) == {"swapped.png": "This is not a regular file."}


def test_the_limit_of_pixels_is_another_where_that_is_asked_for(tmp_path):
    picture(tmp_path / "good.png", height=10, width=16)
    picture(tmp_path / "large.png", height=10, width=17)
    images = image_set([tmp_path], SMALL, max_pixels=160)
    assert paths(images) == ["good.png"]
    assert images.picture(0).size == (16, 10)
    said = "larger than 0.00016 megapixels (--max-pixels) or 32,768 pixels a side"
    assert said in reasons(images)["large.png"]
    assert len(image_set([tmp_path], SMALL, max_pixels=170).files) == 2


def test_strong_enlargement_and_narrow_crops_are_noted(tmp_path):
    picture(tmp_path / "panorama.png", height=10, width=200)
    picture(tmp_path / "tiny.png", height=2, width=2)
    panorama, tiny = image_set([tmp_path], SMALL).files
    assert panorama.notes == ("The centre crop keeps only 5.00% of the picture.",)
    assert tiny.notes == (
        "The file has only 2 x 2 pixels; the network sees it enlarged 4.0 times.",
    )


def test_no_readable_image_is_an_error_with_the_first_reason(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_text("words")
    message = r"none of the 2 files can be used; a\.png: The file is empty\."
    with pytest.raises(ImageError, match=message):
        image_set([tmp_path], SMALL)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(ImageError, match=f"There is no image in {tmp_path}"):
        image_set([tmp_path], SMALL)


def test_a_file_that_vanishes_later_is_an_error_that_names_it(tmp_path):
    picture(tmp_path / "a.png")
    images = image_set([tmp_path], SMALL)
    (tmp_path / "a.png").unlink()
    with pytest.raises(ImageError, match=r"a\.png changed while the report was made"):
        images.pixels(0)
