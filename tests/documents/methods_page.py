"""`docs/methods.md`: what the page About says of methods, rules and papers, as Markdown.

`python -m tests.documents.methods_page > docs/methods.md` writes it again.
"""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, SubElement

from reportgen.analyses import ANALYSES
from reportgen.render.pages import pages
from reportgen.report.records import Section
from tests.render.sample_report import sample_report
from tests.render.walk import VOID

HEAD = """\
# Methods

How each number of a report is computed, when a finding is raised, and from which papers. This is
the page About of a report with all sections, made from the same templates. How to read the views:
[reading-a-report.md](reading-a-report.md).
"""

TEX = {
    **{"−": "-", "≤": r"\le", "∑": r"\sum", "∏": r"\prod", "∂": r"\partial", "∫": r"\int"},
    **{"∇": r"\nabla", "⌈": r"\lceil", "⌉": r"\rceil", "…": r"\dots", "<": r"\lt", "±": r"\pm"},
    **{"λ": r"\lambda", "α": r"\alpha", "×": r"\times"},
}


class Tree(HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root")
        self._open = [self.root]
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        made = SubElement(self._open[-1], tag, {name: value or "" for name, value in attrs})
        if tag not in VOID:
            self._open.append(made)

    def handle_startendtag(self, tag, attrs):
        SubElement(self._open[-1], tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        above = self._open[-1]
        if len(above):
            above[-1].tail = (above[-1].tail or "") + data
        else:
            above.text = (above.text or "") + data


def about_page() -> str:
    """The page About of a report that has every section, and nothing else."""
    report = replace(
        sample_report(),
        sections=tuple(
            Section(a.name, a.title, a.place, references=a.references) for a in ANALYSES
        ),
        rules=tuple(rule for analysis in ANALYSES for rule in analysis.rules),
        **dict.fromkeys(("images", "skipped", "layers", "parameters", "findings"), ()),
    )
    made = next(content for path, content in pages(report) if path == "about.html")
    return made.decode()


def tex(element: Element) -> str:
    """A formula of MathML as TeX."""
    parts = [tex(part) for part in element]
    text = (element.text or "").strip()
    match element.tag:
        case "mi" if len(text) > 1:
            return rf"\mathrm{{{text}}}"
        case "mi" | "mo" | "mn":
            return TEX.get(text, text)
        case "mspace":
            return r"\quad"
        case "mfrac" if element.get("linethickness") == "0":
            return rf"{{{parts[0]} \atop {parts[1]}}}"
        case "mfrac":
            return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
        case "msub" | "munder":
            return f"{grouped(parts[0])}_{{{parts[1]}}}"
        case "msup":
            return f"{grouped(parts[0])}^{{{parts[1]}}}"
        case "msubsup":
            return f"{grouped(parts[0])}_{{{parts[1]}}}^{{{parts[2]}}}"
        case "math" | "mrow":
            return " ".join(parts)
    raise ValueError(f"<{element.tag}> has no form in TeX yet")


def grouped(base: str) -> str:
    return f"{{{base}}}" if " " in base else base


def inline(element: Element) -> str:
    """The text in an element, with Markdown's marks."""
    text = plain(element.text)
    for part in element:
        inside = inline(part)
        match part.tag:
            case "math":
                text += f"${tex(part)}$"
            case "b" | "strong":
                text += f"**{inside}**"
            case "i" | "em":
                text += f"*{inside}*"
            case "code" | "kbd":
                text += f"`{inside}`"
            case "span" if part.get("class") == "name":
                text += f"`{inside}`"
            case "a" if not part.get("href", "").startswith("#"):
                text += f"[{inside}](reading-a-report.md#the-other-pages)"
            case _:
                text += inside
        text += plain(part.tail)
    return text


def plain(text: str | None) -> str:
    return re.sub(r"([*_<$])", r"\\\1", re.sub(r"\s+", " ", text or ""))


def blocks(element: Element) -> list[str]:
    """The paragraphs, headings, lists and formulas of a section."""
    made = []
    for part in element:
        match part.tag:
            case "h2" | "h3" | "h4":
                made.append(f"{'#' * int(part.tag[1])} {inline(part).strip()}")
            case "p":
                made.append(inline(part).strip())
            case "math":
                made.append(f"$$\n{tex(part)}\n$$")
            case "ul" | "ol":
                made.append("\n".join(f"- {inline(item).strip()}" for item in part))
            case "dl":
                made.append("\n".join(entry(group) for group in part))
    return made


def entry(group: Element) -> str:
    name, *said = (inline(part).strip() for part in group)
    is_code = group[0].get("class") == "name"
    return f"- {f'`{name}`' if is_code else f'**{name}**'}: {' '.join(said)}"


def methods_page() -> str:
    sections = {part.get("id"): part for part in Tree(about_page()).root.iter("section")}
    chosen = [sections[name] for name in ("methods", "rules", "glossary", "references")]
    paragraphs = [block for section in chosen for block in blocks(section)]
    paragraphs[0] = "## How numbers are computed"
    return HEAD + "\n" + "\n\n".join(paragraphs) + "\n"


if __name__ == "__main__":
    sys.stdout.write(methods_page())
