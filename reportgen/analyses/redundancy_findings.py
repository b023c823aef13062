"""What look-alike filters amount to, in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reportgen.analyses.findings import counted, few, layer_link
from reportgen.analyses.likeness import COPY, NEAR, Twins, pairs
from reportgen.report.records import Finding, Layer, Rule

NAMED = 3
"Pairs of copies named in one finding."

RULES = (
    Rule(
        "duplicate-filters",
        f"Warning: a layer has filters whose weights have a cosine similarity of {COPY} or more "
        "and the same norm within 0.01 %; the bias is left aside.",
    ),
    Rule(
        "near-duplicate-filters",
        f"Info: filters that have another one in their layer with a cosine similarity of weights "
        f"of {NEAR} or more, and are no copies.",
    ),
)


@dataclass(frozen=True, eq=False)
class Compared:
    """A layer whose filters were compared."""

    layer: Layer
    twins: Twins

    @property
    def copies(self) -> int:
        """Filters that are a copy of another one."""
        return int(self.twins.is_copy.sum())

    @property
    def near(self) -> int:
        """Filters that have a near twin."""
        return int(self.twins.is_near.sum())


def redundancy_findings(compared: Sequence[Compared]) -> tuple[Finding, ...]:
    """All that the rules above find."""
    return (*few(tuple(_copies(compared)), "layer", "layers/index.html"), *_near(compared))


def _copies(compared: Sequence[Compared]) -> Iterator[Finding]:
    for row in sorted(compared, key=lambda row: -row.copies):
        if row.copies:
            is_copy = row.twins.is_copy
            found = [p for p in pairs(row.twins) if is_copy[[p[0], p[1]]].any()]
            text = f"{row.layer.title}: {row.copies:,} of {_filters(len(row.twins.unit))} "
            text += "have the same weights as another one: "
            text += ", ".join(f"{one} and {other}" for one, other, _ in found[:NAMED])
            rest = len(found) - NAMED
            text += f" and {counted(rest, 'more pair')}." if rest > 0 else "."
            href = layer_link(row.layer, found[0][0])
            yield Finding("warning", "duplicate-filters", text, href)


def _near(compared: Sequence[Compared]) -> Iterator[Finding]:
    total = sum(row.near for row in compared)
    if total:
        most = max(compared, key=lambda row: row.near)
        near = most.twins.is_near
        unit, other, cosine = next(p for p in pairs(most.twins) if near[[p[0], p[1]]].any())
        text = f"{total:,} of {_filters(sum(len(row.twins.unit) for row in compared))} "
        text += f"{'has' if total == 1 else 'have'} a near twin in the same layer "
        text += f"(cosine of weights {NEAR} or more), most in {most.layer.title}: {most.near:,} of "
        text += f"{len(most.twins.unit):,}, such as {unit} and {other} ({cosine:.3f})."
        yield Finding("info", "near-duplicate-filters", text, layer_link(most.layer, unit))


def _filters(n: int) -> str:
    return counted(n, "filter")
