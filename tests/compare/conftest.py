"""Reports of four small networks side by side, made by the command."""

from pathlib import Path

import pytest
import torch

from reportgen.compare.compared import compared
from reportgen.compare.given import given_reports
from tests.compare.tiny import CODE, HEIGHT, LABELS, WIDTH, checkpoints, write_images
from tests.conftest import left_with

SECTIONS = "answers,overview,weights,activations,occlusion,gradcam,dead_filters"


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """A folder with the images, the code, and `make`, which adds reports to it."""
    folder = tmp_path_factory.mktemp("compare")
    (folder / "tiny.py").write_text(CODE)
    (folder / "labels.txt").write_text("\n".join(LABELS))
    write_images(folder / "images")
    return folder


class NoPress:
    """In place of the press: figures for print are most of a build, and nothing reads them here.

    Their files are there, and empty, for pages link to them.
    """

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def order(self, _):
        pass

    def drawn(self, item):
        return dict.fromkeys(item.formats, b"")


@pytest.fixture(scope="session")
def make(root):
    """Builds the report of some weights, with more words for the command."""

    def made(name, state, *words, images="images"):
        torch.save(state, root / f"{name}.pth")
        given = [root / f"{name}.pth", root / images, "-q", "-o", root / name]
        given += ["--arch", f"{root / 'tiny.py'}:Tiny", "--labels", root / "labels.txt"]
        given += ["--arch-args", f'{{"width": {len(state["conv2.bias"])}}}']
        given += ["--input-size", HEIGHT, WIDTH, "--sections", SECTIONS]
        given += ["--occlusion-window", 5, 7, "--occlusion-stride", 4, 5]
        defaults = [] if "--mean" in words else ["--mean", 0.5, "--std", 0.25]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reportgen.pipeline.Press", NoPress)
            assert left_with("build", *given, *defaults, *words) == 0
        return root / name

    return made


@pytest.fixture(scope="session")
def folders(make):
    """The reports of all checkpoints, by name."""
    return {name: make(name, state) for name, state in checkpoints().items()}


@pytest.fixture(scope="session")
def compare(folders):
    """The comparison of some of these, as plain data."""

    def made(*names, image=""):
        given = given_reports([folders[name] for name in names], folders["a"].parent / "out")
        return compared(given, version="0", image=image)

    return made


@pytest.fixture(scope="session")
def pair(compare):
    """`a` and `b`."""
    return compare("a", "b")
