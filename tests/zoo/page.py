"""docs/zoo.md from the rows that were measured; what was not run says so."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from reportgen.analyses import ANALYSES
from tests.zoo.members import Member, members
from tests.zoo.row import BRIEF, NEVER, TOLERANCE, Row, failures, has_published_macs

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
ascent, and the section {never} is left out, which runs each method of attribution hundreds of
times: a real report of a network takes longer. The smallest network of each of the {families}
families has all other sections. To save time the others, whose rows say *brief*, are without
{brief}, too, and only every
eighth of their leaf modules is observed, though the shapes, parameters and multiplications of all
calls are checked.

Seconds are those of the whole report, written, on two cores that other work shared, so they tell
orders of magnitude; MB is the folder.

What was held against what:

- **shapes**: what each leaf module of torch.nn gave, seen by a hook of its own, against the shape
  of that call in the report. Where windows of an image lie on the axis of the images, as in Swin,
  the report says the windows of one image; where there is a row an object, as in R-CNN, it says
  the rows of the two copies of an image that it follows.
- **parameters** at the published size, against the number published: torchvision's `num_params`,
  which has to be the very number, and timm's table in millions with two decimals.
- **MACs** of the report against a second count, of the shapes of all matrix products and
  convolutions, which has to be the very number; and that count at the published size against the
  published number: torchvision's `_ops` within {torchvision:.0%}, timm's benchmark table within
  {timm:.0%}. R-CNN is published for images in which nothing is found, Mask and Keypoint R-CNN
  without their last head (but v2: with the masks of 100 objects), Faster R-CNN with MobileNet
  without proposals: so it is counted. Its report is of at most 40 proposals and 4 objects an image.
- **answers**: classes and scores in the report against those that the network gives by itself, of
  a map of scores the shares of the picture; none of networks that give boxes.

Sections that a network has not are missing from its row: attention is shown of
networks in which all positions attend to all others, which leaves out convolutions,
mixers, and attention within windows. A tower without a classifier (DINOv2, CLIP's ResNet)
gives features, which stand where classes stand elsewhere; their numbers mean
nothing by themselves.
"""

_TITLES = {
    "classify": "torchvision",
    "segment": "torchvision: segmentation",
    "detect": "torchvision: detection",
}


def written_page() -> None:
    """Writes the page."""
    PAGE.write_text(page(measured()), "utf-8")


def file_of(member: Member) -> Path:
    """Where the row of a network is kept."""
    return ROWS / f"{member.label.replace(':', '-')}.json"


def measured() -> Mapping[str, Row | str]:
    """The rows that there are, by label; a sentence where there was no report."""
    found: dict[str, Row | str] = {}
    for file in sorted(ROWS.glob("*.json")):
        data = json.loads(file.read_text("utf-8"))
        found[data["label"]] = data["error"] if "error" in data else Row(**data)
    return found


def page(rows: Mapping[str, Row | str]) -> str:
    """The page in Markdown."""
    every = members()
    made = [(member, rows[member.label]) for member in every if member.label in rows]
    costly = [name for name in BRIEF if name not in NEVER]
    head = _HEAD.format(
        never=", ".join(NEVER),
        brief=" and ".join((", ".join(costly[:-1]), costly[-1])),
        families=len({(m.library, m.family) for m in every}),
        **TOLERANCE,
    )
    lines = [head]
    for title in (*_TITLES.values(), "timm"):
        shown = [member for member in every if _title(member) == title]
        run = [(member, row) for member, row in made if _title(member) == title]
        passed = [m for m, row in run if isinstance(row, Row) and not failures(row, m)]
        lines += [
            f"## {title}",
            "",
            f"{len(run)} of {len(shown)} run, {len(passed)} with all checks passed.",
            "",
            *_absences(
                row for _, row in run if isinstance(row, Row) and title == _TITLES["detect"]
            ),
            "| architecture | family | size | calls | sections | seconds | MB | checks |",
            "|---|---|---|---|---|---|---|---|",
            *(_line(member, rows.get(member.label)) for member in shown),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _absences(rows: Iterable[Row | str]) -> Iterator[str]:
    """What sections that are absent from all say of it, so that not each row has to."""
    said = [set(row.absent.values()) for row in rows if isinstance(row, Row)]
    for reason in sorted(set.intersection(*said)) if said else ():
        yield f'Sections that are absent say: "{reason}"'
        yield ""


def _title(member: Member) -> str:
    return "timm" if member.library == "timm" else _TITLES[member.task]


def _line(member: Member, made: Row | str | None) -> str:
    start = f"| {member.name} | {member.family} | {member.size[0]} x {member.size[1]} |"
    if made is None:
        return f"{start} | | | | not run |"
    if isinstance(made, str):
        return f"{start} | none | | | **no report**: {_cell(made)} |"
    sections, checks = _cell(_sections(member, made)), _cell("; ".join(_checks(member, made)))
    return f"{start} {made.layers} | {sections} | {made.seconds} | {made.megabytes} | {checks} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _sections(member: Member, made: Row) -> str:
    """Which sections have nothing to show, and why."""
    known = [one.name for one in ANALYSES if one.name not in ("visualisation", *made.left_out)]
    words = []
    for name in known:
        if name not in made.sections:
            is_told = name in made.absent and member.task != "detect"
            words.append(f"{name} ({made.absent[name]})" if is_told else name)
    start = "all" if set(made.left_out) <= {*NEVER} else "*brief*"
    return f"{start} but {', '.join(words)}" if words else start


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
