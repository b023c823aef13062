"""The papers behind a report's methods as BibTeX, each under a key that tables and text can cite.

Sections name their references in one form, `Authors: Title. Venue, year.`, so that an entry can be
made of each. Authors stand with their last names alone, as the sections have them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from string import ascii_lowercase

from reportgen.papers.latex import ascii_only, escaped
from reportgen.report.records import Report

STANDING = (
    "Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity Checks for Saliency Maps. "
    "NeurIPS, 2018.",
)
"What every report leans on, whatever its sections."

_FORM = re.compile(
    r"(?P<authors>[^:]+): (?P<title>.+[.?!]) (?P<venue>(?:(?!\. ).)+), (?P<year>\d{4})\."
)
_MEETINGS = frozenset(
    {"ACL", "AISTATS", "BMVC", "CVPR", "ECCV", "ICCV", "ICLR", "ICLR Workshop", "ICML", "NeurIPS"}
    | {"SIGMOD"}
)
_VOLUME = re.compile(r"(?P<journal>.*\S) (?P<volume>\d+)(?: \((?P<number>\d+)\))?")
_LONGEST_KEY = 16
_ARXIV = re.compile(r"arXiv[: ](?P<number>\d{4}\.\d{4,5})")
_REPORT = re.compile(r"(?P<place>.+), technical report (?P<number>\d+)")


@dataclass(frozen=True)
class Entry:
    """One entry of a bibliography."""

    key: str
    kind: str
    "`article`, `inproceedings`, `techreport` or `misc`."
    fields: tuple[tuple[str, str], ...]
    "Name and text, which is not escaped yet."

    def source(self) -> str:
        """The entry in BibTeX."""
        width = max(len(name) for name, _ in self.fields)
        lines = [f"@{self.kind}{{{self.key},"]
        for name, text in self.fields:
            # BibTeX would take the capitals of a title outside of braces away.
            value = f"{{{escaped(text)}}}" if name == "title" else escaped(text)
            lines.append(f"  {name:{width}} = {{{value}}},")
        return "\n".join([*lines, "}"]) + "\n"


class Bibliography:
    """The references of a report by key."""

    def __init__(self, references: Sequence[str]) -> None:
        """Of references in the form that sections have; a second one is left out."""
        self.keys: dict[str, str] = {}
        "Key by reference."
        self.entries: list[Entry] = []
        for text in dict.fromkeys(references):
            found = _FORM.fullmatch(text)
            if found is None:
                key = self._free(ascii_only(text).lower()[:_LONGEST_KEY])
                self.entries.append(Entry(key, "misc", (("note", text),)))
            else:
                first = re.split(r",| et al", found["authors"])[0]
                key = self._free(ascii_only(first).lower() + found["year"])
                self.entries.append(_entry(key, found.groupdict()))
            self.keys[text] = key

    def _free(self, key: str) -> str:
        """The key, with a letter behind it where another work has it."""
        taken = set(self.keys.values())
        keys = (f"{key}{letter}" for letter in chain([""], ascii_lowercase[1:], map(str, count(1))))
        return next(key for key in keys if key not in taken)

    def key(self, author: str, year: int) -> str | None:
        """The key of a work by its first author; None where the report does not refer to it."""
        key = f"{ascii_only(author).lower()}{year}"
        return key if key in self.keys.values() else None


def bibliography(report: Report) -> Bibliography:
    """The references of a report's sections, in their order."""
    return Bibliography([*(t for s in report.sections for t in s.references), *STANDING])


def _entry(key: str, parts: Mapping[str, str]) -> Entry:
    """The entry of a work; what is known of its venue decides the kind."""
    authors = parts["authors"].replace(" et al.", ", others").replace(" et al", ", others")
    title = parts["title"].rstrip(".")
    head = (("author", " and ".join(authors.split(", "))), ("title", title))
    venue, year = parts["venue"], ("year", parts["year"])
    if found := _ARXIV.fullmatch(venue):
        number = found["number"]
        return Entry(key, "misc", (*head, year, ("eprint", number), ("archiveprefix", "arXiv")))
    if found := _REPORT.fullmatch(venue):
        fields = (("institution", found["place"]), ("number", found["number"]), year)
        return Entry(key, "techreport", (*head, *fields))
    if venue in _MEETINGS:
        return Entry(key, "inproceedings", (*head, ("booktitle", venue), year))
    if venue.startswith("bioRxiv"):
        return Entry(key, "misc", (*head, ("howpublished", venue), year))
    if found := _VOLUME.fullmatch(venue):
        numbers = [(name, found[name]) for name in ("volume", "number") if found[name]]
        return Entry(key, "article", (*head, ("journal", found["journal"]), *numbers, year))
    return Entry(key, "article", (*head, ("journal", venue), year))


def own_entry(report: Report) -> Entry:
    """The report itself, to be cited."""
    model, made = report.model, report.provenance
    note = f"Made with reportgen {made.reportgen}; model SHA-256 {model.sha256[:16]}"
    return Entry(
        f"reportgen-{model.sha256[:8]}",
        "misc",
        (("key", "reportgen"), ("title", f"Network report: {report.title}"), ("note", note)),
    )


def bibtex(report: Report) -> str:
    """`cite.bib`: the report, and every work that its methods rest on."""
    entries = (own_entry(report), *bibliography(report).entries)
    return "\n".join(entry.source() for entry in entries)
