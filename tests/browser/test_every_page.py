"""Every kind of page of a real report, of the made-up one and of a comparison, in Chromium.

The sites lie side by side under `/some/repo/` of a server, as GitHub Pages would have them.
"""

import re
import shutil
from dataclasses import dataclass
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
    *(f"sample/{page}.html" for page in ("index", "layers/features.4", "images/night-sky")),
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

    def open(self, path, **given):
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **given})
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
    for context in browser.contexts:
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
        page.goto(tour.address + path)
        assert page.locator("h1").count() == 1
        page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
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


@pytest.fixture(scope="session")
def axe():
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", KINDS)
def test_axe_finds_nothing(tour, axe, path, scheme):
    """All of axe-core's rules in light; in dark, those of colour, for nothing else differs."""
    page = tour.open(path, color_scheme=scheme, reduced_motion="reduce")
    page.evaluate(axe)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    rules = {} if scheme == "light" else {"runOnly": ["cat.color"]}
    found = page.evaluate("rules => axe.run(document, rules)", rules)
    assert found["passes"]
    assert [
        f"{one['id']}: {node['target']} {node['html'][:120]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ] == []


@pytest.mark.parametrize("path", KINDS)
def test_a_page_fits_a_narrow_screen_and_doubled_letters(tour, path):
    """320 px, and 1280 px at 200 %: nothing but what scrolls by itself is wider than the screen."""
    page = tour.open(path, viewport={"width": 320, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    zoomed = tour.open(path, viewport={"width": 640, "height": 450}, device_scale_factor=2)
    assert zoomed.evaluate("document.documentElement.scrollWidth") <= 640
    assert zoomed.locator("h1").is_visible()


HEADS = "[...document.querySelectorAll('h1, h2, h3')].filter(e => e.checkVisibility())"
HEADS += ".map(e => e.textContent.trim())"


@pytest.mark.parametrize("path", KINDS)
def test_a_page_says_the_same_without_scripts(tour, path):
    with_scripts = tour.open(path).evaluate(HEADS)
    page = tour.open(path, java_script_enabled=False)
    without = page.evaluate(HEADS)
    assert set(with_scripts) <= set(without)
    assert page.locator(".needs-js:visible").count() == 0
    assert len(page.locator("main").inner_text()) > 200


@pytest.mark.parametrize("path", KINDS)
def test_a_page_prints_in_light_on_one_width(tour, path):
    page = tour.open(path, color_scheme="dark", viewport={"width": 718, "height": 1000})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    ink = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
    assert max(int(part) for part in re.findall(r"\d+", ink)[:3]) < 90
    assert page.locator("nav:visible, button:visible, input:visible").count() == 0
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF-") and pdf.count(b"/Type /Page\n") >= 1
