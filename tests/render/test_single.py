"""The report in one file, taken apart again and held against the site it was made from."""

import base64
import hashlib
import json
import re
import zlib

import pytest

from reportgen.render.single import SingleFile
from tests.render.walk import Page

PICTURE = re.compile(r'<(?:img|image)\b[^<>]*?\s(?:src|href)="([^"]*)"')


def single_of(site):
    made = SingleFile()
    assert dict(made.watching(iter(site.items()))) == site
    return made.content().decode()


@pytest.fixture(scope="module")
def text(site):
    return single_of(site)


@pytest.fixture(scope="module")
def packed(text):
    inside = re.search(r'<script type="text/plain" id="pages">([^<]*)</script>', text)[1]
    return json.loads(zlib.decompress(base64.b64decode(inside)))


def shown_pictures(html):
    """Path of every picture that a page of the site shows."""
    paths = set()
    for path, page in html.items():
        up = "../" if "/" in path else ""
        paths |= {address.removeprefix(up) for address in PICTURE.findall(page)}
    return paths


def test_every_picture_stands_in_it_once(text, site, html):
    shown = {site[path]: path for path in shown_pictures(html)}
    assert len(shown) > 20
    for content, path in shown.items():
        assert text.count(base64.b64encode(content).decode()) == 1, path


def test_it_asks_for_nothing(text):
    for address in re.findall(r'\s(?:src|href|srcset|action)="([^"]*)"', text):
        assert address.startswith(("#", "?", "data:")), address[:80]


def test_its_policy_allows_its_own_style_and_script_alone(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data: blob:; ")
    for name, rule in (("style", "style-src"), ("script", "script-src")):
        inside = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert len(re.findall(r"<script>", text)) == 1


def test_the_overview_reads_as_on_the_site(text, html):
    opened = text[text.index("<body") : text.index('<script type="text/plain"')]
    page = html["index.html"]
    words = Page("index.html", page[page.index("<body") :].replace("</html>", "")).text.split()
    own = Page("index.html", f"{opened}</body>").text.split()
    foot = own.index("Made")
    assert own[:foot] == words[: words.index("Made")]
    pictures = PICTURE.findall(opened)
    assert sum(address.startswith("data:image/") for address in pictures) >= 3


def test_every_page_and_table_is_packed(packed, site, html):
    assert packed["pages"].keys() == html.keys()
    tables = {path for path in site if re.fullmatch(r"data/.*\.(csv|js)", path)}
    assert packed["data"].keys() == tables
    assert all(packed["data"][path] == site[path].decode() for path in tables)
    assert packed["pages"]["layers/features.0.html"]["scripts"] == ["data/features.0.js"]


def test_links_between_pages_lead_to_pages(packed, html):
    ids = {path: Page(path, text).ids for path, text in html.items()}
    checked = 0
    for path, page in packed["pages"].items():
        for address in re.findall(r'<a\b[^<>]*?\shref="([^"]*)"', page["body"]):
            if address.startswith("#"):
                continue
            assert address.startswith("?"), f"{path}: {address}"
            target, _, anchor = address[1:].partition("#")
            assert target in packed["pages"] or target in packed["data"], f"{path}: {address}"
            if target in ids and anchor and "=" not in anchor:
                assert anchor in ids[target], f"{path}: {address}"
            checked += 1
    assert checked > 400


def test_what_is_left_out_is_no_link_and_is_said_with_its_size(packed, site, html):
    body = packed["pages"]["images/chelsea.html"]["body"]
    assert re.search(r'<a title="Not in this file"[^<>]*>PDF</a>', body)
    assert "report.json</a>" in body and 'href="?report.json' not in body
    shown = {site[path] for path in shown_pictures(html)}
    kept = {path for path, content in site.items() if content in shown}
    kept |= {path for path in site if path.startswith("assets/") or path in html}
    kept |= {path for path in site if path.endswith((".csv", ".js"))}
    missing = [len(content) for path, content in site.items() if content and path not in kept]
    said = f"report.json ({len(missing):,} files, {sum(missing) / 1e6:.1f} MB)"
    assert all(said in page["body"] for path, page in packed["pages"].items() if page["body"])


def test_same_site_same_file(text, site):
    assert single_of(site) == text


def test_a_picture_shown_several_times_on_the_overview_is_held_once(site):
    """As the ground of empty pictures, which needs no script."""
    changed = dict(site)
    index = site["index.html"].decode()
    path = PICTURE.search(index)[1]
    twice = f'<img src="{path}" alt="again"><img class="pixels" src="{path}" alt="once more">'
    changed["index.html"] = index.replace("</main>", f"{twice}</main>").encode()
    text = single_of(changed)
    data = base64.b64encode(site[path]).decode()
    assert text.count(data) == 1
    name = re.search(
        rf"\.([\w-]+){{background:url\(data:image/png;base64,{re.escape(data)}\)", text
    )[1]
    empty = r'src="data:image/gif;base64,[^"]*" data-file="'
    assert re.search(rf'<img class="{name}" {empty}[^"]*" alt="again">', text)
    assert re.search(rf'<img class="{name} pixels" {empty}[^"]*" alt="once more">', text)


def test_every_data_script_is_a_name_and_its_value(site):
    """The router may run no script but its own, so it reads them."""
    scripts = [path for path in site if re.fullmatch(r"data/.*\.js", path)]
    assert scripts
    for path in scripts:
        value = re.fullmatch(r"window\.\w+ = (.*);\n", site[path].decode(), re.DOTALL)[1]
        assert isinstance(json.loads(value), dict), path
