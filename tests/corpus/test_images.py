"""The image corpus given to the whole command: skipped with a reason, or read right and noted."""

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from torch import nn

from reportgen.load.decode import UnreadableImage, decode
from tests.corpus.image_folders import ENTRIES, NAMES, Entry, shown
from tests.corpus.images import BAD, ODD, BadImage, OddImage
from tests.corpus.runner import Case, checked, outcome_of

ALLOWED_MB = 200
"That a refused file may cost."
CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(self.conv(x).relu().mean((2, 3)))
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Words that make the smallest report of a tiny network."""
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.py").write_text(CODE)
    scope: dict[str, Any] = {}
    exec(CODE, scope)
    net: nn.Module = scope["Net"]()
    torch.save(net.state_dict(), folder / "net.pth")
    size = ("--input-size", "24", "36", "--mean", "0.5", "0.5", "0.5", "--std", *["0.2"] * 3)
    arch = ("--arch", f"{folder / 'net.py'}:Net", "--sections", "answers", "--max-images", "1")
    return (str(folder / "net.pth"), *arch, *size, "--device", "cpu", "-q", "--no-config")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with one good image."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.full((24, 36, 3), 90, np.uint8)).save(folder / "good.png")
    return folder


def build(
    case: Case, images: Path, command: tuple[str, ...], capture: Any, beside: Path | None = None
) -> dict[str, Any]:
    """The report on a folder, which is left as it was."""
    model, *flags = command
    out = (beside or images).parent / "report"
    checked(case, ("build", model, images, *flags, "-o", out), capture, kept=(images,))
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return report


def paths(report: dict[str, Any]) -> list[str]:
    return [image["path"] for image in report["images"]]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_image_is_listed_with_its_reason(
    bad: BadImage, images: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"bad{bad.ending}"
    case = Case(
        bad.name, lambda folder: None, 8,
        rf"reportgen: The report was written without {re.escape(name)} \(.*(?:{bad.reason})",
        ("--strict",),
    )  # fmt: skip
    (images / name).write_bytes(bad.data())
    report = build(case, images, command, capfd)
    assert paths(report) == ["good.png"]
    assert [entry["path"] for entry in report["skipped"]] == [name]
    assert re.search(bad.reason, report["skipped"][0]["reason"])


def test_without_strict_the_report_of_all_bad_images_is_a_success(
    images: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    for number, bad in enumerate(BAD):
        if not bad.name.startswith("bomb"):
            (images / f"{number:02}{bad.ending}").write_bytes(bad.data())
    many = r"reportgen: Skipped 00\.png: The file is empty\. \d+ more are listed in the report\."
    report = build(Case("all", lambda folder: None, 0, many), images, command, capfd)
    assert paths(report) == ["good.png"]
    assert len(report["skipped"]) == len(list(images.iterdir())) - 1
    pages = (images.parent / "report" / "index.html").read_text(encoding="utf-8")
    assert all(entry["path"] in pages for entry in report["skipped"])


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_an_odd_image_is_read_right_and_noted(
    odd: OddImage, images: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    name = f"odd{odd.ending}"
    data = odd.data()
    (images / name).write_bytes(data)
    case = Case(odd.name, lambda folder: None, 0, r"^\d+ files", ("--strict",))
    report = build(case, images, command, capfd)
    assert paths(report) == ["good.png", name] and report["skipped"] == []
    found = report["images"][1]
    levels = odd.levels()
    assert (found["height"], found["width"]) == levels.shape[:2]
    assert len(found["predictions"]) == 2
    notes = found["notes"]
    assert len(notes) == len(odd.notes), notes
    assert all(re.search(*pair) for pair in zip(odd.notes, notes, strict=True)), notes
    apart = np.abs(np.asarray(decode(data).picture).astype(float) - levels)
    assert apart.mean() <= odd.apart if odd.apart else not apart.any()


BOMBS = tuple(bad for bad in BAD if bad.name.startswith("bomb"))


def test_a_bomb_is_refused_before_a_pixel_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    def unpack(*args: object) -> None:
        raise AssertionError("pixels were unpacked")

    monkeypatch.setattr(ImageFile.ImageFile, "load", unpack)
    for bomb in BOMBS:
        with pytest.raises(UnreadableImage, match=bomb.reason):
            decode(bomb.data())


MEASURED = """
import re, sys
from pathlib import Path
from reportgen.load.decode import UnreadableImage, decode
from PIL import Image

def peak():  # of this program: what getrusage tells is also that of whoever started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) >> 10

