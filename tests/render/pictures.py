"""Reads a page for its pictures: what stands in their place, and what is said below them."""

import re
from html.parser import HTMLParser

from tests.render.walk import VOID

FACT = re.compile(r"\d|\b(no|none|nothing|nowhere|not|never)\b", re.IGNORECASE)
"A number, or that there is nothing."

GROUPS = {"cams", "multiples", "units", "maps"}
"Lists of small pictures, whose items caption themselves."


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None], parent: "Element | None"):
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.text = ""
        self.children: list[Element] = []

    @property
    def classes(self) -> set[str]:
        return set((self.attributes.get("class") or "").split())

    def above(self) -> "list[Element]":
        return [] if self.parent is None else [self.parent, *self.parent.above()]

    def all(self, *tags: str) -> "list[Element]":
        below = [found for child in self.children for found in child.all(*tags)]
        return [self, *below] if self.tag in tags else below


class Pictures(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self._open = Element("page", {}, None)
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        made = Element(tag, dict(attrs), self._open)
        self._open.children.append(made)
        if tag not in VOID:
            self._open = made

    def handle_startendtag(self, tag, attrs):
        self._open.children.append(Element(tag, dict(attrs), self._open))

    def handle_endtag(self, tag):
        assert self._open.parent is not None
        self._open = self._open.parent

    def handle_data(self, data):
        for element in (self._open, *self._open.above()):
            element.text += data


def complaints(text: str) -> list[str]:
    """What a reader of text misses on a page: empty where every picture is told."""
    page = Pictures(text).root
    found = []
    for picture in page.all("img", "svg", "g", "canvas"):
        is_image = picture.tag in ("img", "canvas") or picture.attributes.get("role") == "img"
        hidden = any(
            element.attributes.get("aria-hidden") == "true"
            for element in (picture, *picture.above())
        )
        if hidden or (not is_image and picture.tag == "g"):
            continue
        if not is_image:
            # A chart whose drawing is the image: the rest is what can be pointed at.
            drawn = [g for g in picture.all("g") if g.attributes.get("role") == "img"]
            found += [] if drawn else [f"<svg> without a role: {picture.attributes}"]
            continue
        words = picture.attributes.get("alt", picture.attributes.get("aria-label"))
        if words is None:
            words = " ".join(child.text for child in picture.all("title", "desc"))
        linked = any(element.tag == "a" and element.text.strip() for element in picture.above())
        if not FACT.search(words) and not (words == "" and linked):
            found.append(f"<{picture.tag}> says {words!r}")
    for figure in page.all("figure"):
        said = " ".join(caption.text for caption in figure.all("figcaption"))
        if not FACT.search(said):
            found.append(f"<figure> with the caption {said.strip()!r}")
    for group in page.all("ol", "ul"):
        if group.classes & GROUPS:
            items = (item for item in group.children if item.tag == "li")
            found += [f"<li> {item.text!r}" for item in items if not FACT.search(item.text)]
    return found
