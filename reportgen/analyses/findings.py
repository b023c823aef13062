"""Findings that read well: numbers in words, and no more than a few of one kind."""

from collections.abc import Iterable, Sequence

from reportgen.report.records import Finding, Layer, Severity

LISTED = 3
"Findings of one kind that stand on their own; the rest share one line."

_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


def percent(share: float) -> str:
    """A share as text: `19 %`, `0.4 %`; `0 %` and `100 %` only where they are exact."""
    value = 100 * share
    if 0 < value < 0.1:
        return "under 0.1 %"
    if 99.9 < value < 100:
        return "over 99.9 %"
    has_decimal = 0 < value < 9.95 or 99 < value < 100
    return f"{value:.1f} %" if has_decimal else f"{value:.0f} %"


def counted(n: int, noun: str) -> str:
    """`1 image`, `1,024 images`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def these(n: int) -> str:
    """`this image`, `these 6 images`."""
    return "this image" if n == 1 else f"these {n:,} images"


def layer_link(layer: Layer, unit: int | None = None) -> str:
    """Address of a layer's page, or of one unit on it."""
    return f"layers/{layer.slug}.html" + ("" if unit is None else f"#c={unit}")


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then the rest; equals stay in their order."""
    return tuple(sorted(findings, key=lambda finding: _RANK[finding.severity]))


def few(findings: Sequence[Finding], subject: str, href: str) -> tuple[Finding, ...]:
    """The worst few of findings of one kind, and one line for the rest.

    Args:
        findings: of one kind, the most telling first among equals.
        subject: what each is about, such as `layer`.
        href: where all of them can be seen.
    """
    ranked = by_severity(findings)
    listed, rest = ranked[:LISTED], ranked[LISTED:]
    if len(rest) <= 1:
        return ranked
    line = Finding(
        rest[0].severity,
        rest[0].kind,
        f"And {counted(len(rest), f'more {subject}')} like this.",
        href,
    )
    return (*listed, line)
