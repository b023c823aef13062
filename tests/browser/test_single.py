"""The report in one file, opened from a disk: every page as on the site, and no request."""

import re
from html import unescape
from pathlib import Path

import pytest

from reportgen.render.pages import pages
from reportgen.render.single import SingleFile
from tests.browser.test_site import KINDS
from tests.render.sample_report import every_file, sample_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def site():
    report = sample_report()
    return every_file(report, pages(report))


@pytest.fixture(scope="session")
def file(tmp_path_factory, site):
    single = SingleFile()
    for _ in single.watching(iter(site.items())):
        pass
    path = tmp_path_factory.mktemp("single") / "report.html"
    path.write_bytes(single.content())
    return path


@pytest.fixture
def visit(browser, file):
    """Opens a page of the file and fails on any complaint, and on any request but for the file."""
    contexts, complaints = [], []

    def opened(address="", *, width=1280, scripts=True):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{address}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{address}: {error}"))
        page.on("request", lambda request: asked(request.url))
        page.goto(f"file://{file}{address}")
        if scripts:
            until(page, "shown !== undefined")
        return page

    def asked(url):
        own = f"file://{file}"
        if not url.startswith(("data:", "blob:")) and url.split("?")[0].split("#")[0] != own:
            complaints.append(f"asks for {url}")

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def until(page, expression):
    """Asks again and again; the page's policy forbids Playwright to ask from inside."""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {expression}")


def where(page):
    """What follows the name of the file in the address."""
    return page.url.partition("report.html")[2]


def test_it_opens_on_the_overview_and_follows_links_and_back(visit):
    page = visit()
    title = page.locator("h1").inner_text()
    page.locator("nav a", has_text="Layers").first.click()
    page.wait_for_url("**?layers/index.html")
    assert page.locator("h1").inner_text() == "Layers"
    assert page.title().startswith("Layers")
    assert page.evaluate("document.activeElement.localName") == "h1"
    page.locator("main a[href='?layers/features.0.html']").first.click()
    page.wait_for_url("**?layers/features.0.html")
    page.go_back()
    until(page, "shown === 'layers/index.html'")
    page.go_back()
    until(page, "shown === 'index.html'")
    assert where(page) == ""
    assert page.locator("h1").inner_text() == title
    page.go_forward()
    until(page, "shown === 'layers/index.html'")


@pytest.mark.parametrize("path", KINDS)
def test_every_page_shows_its_words_and_pictures(visit, site, path):
    page = visit(f"?{path}")
    assert page.evaluate("shown") == path
    assert page.locator("h1").is_visible()
    page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    until(page, "[...document.images].every((image) => image.complete)")
    shown = "[...document.images].filter((image) => image.offsetParent)"
    assert page.evaluate(f"{shown}.filter((image) => !image.naturalWidth).length") == 0
    drawn = page.evaluate(
        "[...document.querySelectorAll('image')].map((node) => node.getAttribute('href'))"
    )
    assert all(address.startswith(("blob:", "data:")) for address in drawn)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    title = re.search(r"<h1[^>]*>(.*?)</h1>", site[path].decode())[1]
    assert page.locator("h1").inner_text() == unescape(re.sub(r"<[^>]*>", "", title))


def test_a_link_to_a_unit_opens_it(visit):
    page = visit("?layers/features.4.html#c=778&i=night-sky")
    assert page.locator("#channel").inner_text() == "778"
    assert page.locator(".plate:visible").get_attribute("data-image") == "night-sky"
    crop = page.locator("#unit .crop image").get_attribute("href")
    assert re.match(r"blob:.*#/img/features\.4-night-sky-[0-9a-f]{8}\.png$", crop)


def test_the_other_way_to_write_an_address_is_understood(visit):
    page = visit("#/layers/features.4.html#c=3&i=chelsea")
    assert where(page) == "?layers/features.4.html#c=3&i=chelsea"
    assert page.locator("#channel").inner_text() == "3"


