"""Reads a page: its tags, links and text; refuses one that is not well nested."""

import posixpath
from html.parser import HTMLParser

VOID = {"wbr", "meta", "link", "img", "input", "br", "hr"}
CLOSED_IN_PLACE = {"path", "rect", "image", "line", "circle", "stop", "use", "mspace"}
CLOSED_IN_PLACE |= {"fefuncr", "fefuncg", "fefuncb", "fefunca", "fecolormatrix", "fecomposite"}
LINKS = {"href", "src"}


class Page(HTMLParser):
    def __init__(self, path: str, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"{path}: never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{self.path}: <{tag}> repeats an attribute: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in CLOSED_IN_PLACE, f"{self.path}: <{tag}/> is not a void element"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open, f"{self.path}: </{tag}> closes nothing"
        last = self._open.pop()
        assert last == tag, f"{self.path}: </{tag}> at {self.getpos()} where <{last}> is open"

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def links(self) -> list[tuple[str, str]]:
        """(file, anchor) of everything the page points to, from the site's root."""
        found = []
        for _, attributes in self.tags:
            for name in LINKS & attributes.keys():
                target, _, anchor = attributes[name].partition("#")
                folder = posixpath.dirname(self.path)
                found.append(
                    (
                        posixpath.normpath(posixpath.join(folder, target)) if target else self.path,
                        anchor,
                    )
                )
        return found
