"""Lists of images: what they name, what is not followed, and how columns are understood."""

import os
from pathlib import Path

import pytest

from reportgen.errors import ImageError, OptionError
from reportgen.load.images import image_set
from reportgen.load.listing import files_of, listing, shown_names
from tests.load.test_images import SMALL, paths, picture, reasons


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("cat/10.png", "cat/9.png", "dog/a b.png", "bird/x.png")):
        picture(tmp_path / "data" / name, seed=seed)
    return tmp_path / "data"


def listed(folder, content, name="files.txt"):
    """The path that is given for a list of this content."""
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name if name.endswith("sv") else folder.parent / f"@{folder.name}/{name}"


def given(folder, content, name="files.txt", monkeypatch=None, **more):
    path = listed(folder, content, name)
    if monkeypatch is not None:
        monkeypatch.chdir(folder.parent)
        path = path.relative_to(folder.parent)
    return image_set([path], SMALL, **more)


def test_a_list_of_all_files_is_read_as_the_folder(folder, monkeypatch):
    names = "dog/a b.png\n\ncat/10.png\r\n./cat/9.png\nbird/x.png"
    images = given(folder, names, monkeypatch=monkeypatch)
    whole = image_set([folder], SMALL)
    assert paths(images) == paths(whole) and len(paths(images)) == 4
    assert [f.true_class for f in images.files] == ["bird", "cat", "cat", "dog"]
    assert [(f.slug, f.sha256) for f in images.files] == [(f.slug, f.sha256) for f in whole.files]
    assert images.notes == ()


def test_a_list_is_known_by_its_sign_unless_there_is_such_a_file(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    path = listed(folder, "cat/9.png").relative_to(folder.parent)
    assert str(path).startswith("@")
    assert [str(file) for file in files_of([path])] == ["data/files.txt"]
    assert shown_names([path]) == ["@images.txt"]
    picture(folder.parent / "@odd.png")
    assert paths(image_set([type(path)("@odd.png")], SMALL)) == ["@odd.png"]
    with pytest.raises(OptionError, match="no file or folder @nowhere"):
        image_set([type(path)("@nowhere.txt")], SMALL)


def test_nothing_outside_of_the_list_s_folder_is_followed_unasked(folder, monkeypatch):
    secret = folder.parent / "private" / "secret.png"
    picture(secret, seed=7)
    (folder / "link.png").symlink_to(secret)
    names = f"cat/9.png\n../private/secret.png\n{secret}\nlink.png\ncat\nnone.png\n"
    names += "cat/../../private/../data/cat/10.png\nx\0y.png\n"
    images = given(folder, names, monkeypatch=monkeypatch)
    assert paths(images) == ["cat/9.png", "cat/10.png"]
    asked = "which is followed with --follow-links only."
    assert reasons(images) == {
        "cat": "This is a folder, and a list names files.",
        "link.png": f"This is a link out of the folder, {asked}",
        "none.png": "The list names it, and there is no such file.",
        "secret.png": f"The list names a file out of its own folder, {asked}",
        "x\0y.png": "The list names it, and there is no such file.",
    }
    images = given(folder, names, monkeypatch=monkeypatch, follow_links=True)
    # From the folder around all of them.
    expected = ["data/cat/9.png", "data/cat/10.png", "data/link.png", "private/secret.png"]
    assert paths(images) == expected


def test_a_list_of_nothing_that_is_there_is_an_error(folder, monkeypatch):
    with pytest.raises(ImageError, match=r"none of the 2 files can be used; a.png: The list names"):
        given(folder, "a.png\nb.png", monkeypatch=monkeypatch)
    with pytest.raises(ImageError, match="There is no image in"):
        given(folder, "\n \n", monkeypatch=monkeypatch)


NAMES, NUMBERS = ["b", "x", "y", "x"], [1, 3, 20, 3]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.csv", "path,label\ncat/9.png,x\ncat/10.png,y\nbird/x.png,b\ndog/a b.png,x\n"),
        ("l.csv", 'label;File\nx;"cat/9.png"\ny;cat/10.png\nb;bird/x.png\nx;dog/a b.png\n'),
        ("l.tsv", "id\tCLASS\timage\n0\tx\tcat/9.png\n1\ty\tcat/10.png\n2\tb\tbird/x.png\n"
                  "3\tx\tdog/a b.png"),
        ("l.csv", "\ufeffcat/9.png,x\r\ncat/10.png, y\r\n bird/x.png,b\r\ndog/a b.png,x\r\n"),
        ("l.csv", "filename,class_id,class\ncat/9.png,3,x\ncat/10.png,4,y\nbird/x.png,1,b\n"
                  "dog/a b.png,3,x\n"),
    ],
)  # fmt: skip
def test_a_table_states_the_names_of_classes(folder, name, content):
    images = given(folder, content, name)
    assert paths(images) == ["bird/x.png", "cat/9.png", "cat/10.png", "dog/a b.png"]
    assert [file.true_class for file in images.files] == NAMES
    assert [file.true_index for file in images.files] == [None] * 4
    assert images.is_stated


