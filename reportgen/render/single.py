"""A site in one HTML file: the same pages, each picture once, and a router in place of a folder.

The overview stands open, with its pictures; the other pages, the tables as CSV and the data of the
scripts lie packed below it, and each other picture as inert text. No page is made here: what is
taken apart are the files of a site.
"""

import base64
import gzip
import hashlib
import json
import posixpath
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from html import escape, unescape

from markupsafe import Markup

from reportgen.render.environment import environment, single_script, single_stylesheet

OVERVIEW = "index.html"
EMPTY = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
"A transparent pixel."
KINDS = {"png": "image/png", "webp": "image/webp", "svg": "image/svg+xml", "csv": "text/csv"}

# Attributes are escaped, so that a tag ends at the first `>`.
_TAG = re.compile(r'<(\w+)\b[^<>]*?\s(href|src)="([^"]*)"[^<>]*>')
_ELSEWHERE = re.compile(r"#|[a-z]+:")


class SingleFile:
    """Keeps what one file needs of the files of a site, on their way to a folder."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        self._first: dict[bytes, str] = {}
        "Of the files with one content."

    def watching(self, files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """The same files, of which this keeps some."""
        for name, content in files:
            yield name, content
            # What is packed on its own would be packed twice.
            path = name.removesuffix(".gz")
            inside = content if path == name else gzip.decompress(content)
            self._sizes[path] = len(inside)
            if posixpath.splitext(path)[1] in {".html", ".css", ".js", *(f".{k}" for k in KINDS)}:
                self._kept[path] = inside
                self._first.setdefault(inside, path)

    def content(self) -> bytes:
        """The file, once all files of the site have passed: the same site gives the same bytes."""
        kept = self._kept
        pages = {path: _Page(path, kept) for path in kept if path.endswith(".html")}
        first = {path: self._first[kept[path]] for page in pages.values() for path in page.pictures}
        left_out = self._left_out({kept[path] for path in first})
        for page in pages.values():
            page.body = page.body.replace("</footer>", f"{left_out}</footer>", 1)
        overview = pages[OVERVIEW]
        body, grounds, opened = _opened(overview.body, kept, first)
        style = _joined(kept, "css", single_stylesheet(), grounds)
        script = (
            f"{single_script()}const site = (location) => {{\n{_joined(kept, 'js')}}};\nbegin();\n"
        )
        head = kept[OVERVIEW].decode()
        text = (
            environment()
            .get_template("single.html.jinja")
            .render(
                policy=f"default-src 'none'; img-src data: blob:; style-src '{_hash(style)}'; "
                f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'",
                title=overview.title,
                description=_meta(head, "description"),
                generator=_meta(head, "generator"),
                icon=_data_uri("assets/icon.svg", kept),
                style=Markup(style),
                script=Markup(script),
                body=Markup(body.removesuffix("</body>")),
                pages=_packed(pages, kept, first),
                pictures=[(p, _base64(kept[p])) for p in sorted({*first.values()} - opened)],
            )
        )
        return text.encode()

    def _left_out(self, shown: Set[bytes]) -> str:
        """What the file lacks, in a sentence for the foot of every page."""
        there = {
            path
            for path, content in self._kept.items()
            if path.endswith((".html", ".csv", ".js")) or content in shown
        }
        missing = [
            size
            for path, size in self._sizes.items()
            if size and path not in there and not path.startswith("assets/")
        ]
        return (
            "<p>This is a report in one file: its pages, pictures and tables (CSV). Figures for "
            f"print, arrays and report.json ({len(missing):,} files, {sum(missing) / 1e6:.1f} MB) "
            "are only in the folder that was written with it.</p>\n"
        )


class _Page:
    """One page taken apart, its links leading to places in this file."""

    def __init__(self, path: str, files: Mapping[str, bytes]) -> None:
        text = files[path].decode()
        head, _, rest = text.partition("</head>")
        self._path, self._files = path, files
        self.pictures: dict[str, None] = {}
        "Shown on it, in order."
        self.title = unescape(head.partition("<title>")[2].partition("</title>")[0])
        sources = [self._place(found[3]) for found in _TAG.finditer(head) if found[1] == "script"]
        self.scripts = [source for source in sources if not source.startswith("assets/")]
        self.body = _TAG.sub(self._tag, rest[rest.index("<body") : rest.index("</html>")].strip())

    def _place(self, address: str) -> str:
        """A relative address as seen from the root of the site."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(self._path), unescape(address)))

    def _tag(self, found: re.Match[str]) -> str:
        tag, name, attribute, address = found[0], found[1], found[2], found[3]
        if _ELSEWHERE.match(address):
            return tag
        target, mark, place = address.partition("#")
        path = self._place(target).removesuffix(".gz")  # this file is packed as a whole
        old = f'{attribute}="{address}"'
        if name in {"img", "image"}:
            self.pictures[path] = None
            return tag.replace(old, f'{attribute}="{escape(path)}"')
        if path in self._files and path.endswith((".html", ".csv")):
            return tag.replace(old, f'{attribute}="?{escape(path)}{mark}{place}"')
        why = "" if " title=" in tag else ' title="Not in this file"'
        return tag.replace(f" {old}", "").replace(f"<{name}", f"<{name}{why}", 1)


