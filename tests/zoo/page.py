"""docs/zoo.md from the rows that were measured; what was not run says so."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from reportgen.analyses import ANALYSES
from tests.zoo.members import Member, members
from tests.zoo.row import LEFT_OUT, TOLERANCE, Row, failures, has_published_macs

ROOT = Path(__file__).parent.parent.parent
ROWS = ROOT / "build" / "zoo"
PAGE = ROOT / "docs" / "zoo.md"

_HEAD = """# The model zoo: which networks a report was made of, and what was checked

    make zoo

builds a report of each architecture below and writes this page. Rows are kept under `build/zoo/`,
so a run that was ended goes on where it was; what was not run says so. Ten small ones are run by
every `make test`.

Each network has random weights (seed 0) and two images of noise, of which one is pictured, at the
size in the table. Occlusion hides quarters of the image, no picture is painted by gradient
ascent, and the section {left_out} is left out, which runs each method of attribution hundreds of
times: a real report of a network takes longer. Seconds are those of the whole report, written, on
two shared cores, so they tell orders of magnitude; MB is the folder.

What was held against what:

- **shapes**: what each leaf module of torch.nn gave, seen by a hook of its own, against the shape
  of that call in the report. Where windows of an image lie on the axis of the images, as in Swin,
  the report says the windows of one image.
- **parameters** at the published size, against the number published: torchvision's `num_params`,
  which has to be the very number, and timm's table in millions with two decimals.
- **MACs** of the report against a second count, of the shapes of all matrix products and
  convolutions, which has to be the very number; and that count at the published size against the
  published number: torchvision's `_ops` within {torchvision:.0%}, timm's benchmark table within
  {timm:.0%}.
- **answers**: classes and scores in the report against those that the network gives by itself.

{attention}
"""

_ATTENTION = """Sections that a network has not are missing from its row: attention is shown of
networks in which all positions attend to all others, which leaves out convolutions,
mixers, and attention within windows. torchvision's networks for segmentation and
detection are not in this zoo. A tower without a classifier (DINOv2, CLIP's ResNet)
gives features, which stand where classes stand elsewhere; their numbers mean
nothing by themselves."""


def written_page() -> None:
    """Writes the page."""
    PAGE.write_text(page(measured()), "utf-8")


def measured() -> Mapping[str, Row | str]:
    """The rows that there are, by label; a sentence where there was no report."""
    found: dict[str, Row | str] = {}
    for file in sorted(ROWS.glob("*.json")):
        data = json.loads(file.read_text("utf-8"))
        found[data["label"]] = data["error"] if "error" in data else Row(**data)
    return found


def page(rows: Mapping[str, Row | str]) -> str:
    """The page in Markdown."""
    lines = [_HEAD.format(left_out=" and ".join(LEFT_OUT), attention=_ATTENTION, **TOLERANCE)]
    for library in ("torchvision", "timm"):
        shown = [member for member in members() if member.library == library]
        run = [(m, rows[m.label]) for m in shown if m.label in rows]
        passed = [m for m, made in run if isinstance(made, Row) and not failures(made, m)]
        lines += [
            f"## {library}",
            "",
            f"{len(run)} of {len(shown)} run, {len(passed)} with all checks passed.",
            "",
            "| architecture | family | size | calls | sections | seconds | MB | checks |",
            "|---|---|---|---|---|---|---|---|",
            *(_line(member, rows.get(member.label)) for member in shown),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _line(member: Member, made: Row | str | None) -> str:
    start = f"| {member.name} | {member.family} | {member.size[0]} x {member.size[1]} |"
    if made is None:
        return f"{start} | | | | not run |"
    if isinstance(made, str):
        return f"{start} | none | | | **no report**: {_cell(made)} |"
    checks = _cell("; ".join(_checks(member, made)))
    return (
        f"{start} {made.layers} | {_cell(_sections(made))} | {made.seconds} | {made.megabytes} "
        f"| {checks} |"
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _sections(made: Row) -> str:
    """How many sections have something to show, and why the others have not."""
    known = [analysis.name for analysis in ANALYSES if analysis.name not in LEFT_OUT]
    missing = [name for name in known if name not in made.sections and name != "visualisation"]
    words = [f"{name} ({made.absent[name]})" if name in made.absent else name for name in missing]
    return "all" if not words else f"all but {', '.join(words)}"


def _checks(member: Member, made: Row) -> Iterator[str]:
    failed = failures(made, member)
    yield f"**failed**: {', '.join(failed)}" if failed else "passed"
    fits, seen = made.shapes
    ours = made.parameters[0]
    exact = f"{ours:,}" if member.library == "torchvision" else f"{ours / 1e6:.2f} M"
    yield f"{fits:,} of {seen:,} shapes, {exact} parameters"
    counted, stated = made.native_macs
    macs = f"{counted / 1e9:.2f} G MACs of {stated:.2f}"
    is_same = has_published_macs(made.native_macs, member)
    yield macs if is_same else f"{macs} ({member.note or 'another number'})"
