"""A strict reader of the little LaTeX and BibTeX that we write: what TeX would print, or an error.

It knows nothing of how the text was escaped. Anything that is not on its list, any character that
means something to TeX, and every pair of letters that TeX joins is an error.
"""

import re
from dataclasses import dataclass, field

PRINTED = {
    "textbackslash": "\\",
    "textbraceleft": "{",
    "textbraceright": "}",
    "textasciicircum": "^",
    "textasciitilde": "~",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textquotedblright": "”",
    "textquotedblleft": "“",
    "textquoteleft": "‘",
    "textquoteright": "’",
    "textquotesingle": "'",
    "textasciigrave": "`",
    "textendash": "–",
    "textemdash": "—",
    "ldots": "…",
    "textperiodcentered": "·",
}
MATHS = {"-": "−", "\\times": "×", "\\pm": "±", "\\rightarrow": "→", "\\leq": "≤", "\\geq": "≥"}
MATHS |= {"\\infty": "∞"} | {
    f"^{{{a}}}": b for a, b in zip("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)
}
RULES = {"toprule", "midrule", "bottomrule", "endfirsthead", "endhead", "endfoot", "endlastfoot"}
JOINED = ("--", "``", "''", "?`", "!`", "<<", ">>", ",,")
OT1 = set(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœŒłŁıŠšŽžČčĆćŘřĚěŇňŮůŐőŰűŞşĞğİ"
)
OT1 |= set("ĀāĂăĈĉĊċĎďĒēĔĕĖėĜĝĠġĢģĤĥĨĩĪīĬĭĴĵĶķĹĺĻļĽľŃńŅņŌōŎŏŔŕŖŗŚśŜŝŢţŤťŨũŪūŬŭŴŵŶŷŸŹźŻż")


@dataclass
class Table:
    """What stands in the file of a table."""

    caption: str = ""
    label: str = ""
    alignment: str = ""
    rows: list[list[str]] = field(default_factory=list)


class Reader:
    """Reads from a place on; braces have to match."""

    def __init__(self, source: str) -> None:
        self.source, self.at = source, 0
        self.table = Table()
        self.open: list[str] = []

    def peek(self, text: str) -> bool:
        return self.source.startswith(text, self.at)

    def group(self) -> str:
        """The source between the braces that begin here."""
        assert self.peek("{"), f"a brace is missing: {self.source[self.at : self.at + 30]!r}"
        depth, start = 0, self.at + 1
        while True:
            letter = self.source[self.at]
            is_escaped = self.source[self.at - 1] == "\\" and self.source[self.at - 2] != "\\"
            depth += (letter == "{" and not is_escaped) - (letter == "}" and not is_escaped)
            self.at += 1
            if depth == 0:
                return self.source[start : self.at - 1]

    def read(self) -> str:
        """Text to the end, with cells between tabs and rows between line feeds."""
        text = ""
        while self.at < len(self.source):
            letter = self.source[self.at]
            assert not any(self.peek(pair) for pair in JOINED), f"joined: {self.rest()}"
            if letter == "\\":
                text += self.command()
                continue
            if letter == "{":
                text += Reader(self.group()).read()
                continue
            if letter == "%":
                self.at = self.source.index("\n", self.at)
                continue
            assert letter not in '}#$^_"<>|', f"{letter} is not escaped: {self.rest()}"
            assert letter.isascii() or letter in OT1, f"{letter!r} is not known: {self.rest()}"
            assert letter == "\n" or letter.isprintable(), repr(letter)
            text += {"&": "\t", "~": "\N{NO-BREAK SPACE}", "\n": " "}.get(letter, letter)
            self.at += 1
        assert not self.open, f"not closed: {self.open}"
        return text

    def rest(self) -> str:
        return self.source[max(0, self.at - 20) : self.at + 20]

    def command(self) -> str:
        word = re.compile(r"\\([a-zA-Z]+) *|\\(.)", re.DOTALL).match(self.source, self.at)
        assert word, self.rest()
        self.at = word.end()
        name, sign = word[1], word[2]
        if sign == "\\":
            following = self.source[self.at :].lstrip()
            assert not following.startswith(("[", "*")), f"taken for an argument: {self.rest()}"
            return "\n"
        if sign is not None:
            assert sign in "$&#%_", self.rest()
            return sign
        if name in PRINTED:
            assert self.peek("{}") and not word[0].endswith(" "), self.rest()
            self.at += 2
            return PRINTED[name]
        if name in RULES or name == "centering":
            return ""
        if name == "ensuremath":
            return MATHS[self.group()]
        if name == "texttt":
            return chr(int(self.group().removeprefix("U+"), 16))
        if name == "multicolumn":
            count, place = self.group(), self.group()
            assert (count, place) == ("1", "c")
            return Reader(self.group()).read()
        if name == "caption":
            self.table.caption = Reader(self.group()).read()
            return ""
        if name == "label":
            self.table.label = self.group()
            assert re.fullmatch(r"tab:[a-z_]+", self.table.label)
            return ""
        if name == "begin":
            self.open.append(self.group())
            if self.open[-1] in ("tabular", "longtable"):
                self.table.alignment = self.group()
            return ""
        assert name == "end", f"\\{name} is not on the list"
        assert self.open and self.group() == self.open.pop()
        return ""


def printed(source: str) -> str:
    """What a piece of LaTeX prints, spaces as TeX joins them."""
    return re.sub(" +", " ", Reader(source).read())


def table_in(source: str) -> Table:
    """The one table of a file; every row has as many cells as there are columns."""
    reader = Reader(source)
    text = reader.read()
    table = reader.table
    columns = table.alignment.removeprefix("@{}").removesuffix("@{}")
    assert set(columns) <= {"l", "r"}
    lines = [line for line in text.split("\n") if line.strip()]
    table.rows = [[re.sub(" +", " ", cell).strip() for cell in line.split("\t")] for line in lines]
    assert {len(row) for row in table.rows} == {len(columns)}
    return table


def entries_in(source: str) -> dict[str, dict[str, str]]:
    """Entries of a `.bib` file by key, each a field a line; values are printed."""
    found = {}
    for entry in re.split(r"\n(?=@)", source.strip()):
        head, *lines, end = entry.strip().split("\n")
        name = re.fullmatch(r"@(article|inproceedings|techreport|misc)\{([\w-]+),", head)
        assert name and end == "}", entry
        fields = {}
        for line in lines:
            match = re.fullmatch(r"  (\w+) *= \{(.*)\},", line)
            assert match, line
            # BibTeX counts every brace, also one behind a backslash.
            depth = 0
            for letter in match[2]:
                depth += (letter == "{") - (letter == "}")
                assert depth >= 0, line
            assert depth == 0, line
            fields[match[1]] = printed(match[2])
        assert name[2] not in found, f"{name[2]} twice"
        found[name[2]] = {"kind": name[1], **fields}
    return found
