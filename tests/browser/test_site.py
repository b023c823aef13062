import pytest

pytestmark = pytest.mark.browser

KINDS = (
    "index.html",
    "layers/index.html",
    "layers/features.0.html",
    "layers/features.4.html",
    "layers/classifier.html",
    "images/index.html",
    "images/chelsea.html",
    "images/night-sky.html",
    "architecture.html",
    "weights.html",
    "dead_filters.html",
    "frequencies.html",
    "about.html",
)


@pytest.mark.parametrize("path", KINDS)
def test_every_kind_of_page_opens_and_fits(visit, path):
    page = visit(path)
    assert page.locator("h1").is_visible()
    page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
    page.wait_for_load_state("networkidle")
    shown = "[...document.images].filter(image => image.offsetParent)"
    broken = page.evaluate(f"{shown}.filter(image => !image.naturalWidth).map(image => image.src)")
    assert broken == []
    for width in (1280, 400, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", KINDS)
def test_everything_can_be_read_without_scripts(visit, path):
    page = visit(path, scripts=False)
    assert page.locator("main").inner_text().strip()
    assert page.locator(".needs-js:visible").count() == 0


def test_without_scripts_each_image_has_its_maps(visit):
    page = visit("layers/features.0.html", scripts=False)
    assert page.locator(".plate .atlas:visible").count() == 2 + 2
    page.click(".without-js a >> nth=1")
    assert page.url.endswith("#i-night-sky")


def test_a_link_to_a_channel_opens_it(visit):
    page = visit("layers/features.4.html#c=778&i=night-sky")
    assert page.locator("#channel").inner_text() == "778"
    assert page.locator(".plate:visible").get_attribute("data-image") == "night-sky"
    assert page.locator("#choose-image").input_value() == "night-sky"
    # One number stands for an end that all maps share.
    low, high = page.evaluate(
        "(({low, high}) => [low, high].map((end) => Array.isArray(end) ? end[389] : end))"
        "(layerData.atlases['activations.image:night-sky'])"
    )
    shown = page.locator("#unit .facts dd").all_inner_texts()
    assert float(shown[0].replace("−", "-")) == pytest.approx(low, rel=1e-3)
    assert float(shown[1]) == pytest.approx(high, rel=1e-3)
    assert shown[-1] == f"{778 % 3} images"


def test_a_link_to_a_channel_of_the_table_shows_its_row(visit):
    page = visit("layers/features.4.html#c=3&i=chelsea")
    row = page.locator("tr[aria-current]").inner_text().split()
    shown = page.locator("#unit .facts dd").all_inner_texts()
    assert row[0] == "3"
    assert row[1] == shown[0]
    assert (row[-1], shown[-1]) == ("dead", "dead")


def test_a_channel_without_a_map_says_so(visit):
    page = visit("layers/features.4.html#c=777")
    assert "No map of it is kept: 1024 of 2048" in page.locator("#unit").inner_text()


def test_a_channel_with_a_card_links_to_it(visit):
    page = visit("layers/features.4.html#c=778")
    assert page.locator("#unit a").all_inner_texts() == ["Link to this channel"]
    page.evaluate("$('main').append(element('article', { id: 'unit-777' }))")
    for unit, is_there in ((777, True), (776, False)):
        page.evaluate(f"location.hash = '#c={unit}'")
        link = page.locator(f"#unit a[href='#unit-{unit}']")
        link.wait_for(state="attached" if is_there else "detached", timeout=2000)
        assert page.locator("#channel").inner_text() == str(unit)


def test_the_crop_is_the_tile_of_the_channel(visit):
    page = visit("layers/features.0.html#c=6&i=chelsea")
    columns = int(
        page.locator("[data-atlas='activations.image:chelsea']").get_attribute("data-columns")
    )
    x, y = 6 % columns * 33, 6 // columns * 25
    assert page.locator("#unit .crop").get_attribute("viewBox") == f"{x} {y} 32 24"


@pytest.mark.parametrize("width", [400, 700, 1280])
def test_the_crop_shows_nothing_of_the_tiles_beside(visit, width):
    """Unit 3 is dead: its crop is one colour, whatever its neighbours show."""
    page = visit("layers/features.1.html#c=3&i=chelsea", width=width)
    drawn = drawn_levels(page, "#unit .crop")[2:-2, 2:-2].reshape(-1, 3)
    assert len({tuple(colour) for colour in drawn.tolist()}) == 1


def test_arrow_keys_walk_over_the_channels(visit):
    page = visit("layers/features.0.html#c=0&i=chelsea")
    atlas = page.locator("[data-atlas='activations.image:chelsea']")
    columns = int(atlas.get_attribute("data-columns"))
    atlas.focus()
    for key, channel in (("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowLeft", columns)):
        page.keyboard.press(key)
        assert page.locator("#channel").inner_text() == str(channel)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#channel").inner_text() == "0"
    page.keyboard.press("End")
    page.wait_for_url("**#c=11&i=chelsea")
    assert atlas.get_attribute("aria-valuenow") == "11"


def test_a_click_chooses_the_channel_under_it(visit):
    page = visit("layers/features.0.html")
    atlas = page.locator("[data-atlas='activations.image:chelsea']")
    box = atlas.bounding_box()
    columns = int(atlas.get_attribute("data-columns"))
    rows = -(-12 // columns)
    # Near the far corner of the tile in row 1, column 2.
    atlas.click(position={"x": box["width"] / columns * 2.9, "y": box["height"] / rows * 1.9})
    assert page.locator("#channel").inner_text() == str(columns + 2)


def drawn_levels(page, selector):
    """Grey of the middle of each tile as the browser draws it, with the grey colour map."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    picture = Image.open(BytesIO(page.locator(selector).screenshot()))
    return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("centred", [False, True])
def test_the_shared_scale_draws_the_true_values(visit, report_maps, centred):
    """Level by level against the values themselves, drawn on one scale by numpy."""
    import numpy as np

    from reportgen.figures.colormaps import COLORMAPS

    atlas, low, high = report_maps
    colour = "diverging" if centred else "grey"
    page = visit("layers/features.0.html#i-chelsea", width=1600)
    page.click(f"label:has([value={colour}])")
    page.click("label:has([value=shared])")
    page.evaluate("document.querySelectorAll('.cursor').forEach(c => c.style.display = 'none')")
    drawn = drawn_levels(page, "[data-atlas='activations.image:chelsea'] .tinted")
    zoom = drawn.shape[1] // atlas.pixels.width
    drawn = drawn[zoom // 2 :: zoom, zoom // 2 :: zoom]
    levels = atlas.pixels.values().astype(float)
    bottom, top = (-max(-low, high), max(-low, high)) if centred else (low, high)
    palette = COLORMAPS[colour].palette().astype(int)
    for tile in range(atlas.count):
        y, x = (tile // atlas.columns) * 25, (tile % atlas.columns) * 33
        span = float(atlas.high[tile] - atlas.low[tile])
        values = atlas.low[tile] + levels[y : y + 24, x : x + 32] / 254 * span
        wanted = 254 * (values - bottom) / (top - bottom)
        shown = drawn[y : y + 24, x : x + 32]
        if centred:
            nearest = palette[np.rint(wanted).astype(int)]
            assert np.abs(shown - nearest).max() <= 10  # two levels on the steepest part of the map
        else:
            assert np.abs(shown[..., 0] - wanted).max() <= 2.5


@pytest.fixture(scope="module")
def report_maps():
    """The atlas of the first layer for the first image, and the range over all images."""
    from tests.render.sample_report import sample_report

    blocks = sample_report().layers[0].panels["activations"].blocks
    atlases = [blocks["image:chelsea"], blocks["image:night-sky"]]
    low = min(float(atlas.low.min()) for atlas in atlases)
    return atlases[0], low, max(float(atlas.high.max()) for atlas in atlases)


def signed(text):
    return float(text.replace("−", "-"))


def column_texts(page, table, column):
    return page.locator(f"{table} tbody tr > :nth-child({column})").all_inner_texts()


def test_a_click_on_a_head_sorts_by_number(visit):
    page = visit("layers/features.0.html")
    table = "#activations table"
    before = column_texts(page, table, 2)
    head = page.locator(f"{table} thead th >> nth=1")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column_texts(page, table, 2) == sorted(before, key=signed, reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column_texts(page, table, 2) == sorted(before, key=signed)


def test_the_theme_is_switched_and_remembered(visit, folder):
    page = visit("index.html", scheme="light")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.click("#theme")
    dark = page.evaluate(paper)
    assert dark != "rgb(255, 255, 255)"
    page.goto(f"file://{folder}/about.html")
    assert page.evaluate(paper) == dark
    assert visit("index.html", scheme="dark").evaluate(paper) == dark


def test_brackets_turn_the_page(visit):
    page = visit("layers/features.1.html")
    page.keyboard.press("]")
    page.wait_for_url("**/layers/features.2.html")
    page.keyboard.press("[")
    page.wait_for_url("**/layers/features.1.html")


def test_probability_and_logit_are_switched(visit):
    page = visit("images/chelsea.html")
    assert page.locator(".view:visible").count() == 1
    assert "The probability of" in page.locator(".view:visible").inner_text()
    page.click("label[for=score-logit]")
    assert "The logit of" in page.locator(".view:visible").inner_text()


def test_kernels_name_their_filter_and_channel(visit):
    page = visit("layers/features.0.html")
    atlas = page.locator("[data-atlas='kernels.channels']")
    atlas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert "Filter 1, channel 1" in page.locator("#kernels").inner_text()


def test_kernels_of_one_channel_stand_several_in_a_row(visit, lenet_report):
    page = visit("layers/conv1.html", site=lenet_report)
    atlas = page.locator("[data-atlas='kernels.channels']")
    columns = int(atlas.get_attribute("data-columns"))
    assert columns > 1
    atlas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert f"Filter {columns + 1}, channel 0" in page.locator("#kernels").inner_text()


def test_print_shows_every_image_in_light(visit):
    page = visit("layers/features.0.html", scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator(".plate:visible").count() == 2 + 2
    ink = page.evaluate("getComputedStyle(document.documentElement).color")
    assert max(int(part) for part in ink.strip("rgb()").split(",")) < 80
