"""Where the pages of a site lead, told from their bytes as they pass on their way to the disk."""

import json
import posixpath
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote, urlsplit

# Pages are ours: attributes are quoted and escaped, so that a tag ends at the first `>`. A parser
# of HTML would take twenty times as long.
_TAG = re.compile(rb"<[a-zA-Z][^<>]*>")
_ATTRIBUTE = re.compile(rb'\s(id|href|src|data-index|data-values)="([^"]*)"')
_SEARCH = b"window.searchIndex = "


class Links:
    """Every link of a site, and every place that one may lead to."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._places: set[tuple[str, str]] = set()
        "Files with the names of places in them."
        self._links: dict[tuple[str, str], str] = {}
        "Of each file and place that is led to, the first file that does."

    def take(self, name: str, content: bytes) -> None:
        """Note a file of the site."""
        self._files.add(name)
        if name.endswith(".html"):
            found = {one for tag in _TAG.findall(content) for one in _ATTRIBUTE.findall(tag)}
            for attribute, value in found:
                text = unescape(value.decode("utf-8", "replace"))
                if attribute == b"id":
                    self._places.add((name, text))
                else:
                    self._note(name, text)
        elif content.startswith(_SEARCH):
            # Its addresses are those of the site's root.
            for row in json.loads(content[len(_SEARCH) :].rstrip(b";\n"))["rows"]:
                self._note("", row[2])

    def _note(self, name: str, link: str) -> None:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
        place = unquote(parts.fragment)
        if not parts.path:
            path = name
        if path.startswith("../"):  # a report beside this one
            return
        # `#c=778&i=chelsea` is a view, which a script sets up.
        self._links.setdefault((path, "" if "=" in place else place), name)

    def broken(self) -> Iterator[str]:
        """A sentence for each link that leads nowhere, once all files were taken."""
        for (path, place), name in sorted(self._links.items()):
            if path not in self._files:
                yield f"{name or 'the search'} links to {path}, which is not among the files"
            elif place and path.endswith(".html") and (path, place) not in self._places:
                yield f"{name or 'the search'} links to {path}#{place}, which is no place there"