def test_a_chosen_unit_is_in_the_address_and_belongs_to_its_page(visit):
    page = visit("?layers/features.0.html")
    page.locator(".plate:visible .tops a").nth(2).click()
    chosen = page.locator("#channel").inner_text()
    assert where(page).startswith(f"?layers/features.0.html#c={chosen}")
    page.keyboard.press("]")
    until(page, "shown === 'layers/features.1.html'")
    page.keyboard.press("[")
    until(page, "shown === 'layers/features.0.html'")
    # Keys were pressed once each: a page that was left does not listen any more.
    assert where(page) == "?layers/features.0.html"


def test_an_anchor_on_another_page_is_scrolled_to(visit):
    page = visit("?images/index.html")
    page.evaluate("go('?images/chelsea.html#occlusion')")
    until(page, "shown === 'images/chelsea.html'")
    top = "document.getElementById('occlusion').getBoundingClientRect().top"
    until(page, f"Math.abs({top}) < innerHeight / 2")
    assert page.evaluate("document.querySelector(':target')?.id") == "occlusion"
    fresh = visit("?images/chelsea.html#occlusion")
    until(fresh, f"Math.abs({top}) < innerHeight / 2")


def test_a_search_leads_to_a_unit_on_another_page(visit):
    page = visit()
    assert page.evaluate("window.searchIndex === undefined")
    page.keyboard.press("/")
    until(page, "window.searchIndex")
    page.keyboard.type("features.4 778")
    until(page, "document.querySelector('#search ol a')")
    page.keyboard.press("Enter")
    until(page, "shown === 'layers/features.4.html'")
    assert where(page) == "?layers/features.4.html#c=778"
    assert page.locator("#channel").inner_text() == "778"
    assert not page.locator("dialog[open]").count()


def test_a_picture_is_made_when_its_page_is_shown_and_once(visit):
    page = visit()
    path = page.evaluate("[...pictures.keys()].find((path) => path.includes('features.0-chelsea'))")
    has_it = f"addresses.has({path!r})"
    assert not page.evaluate(has_it)
    page.evaluate("go('?layers/features.0.html')")
    until(page, has_it)
    made = page.evaluate(f"addresses.get({path!r})")
    page.evaluate("go('?index.html')")
    until(page, "shown === 'index.html'")
    page.evaluate("go('?layers/features.0.html')")
    until(page, "shown === 'layers/features.0.html'")
    assert page.evaluate(f"addresses.get({path!r})") == made


def test_the_theme_stays_from_page_to_page(visit):
    page = visit()
    page.click("#theme")
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.evaluate("go('?about.html')")
    until(page, "shown === 'about.html'")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") != theme


def test_a_table_is_saved_as_on_the_site(visit, site, tmp_path):
    page = visit("?layers/features.4.html")
    with page.expect_download() as waiting:
        page.locator("#activations a", has_text="CSV").click()
    assert waiting.value.suggested_filename == "activations.features.4.statistics.csv"
    saved = tmp_path / "saved.csv"
    waiting.value.save_as(saved)
    assert saved.read_bytes() == site["data/activations.features.4.statistics.csv"]
    assert where(page) == "?layers/features.4.html"


def test_without_scripts_the_overview_is_read_with_its_pictures(visit, file):
    page = visit(scripts=False)
    assert page.locator("h1").is_visible()
    assert page.locator(".findings li").count() > 2
    photos = page.locator(".card .thumb img")
    for at in range(photos.count()):
        box = photos.nth(at).bounding_box()
        assert box["width"] > 50 and box["height"] > 50
    assert Path(file).stat().st_size < 10_000_000


def test_print_shows_the_page_that_is_open(visit):
    page = visit("?layers/features.0.html")
    page.emulate_media(media="print")
    assert page.locator("h1").inner_text() == "features.0"
    assert page.locator(".plate:visible").count() == 4
    assert len(page.pdf()) > 10_000
