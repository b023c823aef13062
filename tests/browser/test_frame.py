"""The frame of the site: keys, search, filters, what the address holds, and where Back leads."""

import re

import pytest

from tests.browser.conftest import until
from tests.render.sample_report import SLUGS, sample_report

pytestmark = pytest.mark.browser


def focused(page):
    return page.evaluate("document.activeElement.textContent.trim()")


def ask(page, words):
    """Opens the search, types, and gives what is found as (text, address)."""
    page.keyboard.press("/")
    page.fill("#search input", "")
    until(page, "window.searchIndex")
    page.keyboard.type(words)
    links = page.locator("#search ol a")
    texts = [text.split("\n")[0] for text in links.all_inner_texts()]
    return list(zip(texts, [link.get_attribute("href") for link in links.all()], strict=True))


def test_question_mark_opens_the_keys_and_escape_gives_the_focus_back(visit):
    page = visit("index.html")
    page.keyboard.press("j")
    here = focused(page)
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    assert page.evaluate("document.activeElement.closest('#help') !== null")
    for _ in range(9):  # the focus stays inside, or on the browser itself
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('main, header, footer')")
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    assert focused(page) == here


def test_the_panel_of_keys_can_be_closed_by_its_button(visit):
    page = visit("about.html")
    page.click("[data-opens=help]")
    page.click("#help form button")
    assert page.locator("#help").is_hidden()


def test_j_and_k_walk_over_findings_then_images_and_enter_opens(visit):
    page = visit("index.html")
    wanted = page.locator(".findings a, .card h3 a").all_inner_texts()
    assert len(wanted) == 4 + 2
    for text in wanted:
        page.keyboard.press("j")
        assert focused(page) == text.strip()
    page.keyboard.press("j")
    assert focused(page) == wanted[-1].strip()  # the list ends
    for _ in wanted[1:]:
        page.keyboard.press("k")
    assert focused(page) == wanted[0]
    page.keyboard.press("Enter")
    page.wait_for_url("**/layers/features.1.html#c=3")
    assert page.locator("#channel").inner_text() == "3"


def test_j_walks_over_layers_images_and_rows(visit):
    for path, first in (
        ("layers/index.html", "features.0"),
        ("images/index.html", "</code>"),
        ("architecture.html", "features.0"),
    ):
        page = visit(path)
        page.keyboard.press("j")
        assert focused(page).startswith(first)


def test_on_the_page_of_a_layer_j_walks_over_the_tree_from_here(visit):
    page = visit("layers/features.1.html")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "features.0.html"
    for slug in SLUGS[1:3]:
        page.keyboard.press("j")
        here = page.evaluate("document.activeElement.getAttribute('href')")
        assert here == f"{slug}.html"


def test_t_switches_the_theme(visit):
    page = visit("about.html")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_keys_do_nothing_while_typing_or_with_a_modifier(visit, folder):
    page = visit("layers/features.1.html")
    page.locator(".tree input").focus()
    page.keyboard.type("jkt/?[]")
    assert page.locator(".tree input").input_value() == "jkt/?[]"
    assert page.evaluate("document.documentElement.dataset.theme") is None
    assert page.locator("dialog:visible").count() == 0
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")
    page.keyboard.press("Control+t")
    page.keyboard.press("Alt+t")
    assert page.evaluate("document.documentElement.dataset.theme") is None
    page.keyboard.press("/")
    page.keyboard.type("t]")
    assert page.locator("#search input").input_value() == "t]"
    assert page.url == f"file://{folder}/layers/features.1.html"


def test_brackets_lead_through_every_page_of_the_menu_and_back(visit):
    page = visit("index.html")
    ways = page.locator(".top nav a").all()
    hrefs = [way.evaluate("link => link.href") for way in ways]
    assert len(hrefs) == 8
    for href in hrefs[1:]:
        page.keyboard.press("]")
        page.wait_for_url(href)
    for href in hrefs[-2::-1]:
        page.keyboard.press("[")
        page.wait_for_url(href)


