"""One small report of everything, and all that is made of it, in two places."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.bytes.runs import Place, elsewhere, here, tree

FLAGS = (
    ("--input-size", "40", "48"),
    ("--mean", "0.5", "0.5", "0.5"),
    ("--std", "0.25", "0.25", "0.25"),
    ("--title", "The net"),
    ("--max-images", "3"),
    ("--visualise", "1"),
    ("--visualise-also", "class:owl"),
    ("--fail-on", "dead>90%"),
    ("--save-arrays",),
)
FIGURES = (
    *("bar-bar-1-occlusion-*", "bar-bar-1-gradients-maps", "design-spectra", "trust-curves"),
    *("dead_filters-curve", "stem.0-*", "F.relu-patches-units"),
)
"At least one of each kind."


@dataclass(frozen=True)
class Made:
    """All outputs of one place: mode and content by path, and what the commands said."""

    place: Place
    sources_before: Mapping[str, tuple[int, bytes]]
    files: Mapping[str, tuple[int, bytes]]
    said: str


def made_in(place: Place) -> Made:
    """Every command that writes, each in a process of its own."""
    before = tree(place.sources.model.parent)
    out = place.folder / "out"
    out.mkdir()
    sources, path = place.sources, place.path
    network = (path(sources.model), path(sources.photos))
    own = (("--arch", f"{path(sources.code)}:Net"), ("--labels", path(sources.labels)))
    report, again = path(out / "report"), path(out / "again")
    written = [("--single-file", path(out / "single.html")), ("-o", report)]
    written += [("--summary-file", path(out / "summary.md"))]
    place.run("build", *network, flags=(*FLAGS, *own, *written))
    place.run("render", report, "-o", again, flags=(("--budget-mb", "3"),))
    place.run("compare", report, again, "-o", path(out / "changes"))
    place.run(
        "figures", report, "-o", path(out / "figures"), flags=[("--only", one) for one in FIGURES]
    )
    said = place.run("prune", *network, "-o", path(out / "pruned.pth"), flags=(*FLAGS[:3], *own))
    said += place.run("inspect", path(sources.model), flags=own[:1])
    return Made(place, before, tree(out), said)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_in(here(tmp_path_factory.mktemp("Falcon-Root-27")))


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_in(elsewhere(tmp_path_factory.mktemp("Heron-Root-28")))
