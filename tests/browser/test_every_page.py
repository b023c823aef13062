"""Every kind of page of a real report, of the made-up one and of a comparison, in Chromium.

The sites lie side by side under `/some/repo/` of a server, as GitHub Pages would have them.
"""

import re
import shutil
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser.served import PREFIX, served
from tests.compare.conftest import NoPress
from tests.compare.tiny import CODE, HEIGHT, LABELS, WIDTH, checkpoints, write_images
from tests.conftest import left_with

pytestmark = pytest.mark.browser

LENET = "lenet"
"The real report, of all sections."
KINDS = (
    *(f"{LENET}/{page}.html" for page in ("index", "about", "architecture", "weights", "trust")),
    *(f"{LENET}/{page}.html" for page in ("dead_filters", "design", "layers/index")),
    *(f"{LENET}/layers/{page}.html" for page in ("conv2", "relu-2", "line")),
    *(f"{LENET}/images/{page}.html" for page in ("index", "bag-00018")),
    *(f"sample/{page}.html" for page in ("index", "layers/features.0", "images/night-sky")),
    *("sample/images/chelsea.html", "sample/frequencies.html"),
    *(f"changes/{page}.html" for page in ("index", "layers", "images", "timeline", "about")),
    *("changes/layers/conv2.html", "changes/images/cat-0.html"),
)


@pytest.fixture(scope="session")
def sites(tmp_path_factory, folder, lenet_report):
    """A folder with all sites: `lenet`, `sample`, three small reports, and `changes` of these."""
    root = tmp_path_factory.mktemp("sites")
    shutil.copytree(folder, root / "sample")
    shutil.copytree(lenet_report, root / LENET)
    made = tmp_path_factory.mktemp("made")
    (made / "tiny.py").write_text(CODE)
    (made / "labels.txt").write_text("\n".join(LABELS))
    write_images(made / "images")
    import torch

    words = ["--arch", f"{made / 'tiny.py'}:Tiny", "--labels", made / "labels.txt", "-q"]
    words += ["--input-size", HEIGHT, WIDTH, "--mean", 0.5, "--std", 0.25, "--sections"]
    words += ["answers,overview,weights,activations,occlusion,gradcam,dead_filters"]
    states = checkpoints()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reportgen.pipeline.Press", NoPress)
        for name in "abc":
            torch.save(states[name], made / f"{name}.pth")
            given = [made / f"{name}.pth", made / "images", *words, "-o", root / name]
            assert left_with("build", *given) == 0
    assert left_with("compare", *(root / name for name in "abc"), "-o", root / "changes") == 0
    return root


@pytest.fixture(scope="session")
def address(sites):
    with served(sites) as where:
        yield where