def test_the_index_is_loaded_only_when_the_search_is_opened(visit):
    page = visit("layers/features.1.html")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.keyboard.press("t")
    assert not [url for url in asked if "search.js" in url]
    ask(page, "relu")
    assert len([url for url in asked if "search.js" in url]) == 1
    page.keyboard.press("Escape")
    ask(page, "relu")
    assert len([url for url in asked if "search.js" in url]) == 1


def test_a_layer_and_a_number_lead_to_the_unit(visit):
    page = visit("index.html")
    found = ask(page, "features.4 778")
    assert found[0] == ("features.4, unit 778", "layers/features.4.html#c=778")
    page.keyboard.press("Enter")
    page.wait_for_url("**/layers/features.4.html#c=778")
    assert page.locator("#channel").inner_text() == "778"
    # The same from a page in a folder, to the page itself: it closes and shows the unit.
    found = ask(page, "features.4 12")
    assert found[0][1] == "../layers/features.4.html#c=12"
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#channel').textContent === '12'")
    assert page.locator("#search").is_hidden()


def test_a_number_that_no_unit_has_leads_nowhere(visit):
    page = visit("index.html")
    assert ("features.0, unit 11", "layers/features.0.html#c=11") in ask(page, "features.0 11")
    assert not [text for text, _ in ask(page, "features.0 12") if "unit" in text]
    assert ask(page, "features.0 999") == []
    assert page.locator("#search output").inner_text() == "0 found"


def test_a_number_is_a_whole_number(visit):
    page = visit("index.html")
    titles = [layer.title for layer in sample_report().layers]
    wanted = [title for title in titles if title.startswith("features.3.")]
    assert len(wanted) == 2
    assert [text for text, _ in ask(page, "features 3")[:2]] == wanted


@pytest.mark.parametrize(
    ("words", "text", "href"),
    [
        (
            "squeeze relu",
            "features.3.squeeze_activation#2",
            "layers/features.3.squeeze_activation.html",
        ),
        ("night sky.*", None, None),
        ("night sky more", 'night "sky" & more.png', "images/night-sky.html"),
        ("features.1 dead", "features.1, unit 3", "layers/features.1.html#c=3"),
        ("features.0 kernels", "features.0: Kernels", "layers/features.0.html#kernels"),
        ("confident", "night sky is wrong.", "images/night-sky.html#occlusion"),
        ("glossary", "Glossary", "about.html#glossary"),
        ("dead filters", "Dead filters", "dead_filters.html"),
        ("classifier.weight", "classifier.weight", "weights.html#classifier.weight"),
    ],
)
def test_what_is_asked_is_among_what_is_found(visit, words, text, href):
    found = ask(visit("index.html"), words)
    assert found == [] if text is None else (text, href) in found


def test_classes_lead_to_the_images_that_have_them(visit):
    image = sample_report().images[0]
    label = image.predictions[0].label
    page = visit("index.html")
    found = ask(page, label.split()[0].lower())
    assert (label, "images/chelsea.html#answers") in found


def test_arrow_keys_choose_among_what_is_found(visit):
    page = visit("index.html")
    texts = [text for text, _ in ask(page, "features")]
    for text in texts[:2]:
        page.keyboard.press("ArrowDown")
        assert focused(page).startswith(text)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.type") == "search"


def test_long_lists_are_cut_and_say_so(visit):
    page = visit("index.html")
    assert len(ask(page, "e")) == 40
    assert re.search(
        r"^\d+ found, the first 40 shown$", page.locator("#search output").inner_text()
    )


def test_the_tree_is_filtered_by_name_and_type(visit):
    page = visit("layers/features.0.html")
    page.locator(".tree input").fill("conv")
    assert page.locator(".tree li a:visible").all_inner_texts() == ["0", "3.squeeze"]


def test_rows_of_a_long_table_are_filtered_and_counted(visit):
    page = visit("layers/features.4.html")
    rows = page.locator("#activations tbody tr:visible")
    assert rows.count() == 16
    field = page.get_by_role("searchbox", name=re.compile("^Filter: Each unit"))
    field.fill("dead")
    assert rows.count() == 1
    assert rows.locator("th").inner_text() == "3"
    assert page.locator("#activations output:has-text('1 of 16')").is_visible()
    field.fill("")
    assert rows.count() == 16
    # A short table needs none.
    assert page.locator("#patches .controls [type=search]").count() == 1
    assert visit("architecture.html").locator("main [type=search]").count() == 0


