"""One report whatever the images come from, and pages for images chosen by the answers."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reportgen
from reportgen.load.images import image_set
from reportgen.probe.probe import Probe
from reportgen.probe.trace import Trace
from tests.python.networks import LABELS, QUICK, small

FEW = {**QUICK, "sections": ["answers", "activations"], "input_size": (12, 18)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "photos"
    rng = np.random.default_rng(0)
    for at in range(9):
        place = folder / ("cat", "dog", "owl")[at % 3]
        place.mkdir(parents=True, exist_ok=True)
        levels = rng.integers(0, 256, (14 + at, 21, 3), dtype=np.uint8)
        Image.fromarray(levels).save(place / f"{at}.png")
    (folder / "owl" / "cut.png").write_bytes((folder / "owl" / "2.png").read_bytes()[:300])
    return folder


def written(images: Path | str, out: Path, **more: object) -> dict[str, bytes]:
    """The files of a report; the command, which names what was given, is taken out."""
    torch.manual_seed(0)
    reportgen.build(small(), images, output=out, labels=LABELS, **{**FEW, **more})
    files = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    command = json.loads(files["report.json"])["provenance"]["command"].encode()
    del files[".reportgen"]  # hashes of the others
    quoted = command.replace(b"'", b"&#39;")
    return {name: data.replace(command, b"").replace(quoted, b"") for name, data in files.items()}


def test_a_folder_and_its_archives_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    expected = written(folder, tmp_path / "of-folder", workers=0)
    for kind in ("zip", "gztar"):
        archive = shutil.make_archive(str(tmp_path / "packed"), kind, folder)
        assert written(archive, tmp_path / f"of-{kind}", workers=3) == expected
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*.png"), reverse=True)]
    (folder / "all.txt").write_text("\n".join(names))
    os.chdir(folder)
    try:
        listed = written("@all.txt", tmp_path / "of-list")
    finally:
        os.chdir(Path(__file__).parent)
        (folder / "all.txt").unlink()
    assert listed == expected


def test_chosen_images_have_the_pictures_that_they_have_with_all_others(
    folder: Path, tmp_path: Path
) -> None:
    def report(most: int) -> reportgen.Report:
        return reportgen.build(small(), folder, labels=LABELS, max_images=most, **FEW)

    whole, some = report(9), report(4)
    pictured = [image for image in some.record.images if image.is_pictured]
    assert len(pictured) == 4
    assert all("Chosen for a page" in image.notes[-1] for image in pictured)
    assert some.record.choice.startswith("4 of 9 images have a page")
    assert not any("Chosen" in text for image in whole.record.images for text in image.notes)
    assert not whole.record.choice
    assert [i.predictions for i in some.record.images] == [
        i.predictions for i in whole.record.images
    ]
    of = {image.slug: image for image in whole.record.images}
    for image in pictured:
        for name, block in image.panels["answers"].blocks.items():
            if hasattr(block, "pixels"):
                other = of[image.slug].panels["answers"].blocks[name]
                assert np.array_equal(block.pixels.values(), other.pixels.values()), name


def test_a_network_is_followed_once_though_some_images_go_through_it_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[torch.Tensor] = []
    trace = Probe.trace

    def counted(self: Probe, image: torch.Tensor) -> Trace:
        followed.append(image)
        return trace(self, image)

    monkeypatch.setattr(Probe, "trace", counted)
    reportgen.build(small(), folder / "cat", labels=LABELS, max_images=2, **FEW)
    assert len(followed) == 1


def test_the_cut_file_is_skipped_and_the_rest_is_decoded_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = reportgen.build(small(), folder, labels=LABELS, workers=2, **FEW)
    (skipped,) = report.record.skipped
    assert skipped.path == "owl/cut.png"
    sizes = {image.path: (image.width, image.height) for image in report.record.images}
    preprocessing = report.record.model.preprocessing
    files = image_set([folder], preprocessing).files
    assert sizes == {file.path: (file.width, file.height) for file in files}
    assert len(sizes) == 9
