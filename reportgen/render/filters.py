"""Numbers and names as people read them. Data stays raw; rounding and units happen here alone."""

import math
import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

from reportgen.report.arrays import FloatArray
from reportgen.report.blocks import Atlas, Cell, Column, Link, Table
from reportgen.report.places import middle_named
from reportgen.report.records import Prediction
from reportgen.report.tasks import GIVES

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MISSING = "–"

COLUMN = 740
TALLEST = 900
LARGEST_TILE = 160
LARGEST_KERNEL = 64
"Pixels of the screen that an atlas, and one of its tiles, may take when they are enlarged."


def is_number(value: object) -> bool:
    """Whether a cell is lined up and sorted as a number; truth values are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: float | None, digits: int = 4) -> str:
    """At most `digits` significant digits; whole numbers in full, with thousands separators.

    Very small and very large values are written with a power of ten: `1.2 × 10⁻⁵`.
    """
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if value == 0:
        return "0"
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    exponent = int(power)
    if -4 <= exponent < 7:
        decimals = max(0, digits - 1 - exponent)
        rounded = round(value, digits - 1 - exponent)
        text = f"{rounded:,.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        short = mantissa.rstrip("0").rstrip(".")
        text = f"{short} × 10{str(exponent).translate(SUPERSCRIPTS)}"
    return text.replace("-", "−")


def si(value: float, unit: str = "") -> str:
    """Three significant digits and a prefix: `1.24 M`, `349 M`, `17.6 G`; small counts in full."""
    if abs(value) < 10_000:
        return number(int(value)) + (f" {unit}" if unit else "")
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor * 0.9995:
            return f"{number(value / factor, 3)} {prefix}{unit}"
    raise AssertionError("every value of 10,000 or more has a prefix")


def certainty(guess: Prediction) -> str:
    """How sure an answer is: its probability, or the number itself where it is a value."""
    return number(guess.logit) if guess.probability is None else percent(guess.probability)


def task(name: str) -> str:
    """What a network gives, in words."""
    return GIVES.get(name, name).capitalize()


def percent(share: float | None) -> str:
    """Three significant digits; 0 % and 100 % are said only where they are exact."""
    if share is None:
        return MISSING
    if not math.isfinite(share):
        return number(share)
    if 0 < share < 0.0001:
        return "< 0.01 %"
    if 0.9999 < share < 1:
        return "> 99.99 %"
    text = number(share * 100, 3)
    if share < 1 and text == "100":
        text = number(share * 100, 4)
    return f"{text} %"


def shape(sizes: tuple[int, ...]) -> str:
    """`64 × 55 × 55`; a single value for an empty shape."""
    return " × ".join(f"{size:,}" for size in sizes) if sizes else "1 value"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 image`, `6 images`, `no images`."""
    if count == 1:
        return f"1 {noun}"
    return f"{number(count) if count else 'no'} {nouns or noun + 's'}"


def cell(value: object, unit: str = "") -> str:
    """A table cell as text; shares become percents where the column's unit is `share`."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Link):
        return value.text
    if isinstance(value, int | float):
        return percent(value) if unit == "share" else number(value)
    return times(str(value))


def times(text: str) -> str:
    """Sizes reach us as `64 x 55` and are shown as `64 × 55`; `-1.5` is shown as `−1.5`."""
    return re.sub(r"(?<![^\s(])-(?=\d)", "−", re.sub(r"(?<=\d) x (?=\d)", " × ", text))


def is_link(value: object) -> bool:
    """Whether a cell leads somewhere."""
    return isinstance(value, Link)


def text_columns(table: Table) -> frozenset[int]:
    """The columns that hold words, which are lined up at the left; numbers are at the right."""
    return frozenset(
        index
        for index in range(len(table.columns))
        if any(isinstance(row[index], str | Link) and row[index] != "" for row in table.rows)
    )


def body(table: Table, words: frozenset[int], to: Callable[[str], str]) -> Markup:
    """The rows of a table that the page shows, in HTML.

    Args:
        table: of which the first `shown` rows are taken.
        words: what `text_columns` says of it.
        to: gives the address, as seen from the page, of a place on the site.
    """
    kinds = [("th", ' scope="row"') if at == 0 else ("td", "") for at in range(len(table.columns))]
    rows = []
    for row in table.rows[: table.shown]:
        cells = ""
        for at, (item, column) in enumerate(zip(row, table.columns, strict=True)):
            tag, attributes = kinds[at]
            if at in words and item != "":
                attributes += ' class="t"'
            cells += f"<{tag}{attributes}>{_item(item, column, to)}</{tag}>"
        rows.append(f"<tr>{cells}</tr>\n")
    return Markup("".join(rows))


def _item(item: Cell, column: Column, to: Callable[[str], str]) -> str:
    if isinstance(item, Link):
        return f'<a href="{escape(to(item.href))}">{escape(item.text)}</a>'
    if column.leads_to and item is not None:
        return f'<a href="{escape(column.leads_to)}{escape(item)}">{escape(item)}</a>'
    return str(escape(cell(item, column.unit).strip()))


def breakable(name: str) -> Markup:
    """A dotted name that may be broken after `.`, `_` and `/`, and is escaped."""
    return Markup("<wbr>").join(re.findall(r"[^._/]*[._/]*", name))


def is_atlas(block: object) -> bool:
    """Whether a block is a picture of many tiles."""
    return isinstance(block, Atlas)


def brief(text: str, length: int = 80) -> str:
    """The first sentence of `text`, or its start."""
    first = text.split(". ")[0].rstrip(".")
    return first if len(first) <= length else first[: length - 1].rstrip() + "…"


def anchor(name: str) -> str:
    """`name` as the end of an address: what is not an ASCII letter, digit, `.`, `_` becomes `-`."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def lowest(values: FloatArray) -> float:
    """The smallest of some values."""
    return float(values.min())


def highest(values: FloatArray) -> float:
    """The largest of some values."""
    return float(values.max())


def zoom(atlas: Atlas) -> int:
    """Whole times that an atlas is enlarged: it must fit the column, and its tiles stay small."""
    room = min(
        COLUMN // atlas.pixels.width,
        TALLEST // atlas.pixels.height,
        (LARGEST_KERNEL if atlas.signed else LARGEST_TILE)
        // max(atlas.tile_height, atlas.tile_width),
    )
    return max(1, room)


def points(share: float) -> str:
    """A difference of probabilities, in percentage points: `0.412` as `41.2 points`."""
    if 0 < share < 0.0001:
        return "less than 0.01 points"
    text = number(share * 100, 3)
    return f"{text} point" if text == "1" else f"{text} points"


FILTERS: dict[str, Callable[..., Any]] = {
    "middle_named": middle_named,
    "number": number,
    "si": si,
    "certainty": certainty,
    "task": task,
    "percent": percent,
    "shape": shape,
    "plural": plural,
    "cell": cell,
    "times": times,
    "brief": brief,
    "text_columns": text_columns,
    "body": body,
    "breakable": breakable,
    "anchor": anchor,
    "lowest": lowest,
    "highest": highest,
    "zoom": zoom,
    "points": points,
}

TESTS: dict[str, Callable[[object], bool]] = {
    "number": is_number,
    "linked": is_link,
    "atlas": is_atlas,
}
