import os
import zipfile

import pytest

from reportgen.errors import OptionError
from reportgen.load.candidates import Candidate, Part
from reportgen.load.listing import listing


def touch(*locations):
    for location in locations:
        location.parent.mkdir(parents=True, exist_ok=True)
        location.touch()


def paths(listed):
    return [candidate.path for candidate in listed.candidates]


def reasons(listed):
    return {entry.path: entry.reason for entry in listed.skipped}


def test_files_are_in_natural_order_of_their_relative_paths(tmp_path):
    expected = ["a/x9.png", "a/x10.png", "b/a.png", "IMG1.png", "img2.png", "img10.png"]
    touch(*(tmp_path / name for name in sorted(expected)))
    assert paths(listing([tmp_path])) == expected


def test_only_the_folder_just_below_counts_as_one(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "cat" / "b.png", tmp_path / "x" / "dog" / "c.png")
    assert [candidate.folder for candidate in listing([tmp_path]).candidates] == [None, "cat", None]


def test_plain_companions_of_images_are_counted_in_one_sentence(tmp_path):
    touch(tmp_path / "good.png", tmp_path / ".thumbs" / "hidden.png")
    touch(*(tmp_path / name for name in ("a.txt", "b.TXT", "c.csv", ".DS_Store")))
    listed = listing([tmp_path])
    assert paths(listed) == ["good.png"]
    assert listed.skipped == ()
    assert listed.notes == (
        "5 entries that are plainly not images were left out of the folder "
        "(1 .csv, 2 .txt, 2 hidden).",
    )


def test_a_file_given_by_name_is_tried_whatever_it_is_called(tmp_path):
    touch(tmp_path / ".hidden.txt")
    listed = listing([tmp_path / ".hidden.txt"])
    assert paths(listed) == [".hidden.txt"]
    assert listed.notes == ()


def test_a_missing_path_is_an_error_that_names_it(tmp_path):
    with pytest.raises(OptionError, match=r"no file or folder .*nowhere"):
        listing([tmp_path, tmp_path / "nowhere"])


def test_the_same_name_in_two_folders_is_listed_twice(tmp_path):
    touch(tmp_path / "a" / "x.png", tmp_path / "b" / "x.png")
    assert paths(listing([tmp_path / "a", tmp_path / "b"])) == ["a/x.png", "b/x.png"]
    assert paths(listing([tmp_path / "a/x.png", tmp_path / "b/x.png"])) == ["a/x.png", "b/x.png"]


def test_folders_of_the_same_name_are_told_apart(tmp_path):
    touch(tmp_path / "one" / "val" / "x.png", tmp_path / "two" / "val" / "x.png")
    given = [tmp_path / "one" / "val", tmp_path / "two" / "val"]
    assert paths(listing(given)) == ["one/val/x.png", "two/val/x.png"]


def test_a_file_reached_twice_is_listed_once(tmp_path):
    touch(tmp_path / "x.png")
    again = tmp_path / "sub" / ".." / "x.png"
    (tmp_path / "sub").mkdir()
    assert len(listing([tmp_path, tmp_path / "x.png", again, tmp_path]).candidates) == 1


def test_links_and_pipes_end_the_walk_and_are_listed(tmp_path):
    inside = tmp_path / "images"
    touch(inside / "good.png", tmp_path / "elsewhere" / "secret.png")
    (inside / "loop").symlink_to(inside)
    (inside / "self.png").symlink_to("self.png")
    (inside / "gone.png").symlink_to("nothing.png")
    (inside / "again.png").symlink_to("good.png")
    (inside / "out.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    os.mkfifo(inside / "pipe.png")
    listed = listing([inside])
    assert paths(listed) == ["again.png", "good.png"]
    assert reasons(listed) == {
        "gone.png": "This is a link that leads nowhere.",
        "loop": "This is a link to a folder, which is followed with --follow-links only.",
        "out.png": "This is a link out of the folder, which is followed with --follow-links only.",
        "pipe.png": "This is not a regular file.",
        "self.png": "This is a link that leads nowhere.",
    }


def test_links_are_followed_where_that_is_asked_for_and_each_folder_is_read_once(tmp_path):
    inside = tmp_path / "images"
    touch(inside / "a" / "x.png", tmp_path / "elsewhere" / "deep" / "y.png")
    (inside / "back").symlink_to("..")
    (inside / "loop").symlink_to(inside)
    (inside / "a" / "twin").symlink_to(tmp_path / "elsewhere")
    (inside / "b").symlink_to(tmp_path / "elsewhere")
    (inside / "out.png").symlink_to(tmp_path / "elsewhere" / "deep" / "y.png")
    listed = listing([inside], follow_links=True)
    assert paths(listed) == ["a/x.png", "b/deep/y.png", "out.png"]
    once = "This folder is read already, by another way."
    assert reasons(listed) == dict.fromkeys(
        ("a/twin", "back/elsewhere", "back/images", "loop"), once
    )


def test_links_given_by_name_are_followed(tmp_path):
    touch(tmp_path / "real" / "x.png")
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "x.png").symlink_to(tmp_path / "real" / "x.png")
    assert paths(listing([tmp_path / "folder"])) == ["x.png"]
    assert paths(listing([tmp_path / "x.png"])) == ["x.png"]


def test_a_folder_that_cannot_be_opened_is_listed(tmp_path, monkeypatch):
    touch(tmp_path / "good.png", tmp_path / "closed" / "x.png")
    scan = os.scandir

    def refuse(folder):
        if os.fspath(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    listed = listing([tmp_path])
    assert paths(listed) == ["good.png"]
    assert reasons(listed) == {"closed": "The folder cannot be opened."}


def test_what_is_skipped_in_several_places_is_listed_once_for_each(tmp_path):
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("../out.png", b"")
            archive.writestr("/out.png", b"")
    listed = listing([tmp_path / "a.zip", tmp_path / "b.zip"])
    leads_out = "This name leads out of the archive."
    assert [entry.reason for entry in listed.skipped] == [leads_out] * 4
    assert {entry.path for entry in listed.skipped} == {
        f"{name}/{entry}" for name in ("a.zip", "b.zip") for entry in ("../out.png", "/out.png")
    }


def test_what_is_skipped_and_reached_twice_is_listed_once(tmp_path):
    touch(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "gone.png").symlink_to("nothing.png")
    listed = listing([tmp_path, tmp_path / "in"])
    assert [entry.path.rpartition("/")[2] for entry in listed.skipped] == ["gone.png"]
    assert len(listed.candidates) == 1


def test_a_part_is_named_where_its_classes_are_in_one_order_or_another(tmp_path):
    plain, numbered = (Candidate(tmp_path, "a.png", None, "cat", index) for index in (None, 0))
    assert Part((plain,), class_names=("cat",)).is_named is True
    assert Part(class_names=("cat",)).is_named is True
    assert Part((plain, numbered)).is_named is True
    assert Part((plain,)).is_named is False and Part().is_named is False