@dataclass
class Tour:
    """Opens pages in contexts of their own and writes down everything that should not be."""

    browser: object
    address: str
    complaints: list[str]
    contexts: list[object] = field(default_factory=list)

    def open(self, path, **given):
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **given})
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(f"{path}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"{path}: {error}"))
        page.on("request", lambda request: self._asked(path, request.url))
        page.on("response", lambda answer: self._answered(path, answer))
        page.goto(self.address + path)
        return page

    def _asked(self, path, url):
        if not url.startswith((self.address, "data:")):
            self.complaints.append(f"{path} asks for {url}")

    def _answered(self, path, answer):
        if answer.status >= 400:
            self.complaints.append(f"{path}: {answer.url} is not there")


@pytest.fixture
def tour(browser, address):
    made = Tour(browser, address, [])
    yield made
    for context in made.contexts:
        context.close()
    assert made.complaints == []


def pages_of(sites: Path, *names: str) -> list[str]:
    found = [page for name in names for page in (sites / name).rglob("*.html")]
    return sorted(page.relative_to(sites).as_posix() for page in found)


def test_the_kinds_are_pages(sites):
    assert set(KINDS) <= set(pages_of(sites, LENET, "sample", "changes"))


@pytest.mark.parametrize("name", [LENET, "sample", "changes"])
def test_every_page_opens_under_a_folder_of_a_server(tour, sites, name):
    """Nothing is asked for elsewhere, nothing is missing, and every link leads to a file."""
    page = tour.open(f"{name}/index.html")
    paths = pages_of(sites, name)
    assert len(paths) >= 9
    for path in paths:
        page.goto(tour.address + path, wait_until="domcontentloaded")
        assert page.locator("h1").count() == 1
        links = page.evaluate(
            "[...document.querySelectorAll('[href], [src]')].map(e => "
            "new URL(e.getAttribute('href') ?? e.getAttribute('src'), document.baseURI).href)"
        )
        for link in links:
            where = unquote(urlsplit(link).path)
            assert link.startswith(tour.address), f"{path} leads to {link}"
            assert (sites / where[len(PREFIX) :]).is_file(), f"{path} leads to {link}"
    page.wait_for_load_state("networkidle")


def test_names_of_files_are_safe_on_every_disk_and_server(sites):
    """One spelling, also where case is folded; nothing that Windows or Jekyll would not take."""
    names = [
        path.relative_to(sites / name).as_posix()
        for name in (LENET, "sample", "changes")
        for path in (sites / name).rglob("*")
        if path.is_file() and path.name not in {".nojekyll", ".reportgen"}
    ]
    for name in (LENET, "sample", "changes"):
        own = [path.relative_to(sites / name).as_posix() for path in (sites / name).rglob("*")]
        assert len({path.casefold() for path in own}) == len(own)
        assert (sites / name / ".nojekyll").is_file()
    for name in names:
        for part in name.split("/"):
            assert re.fullmatch(r"[A-Za-z0-9][\w.-]*", part, re.ASCII), name
            stem = part.split(".")[0].lower()
            assert not re.fullmatch(r"con|prn|aux|nul|com\d|lpt\d", stem), name
            assert len(part) <= 120 and not part.endswith("."), name


@pytest.fixture(scope="module", params=KINDS)
def opened(request, browser, address):
    """A page of each kind, which the tests below look at one after another."""
    made = Tour(browser, address, [])
    page = made.open(request.param, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    yield page
    page.context.close()
    assert made.complaints == []


@pytest.fixture(scope="session")
def axe():
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(opened, axe, scheme):
    """All of axe-core's rules in light; in dark, those of colour, for nothing else differs."""
    opened.set_viewport_size({"width": 1280, "height": 900})
    opened.emulate_media(color_scheme=scheme, media="screen")
    opened.evaluate(axe)
    rules = {} if scheme == "light" else {"runOnly": ["cat.color"]}
    found = opened.evaluate("rules => axe.run(document, rules)", rules)
    assert found["passes"]
    assert [
        f"{one['id']}: {node['target']} {node['html'][:120]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ] == []


@pytest.mark.parametrize("width", [640, 320], ids=["zoomed-to-200", "narrow"])
def test_a_page_is_no_wider_than_the_screen(opened, width):
    """A phone of 320 px, and a screen of 1280 px at 200 %: only what scrolls by itself is wider."""
    opened.emulate_media(color_scheme="light", media="screen")
    opened.set_viewport_size({"width": width, "height": 450})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.locator("h1").is_visible()


def test_a_page_prints_in_light_on_one_width(opened):
    opened.set_viewport_size({"width": 718, "height": 1000})
    opened.emulate_media(media="print", color_scheme="dark")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 718
    ink = opened.evaluate("getComputedStyle(document.querySelector('h1')).color")
    assert max(int(part) for part in re.findall(r"\d+", ink)[:3]) < 90
    for switch in (".top nav", ".tools", ".tree", ".pager", ".controls", ".needs-js"):
        assert opened.locator(f"{switch}:visible").count() == 0, switch
    pdf = opened.pdf(format="A4")
    assert pdf.startswith(b"%PDF-") and len(pdf) > 10_000


HEADS = "[...document.querySelectorAll('h1, h2, h3')].filter(e => e.checkVisibility())"
HEADS += ".filter(e => !e.closest('.needs-js')).map(e => e.textContent.trim())"
"What is seen of headings; the panels of a chosen channel need scripts, and say nothing else."


def test_a_page_says_the_same_without_scripts(opened, tour):
    opened.emulate_media(color_scheme="light", media="screen")
    opened.set_viewport_size({"width": 1280, "height": 900})
    path = opened.url.removeprefix(tour.address)
    page = tour.open(path, java_script_enabled=False)
    assert set(opened.evaluate(HEADS)) <= set(page.evaluate(HEADS))
    assert page.locator(".needs-js:visible").count() == 0
    assert len(page.locator("main").inner_text()) > 100