Image.init()
files = [Path(name).read_bytes() for name in sys.argv[1:]]
before = peak()
for data in files:
    try:
        decode(data, LIMIT)
    except UnreadableImage:
        pass
print(peak() - before)
"""


def megabytes(files: list[Path], limit: str) -> int:
    """What it takes to read some files in a process of their own, at most."""
    words = [sys.executable, "-c", MEASURED.replace("LIMIT", limit), *map(str, files)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        words, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": root}
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_bombs_cost_little_memory(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(len(BOMBS))]
    for file, bomb in zip(files, BOMBS, strict=True):
        file.write_bytes(bomb.data())
    assert megabytes(files, "64_000_000") < ALLOWED_MB
    # The measurement would see it: without our limit, Pillow unpacks 144 megapixels.
    (grey,) = (f for f, b in zip(files, BOMBS, strict=True) if b.name.endswith("grey megapixels"))
    assert megabytes([grey], "10**10") >= 144_000_000 >> 20


@pytest.mark.parametrize("kind", NAMES)
def test_odd_names_are_shown_as_they_are_and_name_no_file_of_ours(
    kind: str, images: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    content = (images / "good.png").read_bytes()
    for name in NAMES[kind]:
        Path(os.fsdecode(os.fsencode(images) + b"/" + name)).write_bytes(content)
    case = Case(kind, lambda folder: None, 0, r"^\d+ files", ("--strict", "--max-images", "9"))
    report = build(case, images, command, capfd)
    assert sorted(paths(report)) == sorted(["good.png", *map(shown, NAMES[kind])])
    out = images.parent / "report"
    written = [str(path.relative_to(out)) for path in out.rglob("*")]
    assert all(name.isascii() for name in written)
    folded = {unicodedata.normalize("NFC", name.casefold()) for name in written}
    assert len(folded) == len(written)
    slugs = [image["slug"] for image in report["images"]]
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in slugs)
    assert all((out / "images" / f"{slug}.html").is_file() for slug in slugs)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_links_and_pipes_end_nowhere(
    entry: Entry,
    images: Path,
    command: tuple[str, ...],
    capfd: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    entry.put(images)
    case = Case(entry.name, lambda folder: None, 8, "reportgen: The report was written without",
                ("--strict", *entry.flags))  # fmt: skip
    # Not beside the images: a link that leads up would come by what is being written.
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x"
    report = build(case, images, command, capfd, elsewhere)
    assert sorted(paths(report)) == sorted(["good.png", *entry.read])
    found = {one["path"]: one["reason"] for one in report["skipped"]}
    assert found.keys() == entry.skipped.keys()
    assert all(re.search(pattern, found[path]) for path, pattern in entry.skipped.items())


def test_files_that_no_filter_takes_are_counted_aloud(
    images: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("notes.txt", "list.csv", ".hidden.png"):
        (images / name).write_bytes(b"x")
    said = r"reportgen: 3 entries that are plainly not images were left out of the folder"
    report = build(Case("companions", lambda folder: None, 0, said), images, command, capfd)
    assert paths(report) == ["good.png"] and len(report["notes"]) == 1


def test_the_same_name_in_two_folders_is_two_images(
    images: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("b", "a"):
        (images / folder).mkdir()
        (images / folder / "x.png").write_bytes((images / "good.png").read_bytes())
    case = Case("twins", lambda folder: None, 0, r"^\d+ files|Folder names")
    assert paths(build(case, images, command, capfd)) == ["a/x.png", "b/x.png", "good.png"]


@pytest.mark.parametrize("names", [(), ("bad.png",), ("a.txt", ".hidden.png")])
def test_without_a_good_image_nothing_is_written(
    names: tuple[str, ...], tmp_path: Path, command: tuple[str, ...],
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "images"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"words")
    model, *flags = command
    words = ("build", model, folder, *flags, "-o", tmp_path / "report")
    case = Case("none", lambda folder: None, 5, "There is no image in|No image in .* the only file")
    checked(case, words, capfd, kept=(folder,))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_a_limit_of_pixels_is_named_where_it_is_reached(
    images: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    model, *flags = command
    words = ("build", model, images, *flags, "-o", images.parent / "report")
    done = outcome_of((*words, "--max-pixels", "863"), capfd)
    assert done.code == 5 and "larger than 0.000863 megapixels (--max-pixels)" in done.told
    assert outcome_of((*words, "--max-pixels", "864"), capfd).code == 0
    assert outcome_of((*words, "--max-pixels", "178956971"), capfd).code == 2
