"""Text and tables for LaTeX: names stand on paper as they are, and none is run as a command."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",  # a backslash before it would not keep BibTeX from counting it
    "}": r"\textbraceright{}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",  # the straight one is not in the encoding that is usual
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "[": "{[}",  # at the start of a row it would be an argument of the line before
    "]": "{]}",
    "*": "{*}",
    "-": "{-}",  # two would become a dash
    "·": r"\textperiodcentered{}",
    "−": r"\ensuremath{-}",
    "×": r"\ensuremath{\times}",
    "±": r"\ensuremath{\pm}",
    "→": r"\ensuremath{\rightarrow}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "∞": r"\ensuremath{\infty}",
    "…": r"\ldots{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "\N{NO-BREAK SPACE}": "~",
}
_POWERS = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
_LETTERS = "ßæœøÆŒØłŁı"
"With letters that have one of these accents, what pdfLaTeX knows without further packages."
LONG = 45
"Rows; a table with more goes over several pages."

Cell: TypeAlias = str | int | float | None


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is; a letter that its usual fonts lack is named: `U+732B`."""
    return "".join(_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    if letter in _POWERS:
        return rf"\ensuremath{{^{{{_POWERS[letter]}}}}}"
    if letter.isspace():
        return " "
    parts = unicodedata.normalize("NFD", letter)
    has_accent = len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS
    is_known = letter.isascii() and letter.isprintable()
    is_known |= letter in _LETTERS or (has_accent and letter <= "ž")
    return letter if is_known else rf"\texttt{{U+{ord(letter):04X}}}"


def ascii_only(text: str) -> str:
    """Letters and digits alone, for labels and keys of references."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if letter.isascii() and letter.isalnum())


@dataclass(frozen=True)
class LatexTable:
    """One table for a paper."""

    name: str
    "Of its file and its label: `tab:architecture`."
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    "A last row, below a line."

    def source(self) -> str:
        """The table with booktabs rules, for the place where it is to stand."""
        numbers = [self._is_number(at) for at in range(len(self.columns))]
        layout = "".join("r" if is_number else "l" for is_number in numbers)
        head = _line([rf"\multicolumn{{1}}{{c}}{{{escaped(c)}}}" for c in self.columns])
        body = [_line([_cell(cell) for cell in row]) for row in self.rows]
        if self.total:
            body += [r"\midrule", _line([_cell(cell) for cell in self.total])]
        title = rf"\caption{{{escaped(self.caption)}}}"
        label = rf"\label{{tab:{self.name}}}"
        packages = "booktabs, longtable" if len(self.rows) > LONG else "booktabs"
        lines = [f"% Made by reportgen. Needs the packages {packages}, and textcomp before 2020."]
        if len(self.rows) > LONG:
            lines += [
                rf"\begin{{longtable}}{{@{{}}{layout}@{{}}}}",
                rf"{title}{label}\\",
                *(r"\toprule", head, r"\midrule", r"\endfirsthead"),
                *(r"\toprule", head, r"\midrule", r"\endhead"),
                *(r"\midrule", r"\endfoot", r"\bottomrule", r"\endlastfoot"),
                *body,
                r"\end{longtable}",
            ]
        else:
            lines += [
                r"\begin{table}",
                *(r"\centering", title, label, rf"\begin{{tabular}}{{@{{}}{layout}@{{}}}}"),
                *(r"\toprule", head, r"\midrule", *body, r"\bottomrule"),
                *(r"\end{tabular}", r"\end{table}"),
            ]
        return "\n".join(lines) + "\n"

    def _is_number(self, at: int) -> bool:
        cells = [row[at] for row in self.rows if row[at] is not None]
        return bool(cells) and not any(isinstance(cell, str) for cell in cells)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: Cell) -> str:
    if cell is None:
        return r"\textendash{}"
    if isinstance(cell, str):
        return escaped(cell)
    return escaped(number(cell))


def number(value: float) -> str:
    """A whole number in full, others with three digits: `1,235,496`, `0.0123`, `1.2 × 10⁻⁵`."""
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    mantissa, power = f"{value:.2e}".split("e")
    if value == 0 or -4 <= int(power) < 5:
        # 999.6 has four digits once it is rounded.
        plain = f"{value:#.3g}".rstrip(".") if int(power) < 3 else f"{value:,.0f}"
        return plain.replace("-", "−")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa} × 10{raised}".replace("-", "−")