def test_a_filtered_table_is_still_sorted_as_a_whole(visit):
    page = visit("layers/features.4.html")
    page.get_by_role("searchbox", name=re.compile("^Filter: Each unit")).fill("dead")
    page.locator("#activations thead button").first.click()
    assert page.locator("#activations tbody tr:visible").count() == 1
    units = page.locator("#activations tbody th").all_text_contents()
    assert units == [str(unit) for unit in range(15, -1, -1)]


def test_every_table_has_a_csv_beside_it(visit):
    for path in (
        "layers/features.4.html",
        "architecture.html",
        "images/index.html",
        "dead_filters.html",
    ):
        page = visit(path)
        tables = page.locator("main table")
        assert tables.count()
        for table in tables.all():
            assert table.locator("caption a[download][href$='.csv']").count() == 1


def channel(page, unit):
    until(page, f"document.querySelector('#channel').textContent === '{unit}'")


def test_back_undoes_each_choice(visit):
    page = visit("layers/features.0.html")
    first = page.locator("#channel").inner_text()
    chosen = []
    for at in (2, 3):
        link = page.locator("#viewer .plate:visible .tops a").nth(at)
        link.click()
        chosen.append(page.locator("#channel").inner_text())
    assert len({first, *chosen}) == 3
    page.go_back()
    channel(page, chosen[0])
    assert page.url.endswith(f"#c={chosen[0]}&i=chelsea")
    page.go_back()
    channel(page, first)
    page.go_forward()
    channel(page, chosen[0])


def test_a_walk_by_arrow_keys_is_one_step_back(visit):
    page = visit("layers/features.0.html#c=0&i=chelsea")
    before = page.evaluate("history.length")
    page.locator("[data-atlas='activations.image:chelsea']").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    channel(page, 6)
    assert page.evaluate("history.length") == before + 1
    page.locator("#viewer .plate:visible .tops a").first.click()
    assert page.evaluate("history.length") == before + 2
    page.go_back()
    channel(page, 6)
    page.go_back()
    channel(page, 0)


def test_another_image_is_undone_by_back(visit):
    page = visit("layers/features.0.html#c=5&i=chelsea")
    page.select_option("#choose-image", "night-sky")
    assert page.url.endswith("#c=5&i=night-sky")
    page.go_back()
    until(page, "document.querySelector('#choose-image').value === 'chelsea'")
    assert page.locator("#viewer .plate:visible").get_attribute("data-image") == "chelsea"


def test_choosing_the_same_again_leaves_no_step(visit):
    page = visit("layers/features.0.html")
    link = page.locator("#viewer .plate:visible .tops a").nth(1)
    link.click()
    steps = page.evaluate("history.length")
    link.click()
    assert page.evaluate("history.length") == steps


def test_an_address_restores_layer_unit_image_and_section(visit, folder):
    page = visit("index.html")
    page.goto(f"file://{folder}/layers/features.4.html#c=14&i=night-sky")
    channel(page, 14)
    assert page.locator("#choose-image").input_value() == "night-sky"
    page.reload()
    channel(page, 14)
    page.goto(f"file://{folder}/images/chelsea.html#occlusion")
    until(
        page,
        "Math.abs(document.querySelector('#occlusion').getBoundingClientRect().top) < 100",
    )
    page.go_back()
    channel(page, 14)


def test_breadcrumbs_lead_up(visit):
    page = visit("layers/features.3.squeeze.html")
    crumb = page.locator("nav.crumb")
    assert crumb.inner_text() == "Overview › Layers › features.3.squeeze (4 of 7)"
    crumb.get_by_role("link", name="Layers").click()
    page.wait_for_url("**/layers/index.html")
    page.locator("nav.crumb a").first.click()
    page.wait_for_url("**/index.html")
    assert page.locator("nav.crumb").count() == 0
