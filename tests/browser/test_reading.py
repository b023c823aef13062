"""Every reader: print, a narrow screen, twice the size, the keyboard alone, no flash of light."""

import pytest

from tests.browser.conftest import until
from tests.browser.test_site import KINDS

pytestmark = pytest.mark.browser

PAPER = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.mark.parametrize("path", KINDS)
def test_at_twice_the_size_nothing_is_lost(browser, folder, path):
    """200 % zoom of a window of 1280 pixels."""
    context = browser.new_context(
        viewport={"width": 640, "height": 450}, device_scale_factor=2, offline=True
    )
    page = context.new_page()
    page.goto(f"file://{folder}/{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    cut = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, main p, .top a, .tools button')]"
        ".filter(item => item.checkVisibility() && !item.closest('.hush, .table, .top nav'))"
        ".filter(item => { const box = item.getBoundingClientRect();"
        "  return box.width && (box.left < -1 || box.right > 641); })"
        ".map(item => item.outerHTML.slice(0, 80))"
    )
    assert cut == []
    context.close()


@pytest.mark.parametrize("path", ["index.html", "layers/features.0.html", "images/chelsea.html"])
def test_buttons_of_the_frame_fit_a_narrow_screen(visit, path):
    page = visit(path, width=320)
    for name in ("search", "help"):
        page.click(f"[data-opens={name}]")
        box = page.locator(f"#{name}").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
        close = page.locator(f"#{name} form button")
        assert close.is_visible()
        close.click()


def test_the_order_of_the_focus_is_that_of_the_page(visit):
    """What the tabulator reaches first stands first, on a wide and on a narrow screen."""
    for width in (1280, 320):
        page = visit("layers/features.0.html", width=width)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        parts = page.evaluate(
            "['header.top', '.tree', 'main', 'footer'].map(name => {"
            "  const box = document.querySelector(name).getBoundingClientRect();"
            "  return [box.top, box.left]; })"
        )
        assert parts == sorted(
            parts, key=lambda part: (part[0] > 80, part[0] if width < 900 else 0)
        )
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_each_part_of_the_page_is_a_landmark_with_a_name(visit):
    page = visit("layers/features.0.html")
    names = page.locator("nav").evaluate_all(
        "found => found.map(nav => nav.ariaLabel || document.getElementById("
        "nav.getAttribute('aria-labelledby')).textContent)"
    )
    assert names == ["Report", "Layers", "Where this page stands", "Neighbouring pages"]


def test_no_other_theme_flashes(browser, folder):
    """The colour of every frame from the first on, with dark chosen where the system is light."""
    context = browser.new_context(color_scheme="light", offline=True)
    page = context.new_page()
    page.goto(f"file://{folder}/index.html")
    page.keyboard.press("t")
    dark = page.evaluate(PAPER)
    page.add_init_script(
        "window.seen = new Set(); (function look() {"
        f" if (document.body) window.seen.add({PAPER}); requestAnimationFrame(look); }})()"
    )
    page.goto(f"file://{folder}/layers/features.4.html")
    until(page, "window.seen.size && document.readyState === 'complete'")
    assert page.evaluate("[...window.seen]") == [dark]
    assert dark != "rgb(255, 255, 255)"
    context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_printed_page_is_light_and_whole(visit, scripts):
    page = visit("index.html", scheme="dark", scripts=scripts)
    if scripts:
        page.keyboard.press("t")
        page.keyboard.press("t")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate(PAPER) == "rgb(255, 255, 255)"
    for hidden in (".top nav", ".tools", ".pager", "[data-copy]"):
        assert page.locator(f"{hidden}:visible").count() == 0
    # A closed part is opened by the style sheet.
    folded = page.locator("details dd").first
    assert folded.is_visible()
    assert folded.bounding_box()["height"] > 5


def test_nothing_moves_for_who_wants_no_motion(browser, folder):
    for motion, wanted in (("reduce", "auto"), ("no-preference", "smooth")):
        context = browser.new_context(reduced_motion=motion, offline=True)
        page = context.new_page()
        page.goto(f"file://{folder}/layers/features.0.html")
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == wanted
        moving = "[...document.querySelectorAll('*')].filter(item => item.getAnimations().length)"
        assert page.evaluate(f"{moving}.length") == 0
        context.close()
