"""Every link of a site is followed before the site takes its place."""

from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reportgen.cli import _exit_code
from reportgen.write import write_site
from reportgen.write.links import _ATTRIBUTE, _TAG, Links
from tests.corpus.faults import tree

PAGE = (
    '<a class="x" href="layers/a.html#unit-3">3</a> <p>href="gone.html"</p>'
    '<a href="layers/a.html#c=9&amp;i=x">a view</a><a href="#top" id="top">up</a>'
    '<a href="https://example.org/x.html">away</a><a href="//example.org/x">away</a>'
    '<img src="img/a%20b.png"><a href="../beside/index.html">beside</a>'
    '<a href="report.json#any">data</a><body data-index="data/search.js">'
)
SITE = {
    "index.html": PAGE.encode(),
    "layers/a.html": '<h2 id="unit-3">ä</h2><a href="../index.html#top">home</a>'.encode(),
    "img/a b.png": b'<a href="gone.png">',
    "report.json": b"{}",
    "data/search.js": b'window.searchIndex = {"rows":[["Layer","a","layers/a.html#unit-3",9]]};\n',
}


def broken(**others: bytes) -> list[str]:
    links = Links()
    for name, content in (
        SITE | {name.replace("__", "."): x for name, x in others.items()}
    ).items():
        links.take(name, content)
    return list(links.broken())


def test_a_whole_site_has_no_broken_link() -> None:
    assert broken() == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'<a href="b.html">', "x.html links to b.html, which is not among the files"),
        (b'<img src="img/%61.png">', "x.html links to img/a.png, which is not among the files"),
        (b'<body data-values="v.js">', "x.html links to v.js, which is not among the files"),
        (b'<a href="layers/a.html#u">', "x.html links to layers/a.html#u, which is no place there"),
        (b'<a href="#a&amp;b">', "x.html links to x.html#a&b, which is no place there"),
        (b'<a href="Index.html">', "x.html links to Index.html, which is not among the files"),
        (b'<a href="layers">', "x.html links to layers, which is not among the files"),
        (b'<a href="/index.html">', "x.html links to /index.html, which is not among the files"),
    ],
)
def test_a_broken_link_is_told(content: bytes, sentence: str) -> None:
    assert broken(x__html=content) == [sentence]


def test_the_search_is_a_page_too() -> None:
    rows = b'window.searchIndex = {"rows":[["Layer","b","layers/b.html"]]};\n'
    links = Links()
    links.take("data/search.js", rows)
    links.take("data/other.js", b"window.values = {};")
    assert list(links.broken()) == [
        "the search links to layers/b.html, which is not among the files"
    ]


def test_each_broken_link_is_told_once_and_in_order() -> None:
    page = b'<a href="b.html#y"><a href="b.html#x"><a href="b.html#x">'
    assert (
        broken(x__html=page, y__html=page)
        == ["x.html links to b.html, which is not among the files"] * 2
    )


def test_a_site_with_a_broken_link_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"report.json": b"{}", "index.html": b"<p>"}
    write_site(good.items(), tmp_path / "report")
    before = tree(tmp_path)
    bad = good | {"index.html": b'<a href="layers/b.html">'}
    assert _exit_code(lambda: write_site(bad.items(), tmp_path / "report"), debug=False) == 70
    assert "index.html links to layers/b.html, which is not among the" in capsys.readouterr().err
    assert tree(tmp_path) == before


class Parsed(HTMLParser):
    """What a parser of HTML sees of the attributes that are looked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        looked_at = {"id", "href", "src", "data-index", "data-values"}
        self.found |= {(name, value or "") for name, value in attrs if name in looked_at}


def test_a_real_report_is_read_as_a_parser_reads_it(lenet_report: Path) -> None:
    pages = sorted(lenet_report.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        content = page.read_bytes()
        seen = {
            (name.decode(), unescape(value.decode()))
            for tag in _TAG.findall(content)
            for name, value in _ATTRIBUTE.findall(tag)
        }
        assert seen == Parsed(content.decode()).found, page
