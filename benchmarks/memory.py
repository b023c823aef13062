"""The most memory that a build holds, and how it grows with the images."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.table import Ratio, Row, run

ROOT = Path(__file__).parent.parent
MODEL = ROOT / "sample_models" / "squeezenet1_1.pth"
PHOTOS = ROOT / "sample_models" / "photos"
PICTURED = ("overview", "activations", "answers", "gradcam", "dead_filters")
COUNTED = ("overview", "dead_filters")


def rows(quick: bool) -> Iterator[Row | str]:
    """Growth with pictured images, then with images that only statistics are taken of."""
    some, many = (4, 16) if quick else (8, 64)
    yield row("images with a page", some, many, PICTURED, most=many, at_most=None)
    few, all_ = (20, 100) if quick else (100, 2000)
    yield row("images in the statistics, 4 with a page", few, all_, COUNTED, most=4, at_most=1.1)
    yield (
        "SqueezeNet 1.1 at 224 x 224, batches of 16, "
        f"sections {', '.join(PICTURED)} and {', '.join(COUNTED)}; "
        "most resident memory of the process, as `--profile` tells it."
    )


def row(
    what: str, few: int, many: int, sections: tuple[str, ...], *, most: int, at_most: float | None
) -> Row:
    """Peak memory with many images, in units of that with few."""
    small, large = (peak(count, most=min(most, count), sections=sections) for count in (few, many))
    ratio = Ratio(large / small, large / small, large / small, 1, large, small)
    return Row(
        f"{few} to {many:,} {what}",
        f"{large:,} MB",
        f"{small:,} MB, so {(large - small) / (many - few):.2f} MB an image",
        ratio,
        at_most=at_most,
    )


def peak(count: int, *, most: int, sections: tuple[str, ...]) -> int:
    """MB that a build of this many images holds at most."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.iterdir())]
        places = np.random.default_rng(0)
        for number in range(count):
            photo = photos[number % len(photos)]
            left, top = (int(places.integers(0, side - 255)) for side in photo.size)
            photo.crop((left, top, left + 256, top + 256)).save(images / f"{number:04}.jpg")
        command = [sys.executable, "-m", "reportgen", "build", str(MODEL), str(images), "-q"]
        command += ["--profile", "--sections", ",".join(sections), "--max-images", str(most)]
        told = subprocess.run(
            [*command, "-o", f"{folder}/report"],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        ).stderr
    found = re.search(r"Peak memory ([\d,]+) MB", told)
    assert found, told
    return int(found[1].replace(",", ""))


if __name__ == "__main__":
    run(rows)
