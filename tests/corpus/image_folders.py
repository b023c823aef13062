"""Folders of images with odd names, and with entries that are no plain files: bars I-06 to I-08."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

NAMES: Mapping[str, tuple[bytes, ...]] = {
    "a line break": (b"line\nbreak.png",),
    "quotes": (b'it\'s "so".png',),
    "markup": (b"<img src=x onerror=alert(1)>.png",),
    "an address": (b"100%#?&.png",),
    "from right to left": ("\u202egnp.exe.png".encode(),),
    "one name spelled twice": ("caf\u00e9.png".encode(), "cafe\u0301.png".encode()),
    "no UTF-8": (b"bad\xff.png",),
    "255 bytes": (b"x" * 251 + b".png",),
    "a flag": (b"-rf.png",),
    "a space": (b" .png",),
    "a dot at the end": (b"dot..png",),
    "a device": (b"CON.png",),
    "capitals": (b"A.png", b"a.png"),
    "ours": (b"index.png", b"image.png"),
}
"Names of files, as the system has them."


def shown(name: bytes) -> str:
    """A name as the report writes it."""
    return name.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Entry:
    """Something in a folder of images beside the good one."""

    name: str
    put: Callable[[Path], object]
    "Into the folder, which lies in one of its own."
    skipped: Mapping[str, str] = field(default_factory=dict)
    "Path to the pattern of its reason."
    read: tuple[str, ...] = ()
    "Paths of what is read beside the good one."
    flags: tuple[str, ...] = ()


def outside(folder: Path) -> Path:
    """A picture in another folder."""
    place = folder.parent / "elsewhere"
    place.mkdir()
    (place / "secret.png").write_bytes((folder / "good.png").read_bytes())
    return place


def loop(folder: Path) -> None:
    """Two links, each to the other."""
    (folder / "one.png").symlink_to("two.png")
    (folder / "two.png").symlink_to("one.png")


NOWHERE = "This is a link that leads nowhere"
TO_FOLDER = "This is a link to a folder, which is followed with --follow-links only"

ENTRIES: tuple[Entry, ...] = (
    Entry("loop of links", loop, {"one.png": NOWHERE, "two.png": NOWHERE}),
    Entry("link to itself", lambda f: (f / "x.png").symlink_to("x.png"), {"x.png": NOWHERE}),
    Entry("link to the folder above", lambda f: (f / "up").symlink_to(".."), {"up": TO_FOLDER}),
    Entry(
        "link out of the folder",
        lambda f: (f / "x.png").symlink_to(outside(f) / "secret.png"),
        {"x.png": "This is a link out of the folder, which is followed with --follow-links only"},
    ),
    Entry("pipe", lambda f: os.mkfifo(f / "x.png"), {"x.png": "This is not a regular file"}),
    Entry(
        "links that are followed",
        lambda f: (
            (f / "x.png").symlink_to(outside(f) / "secret.png"),
            (f / "up").symlink_to(".."),
            (f / "loop").symlink_to(f),
        ),
        {"loop": "This folder is read already", "up/images": "This folder is read already"},
        ("x.png", "up/elsewhere/secret.png"),
        ("--follow-links",),
    ),
)