def test_whole_numbers_in_a_table_are_indices(folder):
    content = "path,target\ncat/9.png,3\ncat/10.png,20.0\nbird/x.png,1\ndog/a b.png,3\n"
    images = given(folder, content, "l.csv")
    assert [file.true_index for file in images.files] == NUMBERS
    assert [file.true_class for file in images.files] == [None] * 4
    assert images.notes == ("Of l.csv, column path names the files, column target their classes.",)


def test_rows_without_a_class_stay_without_and_folders_are_no_classes_then(folder):
    content = "path,label\ncat/9.png,x\ncat/10.png,\nbird/x.png,-1\ndog/a b.png,y\n"
    images = given(folder, content, "l.csv")
    assert [file.true_class for file in images.files] == [None, "x", None, "y"]


def test_a_table_without_classes_has_those_of_the_folders(folder):
    images = given(folder, "file\ncat/9.png\ndog/a b.png\n", "l.csv")
    assert [file.true_class for file in images.files] == ["cat", "dog"]
    assert images.notes == ("Of l.csv, column file names the files, none a class.",)


def test_two_classes_for_one_file_are_no_class(folder):
    content = "path,label\ncat/9.png,x\ncat/9.png,x\n./cat/10.png,x\ncat/10.png,y\n"
    images = given(folder, content, "l.csv")
    assert paths(images) == ["cat/9.png"]
    assert reasons(images) == {"cat/10.png": "It is named again with another class (y)."}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,where\n0,cat/9.png\n", "has the columns id, where, of which none is known"),
        ('path,label\n"cat/9.png,x\n', "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_understood_is_an_error(folder, content, message):
    with pytest.raises(OptionError, match=message):
        given(folder, content, "l.csv")


def test_a_list_that_cannot_be_opened_is_an_error(folder, monkeypatch):
    path = listed(folder, "path\n", "l.csv")
    monkeypatch.setattr("reportgen.load.lists._MAX_BYTES", 3)
    with pytest.raises(OptionError, match="too large to be a list"):
        image_set([path], SMALL)


def test_what_a_list_names_must_be_a_file(folder, monkeypatch):
    os.mkfifo(folder / "pipe.png")
    images = given(folder, "cat/9.png\n\npipe.png\n", monkeypatch=monkeypatch)
    assert reasons(images) == {"pipe.png": "This is not a regular file."}
    (entry,) = listing([Path("@data/files.txt")]).skipped  # before any is opened
    assert entry.reason == "This is not a regular file."
    (folder / "gone.csv").mkdir()
    with pytest.raises(ImageError, match="There is no image in"):
        image_set([folder / "gone.csv"], SMALL)


def test_empty_rows_are_passed_over(folder):
    images = given(folder, "path,label\n\ncat/9.png,x\n , \n", "l.csv")
    assert paths(images) == ["cat/9.png"]


def test_a_file_that_cannot_be_looked_into_is_tried_as_an_image(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe")
    assert reasons(image_set([tmp_path / "a.png", tmp_path / "pipe"], SMALL)) == {
        "pipe": "This is not a regular file."
    }

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("reportgen.load.listing.opened", refuse)
    assert paths(image_set([tmp_path / "a.png"], SMALL)) == ["a.png"]


PLACES = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img")
CLASSES = (
    *("label", "class", "class_name", "category", "target", "cls"),
    *("class_index", "class_id", "label_id"),
)


@pytest.mark.parametrize("name", PLACES)
def test_each_usual_name_of_a_column_of_files_is_known(folder, name):
    later = PLACES[PLACES.index(name) :]
    header = ",".join([*reversed(later), "label"])
    row = ",".join([*["none.png"] * (len(later) - 1), "cat/9.png", "x"])
    images = given(folder, f"{header.upper()}\n{row}\n", "l.csv")
    assert [(f.path, f.true_class) for f in images.files] == [("cat/9.png", "x")]
    assert images.notes == (
        f"Of l.csv, column {name.upper()} names the files, column LABEL their classes.",
    )


@pytest.mark.parametrize("name", CLASSES)
def test_each_usual_name_of_a_column_of_classes_is_known(folder, name):
    later = CLASSES[CLASSES.index(name) :]
    header = ",".join([*reversed(later), "Path"])
    row = ",".join([*["other"] * (len(later) - 1), "x", "cat/9.png"])
    images = given(folder, f"{header}\n{row}\n", "l.csv")
    assert [(f.path, f.true_class) for f in images.files] == [("cat/9.png", "x")]
    assert images.notes == (f"Of l.csv, column Path names the files, column {name} their classes.",)


@pytest.mark.parametrize(
    ("content", "found", "note"),
    [
        ("cat/9.png\ncat/10.png\n", [(None, 2)], "l.csv has no header: its first column names the"
         " files."),
        ("cat/9.png,x\ncat/10.png\n", [("x", 1), (None, 1)], "l.csv has no header: its first column"
         " names the files, its second their classes."),
        ("path,label\ncat/9.png\ncat/10.png,x,more\n", [(None, 1), ("x", 1)],
         "Of l.csv, column path names the files, column label their classes."),
        ("label,path\nx\nx,cat/9.png\n", [("x", 1)],
         "Of l.csv, column path names the files, column label their classes."),
        ("none.png,x\ncat/9.png,y\n", None, "l.csv has the columns none.png, x"),
        ("cat/9.png,x\nnone.png,y\n", [("x", 1)], "l.csv has no header: its first column names the"
         " files, its second their classes."),
        ("none.png,x\n,y\n", None, "No image in"),
    ],
)  # fmt: skip
def test_rows_and_headers_of_any_length(folder, content, found, note):
    if found is None:
        with pytest.raises((ImageError, OptionError), match=note):
            given(folder, content, "l.csv")
        return
    images = given(folder, content, "l.csv")
    classes = [file.true_class for file in images.files]
    assert [(name, classes.count(name)) for name in dict.fromkeys(classes)] == found
    assert images.notes == (note,)


@pytest.mark.parametrize(
    ("name", "content", "classes"),
    [
        ("l.csv", "path;label\ncat/9.png;a, b\n", ["a, b"]),
        ("l.csv", "cat/9.png;x\n", ["x"]),
        ("l.csv", "path,label\ncat/9.png,a;b\n", ["a;b"]),
        ("l.csv", "path,a;b\ncat/9.png,x\n", [None]),
        ("l.csv", "path\ncat/9.png\n", [None]),
        ("L.TSV", "path\tlabel\ncat/9.png\ta;b\n", ["a;b"]),
    ],
)
def test_the_mark_between_cells_is_that_of_the_first_row(folder, name, content, classes):
    (folder / name).write_text(content)
    images = image_set([folder / name], SMALL)
    assert [(f.path, f.true_class) for f in images.files] == [("cat/9.png", classes[0])]


@pytest.mark.parametrize("content", ["path;label\ncat/9.png;x\n", "path,label\ncat/9.png,x\n"])
def test_a_table_with_tabs_has_no_other_marks(folder, content):
    with pytest.raises(ImageError, match="none of the 2 files can be used"):
        given(folder, content, "l.tsv")


def test_a_list_as_large_as_allowed_is_read(folder, monkeypatch):
    path = listed(folder, "path\ncat/9.png\n", "l.csv")
    monkeypatch.setattr("reportgen.load.lists._MAX_BYTES", path.stat().st_size)
    assert paths(image_set([path], SMALL)) == ["cat/9.png"]
    monkeypatch.setattr("reportgen.load.lists._MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(OptionError, match=f"^{path} is too large to be a list of images"):
        image_set([path], SMALL)


def test_a_file_named_again_has_the_class_stated_first(folder):
    content = "path,label\ncat/9.png,\ncat/9.png,x\n./cat/9.png,\nnone.png,a\nnone.png,b\n"
    images = given(folder, content, "l.csv")
    assert [(f.path, f.true_class) for f in images.files] == [("cat/9.png", "x")]
    assert reasons(images) == {"none.png": "It is named again with another class (b)."}