def _opened(
    body: str, files: Mapping[str, bytes], first: Mapping[str, str]
) -> tuple[str, str, set[str]]:
    """The overview as it reads without scripts, its style, and the pictures held there, once each.

    A picture that it shows several times stands in the style, as the ground of empty ones. Only a
    drawing cannot have it from there, and waits for the router.
    """
    shown = [found for found in _TAG.finditer(body) if found[1] in {"img", "image"}]
    uses = Counter(first[found[3]] for found in shown)
    images = {first[found[3]] for found in shown if found[1] == "img"}
    shared = [path for path, count in uses.items() if count > 1 and path in images]
    seen: set[str] = set()

    def put(found: re.Match[str]) -> str:
        tag, name, attribute, address = found[0], found[1], found[2], found[3]
        if name == "a" and address.endswith(".csv"):
            tag = tag.replace(f'"{address}"', f'"{_data_uri(address[1:], files)}"')
            return tag.replace(" download", f' download="{posixpath.basename(address)}"')
        path = first.get(address, "")
        if name not in {"img", "image"}:
            return tag
        place = f'{attribute}="{address}"'
        if name == "image" and path in {*shared, *seen}:
            return tag.replace(place, f'data-file="{path}"')
        seen.add(path)
        if path not in shared:
            return tag.replace(place, f'{attribute}="{_data_uri(path, files)}" data-file="{path}"')
        own = f"ground-{shared.index(path)}"
        classes = f' class="{own} ' if ' class="' in tag else f' class="{own}" '
        tag = (
            tag.replace(' class="', classes) if ' class="' in tag else tag.replace(" ", classes, 1)
        )
        return tag.replace(place, f'{attribute}="{EMPTY}" data-file="{path}"')

    text = _TAG.sub(put, body)
    rules = "".join(
        f".ground-{at}{{background:url({_data_uri(path, files)}) 0 0/100% 100%}}"
        for at, path in enumerate(shared)
    )
    return text, rules, seen


def _packed(
    pages: Mapping[str, _Page], files: Mapping[str, bytes], first: Mapping[str, str]
) -> str:
    """Pages, tables and data of scripts as one packed text: a tenth of them."""
    contents = {
        "pages": {
            path: {
                "title": page.title,
                "scripts": page.scripts,
                "body": "" if path == OVERVIEW else page.body,
            }
            for path, page in pages.items()
        },
        "data": {
            path: files[path].decode()
            for path in files
            if path.endswith((".csv", ".js")) and not path.startswith("assets/")
        },
        "same": {path: other for path, other in first.items() if path != other},
    }
    text = json.dumps(contents, separators=(",", ":"), ensure_ascii=False)
    return _base64(zlib.compress(text.encode(), 9))


def _joined(files: Mapping[str, bytes], form: str, *more: str) -> str:
    """Every style sheet or script of the site, as it may stand inside a page."""
    own = (files[path].decode() for path in files if re.fullmatch(rf"assets/.*\.{form}", path))
    text = "".join((*own, *more))
    assert not re.search(r"</(style|script)|<!--", text, re.IGNORECASE)
    return text


def _meta(head: str, name: str) -> str:
    found = re.search(rf'<meta name="{name}" content="([^"]*)"', head)
    return unescape(found[1]) if found else ""


def _hash(text: str) -> str:
    return f"sha256-{_base64(hashlib.sha256(text.encode()).digest())}"


def _data_uri(path: str, files: Mapping[str, bytes]) -> str:
    return f"data:{KINDS[path.rpartition('.')[2]]};base64,{_base64(files[path])}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
