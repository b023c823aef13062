"""Names and sizes in archives and lists as odd programs write them."""

import os
import zipfile
from pathlib import Path

import pytest

from reportgen.load.content import is_bomb
from reportgen.load.images import image_set
from tests.load.test_images import SMALL, picture


@pytest.mark.parametrize(
    ("packed", "size", "is_one"),
    [
        (1, 64 * 2**20, False),
        (1, 64 * 2**20 + 1, True),
        (10**6, 200 * 10**6, False),
        (10**6, 200 * 10**6 + 1, True),
    ],
)
def test_a_bomb_is_large_and_was_much_smaller(packed: int, size: int, is_one: bool) -> None:
    assert is_bomb(packed, size) is is_one


def test_folders_in_a_zip_file_are_counted_where_they_are_hidden_and_refused_outside(
    tmp_path: Path,
) -> None:
    picture(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("cat\\a.png", "dog\\deep\\", "dog\\b.png", ".git/", "../out/"):
            file.writestr(name, b"" if name.endswith(("/", "\\")) else content)
    images = image_set([archive], SMALL)
    assert [(f.path, f.true_class) for f in images.files] == [
        ("cat/a.png", "cat"),
        ("dog/b.png", "dog"),
    ]
    assert "1 hidden" in images.notes[0]
    (skipped,) = images.skipped
    assert skipped.reason == "This name leads out of the archive."


@pytest.mark.skipif(os.name != "posix", reason="names are bytes there")
def test_a_list_names_files_whose_names_are_no_text(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    table = tmp_path / "all.csv"
    table.write_bytes(b"\xef\xbb\xbfpath,label\ncaf\xe9.png,cat\n")
    (file,) = image_set([table], SMALL).files
    assert (file.path, file.true_class) == ("caf\\xe9.png", "cat")
