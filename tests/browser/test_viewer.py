"""A closer look: numbers under the pointer, keys, touch, maps over photos, and the address."""

import re

import numpy as np
import pytest

from tests.render.sample_report import sample_report

pytestmark = pytest.mark.browser

OUTPUT = "#closer output"


@pytest.fixture(scope="module")
def report():
    return sample_report()


def told(page, x, y):
    """The words for a pixel, and its number with what it may be off by."""
    start = f"x {x}, y {y}: "
    page.wait_for_function(
        "start => { const text = document.querySelector('#closer output').textContent;"
        " return text.startsWith(start) && text.length > start.length; }",
        arg=start,
    )
    words = page.locator(OUTPUT).inner_text().removeprefix(start.rstrip()).strip()
    numbers = [float(n) for n in re.findall(r"-?\d[\d.]*", words.replace("−", "-"))]
    return words, numbers


def walk(page, x, y):
    """By keys from wherever the cursor is; the corner stops it."""
    for key, times in (("ArrowLeft", 70), ("ArrowUp", 70), ("ArrowRight", x), ("ArrowDown", y)):
        page.evaluate(
            "([key, times]) => { for (let n = 0; n < times; n++) document.querySelector('.stage')"
            ".dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); }",
            [key, times],
        )


def hover(page, x, y, width, height, leaf=".sheet :is(img, svg) >> nth=-1"):
    box = page.locator(leaf).bounding_box()
    page.mouse.move(
        box["x"] + (x + 0.5) * box["width"] / width, box["y"] + (y + 0.5) * box["height"] / height
    )


def test_the_number_of_a_feature_map_is_that_of_its_level(visit, report):
    block = report.layers[0].panels["activations"].blocks["image:chelsea"]
    page = visit("layers/features.0.html#c=6&i=chelsea&m=unit")
    top, left = 6 // block.columns * 25, 6 % block.columns * 33
    levels = block.pixels.values()[top : top + 24, left : left + 32]
    low, high = float(block.low[6]), float(block.high[6])
    for x, y in ((0, 0), (31, 23), (5, 17)):
        hover(page, x, y, 32, 24)
        words, (value, error) = told(page, x, y)
        assert "±" in words
        assert abs(value - (low + levels[y, x] / 254 * (high - low))) <= error
        assert (high - low) / 508 <= error < (high - low) / 100


def test_the_same_by_keys_and_to_the_next_channel(visit, report):
    block = report.layers[0].panels["activations"].blocks["image:chelsea"]
    page = visit("layers/features.0.html#c=6&i=chelsea&m=unit")
    walk(page, 7, 9)
    first = told(page, 7, 9)[1][0]
    page.keyboard.press("]")
    page.wait_for_function("location.hash.includes('c=7')")
    name = page.locator("#closer h2").inner_text()
    assert name.startswith("Channel 7 of ") and "strongest" not in name
    page.wait_for_function(f"!document.querySelector('{OUTPUT}').textContent.includes('{first}')")
    level = block.pixels.values()[7 // block.columns * 25 + 9, 7 % block.columns * 33 + 7]
    _, (value, error) = told(page, 7, 9)
    low, high = float(block.low[7]), float(block.high[7])
    assert abs(value - (low + level / 254 * (high - low))) <= error
    page.keyboard.press("Escape")
    page.wait_for_url("**#c=7&i=chelsea")
    assert page.locator("#channel").inner_text() == "7"


def test_an_occlusion_map_tells_the_mean_of_the_windows_over_a_pixel(visit, report):
    values = report.images[0].panels["occlusion"].blocks["probability"].values
    page = visit("images/chelsea.html#m=chelsea-occlusion-probability")
    for x, y in ((3, 2), (40, 20), (63, 47)):
        hover(page, x, y, 64, 48)
        rows = [i for i in range(5) if 8 * i <= y < 8 * i + 16]
        columns = [j for j in range(7) if 8 * j <= x < 8 * j + 16]
        over = [float(values[i, j]) for i in rows for j in columns]
        _, (value,) = told(page, x, y)
        assert value == pytest.approx(np.mean(over), rel=1e-3, abs=1e-6)


def test_the_grid_beside_it_tells_single_positions(visit, report):
    values = report.images[0].panels["occlusion"].blocks["probability"].values
    page = visit("images/chelsea.html#m=chelsea-occlusion-probability")
    page.keyboard.press("]")
    page.wait_for_function("location.hash.includes('grid')")
    hover(page, 33, 17, 56, 40)
    assert told(page, 33, 17)[1] == [pytest.approx(float(values[2, 4]), rel=1e-3)]


def test_a_class_activation_map_tells_the_nearest_cell(visit, report):
    values = report.images[0].panels["gradcam"].blocks["gradcam"].values
    page = visit("images/chelsea.html#m=chelsea-gradcam-gradcam")
    row = int(np.abs(np.linspace(3, 44, 5) - 22).argmin())
    column = int(np.abs(np.linspace(3, 60, 7) - 41).argmin())
    hover(page, 41, 22, 64, 48)
    words, (value, *_) = told(page, 41, 22)
    assert value == pytest.approx(float(values[row, column]), rel=1e-3)
    assert "5 × 7 cells" in words


def test_a_map_of_gradients_tells_its_numbers(visit, report):
    panel = report.images[0].panels["gradients"]
    levels = panel.blocks["integrated_gradients"].pixels.values()
    limit = panel.facts["limit"][2]
    page = visit("images/chelsea.html#m=night-integrated_gradients")
    hover(page, 12, 34, 64, 48)
    _, (value, error) = told(page, 12, 34)
    assert abs(value - (levels[34, 12] / 127 - 1) * limit) <= error < limit / 20


def test_the_units_of_a_vector_tell_their_values(visit, report):
    block = report.layers[6].panels["activations"].blocks["image:chelsea"]
    page = visit("layers/classifier.html")
    page.locator(".current .strip button, .plate:visible .strip button").first.click()
    hover(page, 4, 0, 10, 1)
    assert told(page, 4, 0)[1] == [pytest.approx(float(block.values[4]), rel=1e-3)]


def test_kernels_tell_their_weights(visit, report):
    block = report.layers[0].panels["kernels"].blocks["channels"]
    page = visit("layers/features.0.html")
    page.locator("[data-atlas='kernels.channels']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    hover(page, 4, 2, 5, 3)
    level = block.pixels.values()[2, 6 + 4]
    _, (value, error) = told(page, 4, 2)
    limit = float(block.high[0])
    assert abs(value - (level / 127 - 1) * limit) <= error < limit / 50


def test_a_weak_map_says_that_its_numbers_are_not_kept(visit, folder):
    page = visit("layers/features.0.html#c=6&i=chelsea&m=unit")
    told(page, 0, 0)
    page.evaluate("Object.values(pictureValues).forEach(one => { one.tiles = [1, 2]; })")
    page.keyboard.press("]")
    page.wait_for_function(f"document.querySelector('{OUTPUT}').textContent.includes('no number')")
    assert "only those of the 2 strongest" in page.locator(OUTPUT).inner_text()


def test_zoom_goes_to_single_pixels_and_a_drag_moves_the_picture(visit):
    page = visit("images/chelsea.html#m=chelsea-seen")
    for _ in range(12):
        page.keyboard.press("+")
    sheet = page.locator(".sheet")
    assert sheet.bounding_box()["width"] == pytest.approx(64 * 64, abs=1)
    rendering = "getComputedStyle(document.querySelector('.sheet img')).imageRendering"
    assert page.evaluate(rendering) == "pixelated"
    before = sheet.bounding_box()
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 230, steps=4)
    page.mouse.up()
    after = sheet.bounding_box()
    moved = (after["x"] - before["x"], after["y"] - before["y"])
    assert moved == (pytest.approx(-120, abs=2), pytest.approx(-70, abs=2)) or min(moved) < -60
    for _ in range(12):
        page.keyboard.press("-")
    assert sheet.bounding_box()["width"] <= box["width"]


def test_keys_keep_the_pixel_in_view(visit):
    page = visit("images/chelsea.html#m=chelsea-seen")
    for _ in range(12):
        page.keyboard.press("+")
    walk(page, 60, 40)
    told(page, 60, 40)
    cursor, stage = (page.locator(name).bounding_box() for name in (".cursor >> nth=0", ".stage"))
    assert stage["x"] <= cursor["x"] + 1
    assert cursor["x"] + cursor["width"] <= stage["x"] + stage["width"] + 1


def test_focus_goes_in_and_comes_back(visit):
    page = visit("images/chelsea.html")
    opener = page.locator("#gradcam button:has(.over)").first
    opener.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.className") == "stage"
    assert "m=chelsea-gradcam-gradcam" in page.url
    page.keyboard.press("Escape")
    assert opener.evaluate("node => node === document.activeElement")
    page.wait_for_function("!location.hash.includes('m=')")


def test_focus_comes_back_to_the_atlas(visit):
    page = visit("layers/features.0.html#c=2&i=chelsea")
    page.locator("[data-atlas='activations.image:chelsea']").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("]")
    page.keyboard.press("x")
    assert page.evaluate("document.activeElement.dataset.atlas") == "activations.image:chelsea"


def test_keys_of_the_page_rest_while_it_is_open(visit):
    page = visit("images/chelsea.html#m=chelsea-seen")
    page.keyboard.press("]")
    page.wait_for_function("location.hash.includes('m=chelsea-file')")
    assert "images/chelsea.html" in page.url


def test_back_closes_it_and_forward_opens_it(visit):
    page = visit("images/chelsea.html")
    page.locator("#gradcam button:has(.over)").first.click()
    assert page.locator("#closer").is_visible()
    page.go_back()
    page.wait_for_function("!document.querySelector('#closer').open")
    page.go_forward()
    page.wait_for_function("document.querySelector('#closer').open")


def test_back_goes_to_the_channel_before(visit):
    page = visit("layers/features.0.html#c=2&i=chelsea")
    page.locator(".current .tops a").first.click()
    assert page.locator("#channel").inner_text() != "2"
    page.go_back()
    page.wait_for_function("document.querySelector('#channel').textContent === '2'")


def look(page):
    return page.evaluate(
        "() => { const [photo, map] = document.querySelectorAll('#gradcam .over img');"
        " const [a, b] = [photo, map].map(one => one.getBoundingClientRect());"
        " return [b.left >= a.right - 1, getComputedStyle(photo).visibility,"
        " getComputedStyle(map.parentElement).opacity]; }"
    )


def test_one_choice_for_all_maps_of_a_page(visit):
    page = visit("images/chelsea.html")
    assert look(page) == [False, "visible", "0.85"]
    page.locator("#gradcam [data-view=opacity]").fill("30")
    assert look(page) == [False, "visible", "0.3"]
    page.locator("#gradcam [data-view=look]").select_option("side")
    assert look(page) == [True, "visible", "1"]
    assert page.locator("#occlusion [data-view=look]").input_value() == "side"
    page.locator("#occlusion [data-view=look]").select_option("alone")
    assert look(page) == [False, "hidden", "1"]
    assert {"opacity=30", "look=alone"} <= set(page.url.partition("#")[2].split("&"))


def test_the_address_wins_over_what_is_remembered(visit, folder):
    page = visit("images/chelsea.html")
    page.locator("#gradcam [data-view=look]").select_option("side")
    page.goto("about:blank")
    page.goto(f"file://{folder}/images/night-sky.html")
    assert page.evaluate("document.documentElement.dataset.look") == "side"
    page.goto("about:blank")
    page.goto(f"file://{folder}/images/chelsea.html#look=over&opacity=50&tint=grey")
    assert look(page) == [False, "visible", "0.5"]
    assert page.locator("#gradcam [data-view=tint]").input_value() == "grey"


def drawn(page, selector):
    from io import BytesIO

    from PIL import Image

    page.locator(selector).first.evaluate(
        "async node => { for (const image of node.querySelectorAll('img')) {"
        " image.loading = 'eager'; await image.decode(); } }"
    )
    picture = Image.open(BytesIO(page.locator(selector).first.screenshot()))
    return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("tint", ["", "grey", "viridis"])
def test_a_map_alone_has_the_colours_of_its_levels(visit, report, tint):
    from reportgen.figures.colormaps import COLORMAPS
    from reportgen.figures.heatmap import spread

    block = report.images[0].panels["occlusion"].blocks["probability"]
    page = visit(f"images/chelsea.html#look=alone&tint={tint}", width=1600)
    shown = drawn(page, "#occlusion .over")
    values = spread(block, 48, 64)
    for x, y in ((4, 4), (40, 20), (36, 28), (60, 44)):
        row, column = ((at + 0.5) / size for at, size in ((y, 48), (x, 64)))
        pixel = shown[int(row * shown.shape[0]), int(column * shown.shape[1])]
        level = int(np.rint(127 + 127 * values[y, x] / 0.87))
        wanted = COLORMAPS[tint or "diverging"].palette()[level].astype(int)
        assert np.abs(pixel - wanted).max() <= 6


def test_where_a_map_is_weak_the_photo_shows(visit, report):
    page = visit("images/chelsea.html#opacity=100", width=1600)
    shown = drawn(page, "#gradcam .over")
    photo = report.images[0].panels["answers"].blocks["seen"].pixels.values().astype(int)
    corner = shown[3, 3]
    assert np.abs(corner - photo[0, 0]).max() <= 12
    peak = shown[int(shown.shape[0] * 0.49), int(shown.shape[1] * 0.65)]
    assert np.abs(peak - photo[23, 41]).max() > 40


def test_a_shared_scale_dims_the_weaker_map(visit):
    page = visit("images/chelsea.html#look=alone&tint=grey", width=1600)
    smooth = "#gradients li:has-text('SmoothGrad') .over"
    before = drawn(page, smooth).mean()
    page.locator("#gradients [data-view=scale]").select_option("shared")
    # The limits are 0.14 and 0.02.
    assert drawn(page, smooth).mean() == pytest.approx(before / 7, rel=0.1)
    assert "0.14" in page.locator("#gradients li:has-text('SmoothGrad') .ramp").inner_text()


def test_a_tap_chooses_and_buttons_zoom(visit):
    page = visit("layers/features.0.html#c=0&i=chelsea", width=400, touch=True)
    atlas = page.locator("[data-atlas='activations.image:chelsea']")
    box = atlas.bounding_box()
    columns = int(atlas.get_attribute("data-columns"))
    atlas.tap(position={"x": box["width"] / columns * 1.5, "y": 5})
    assert page.locator("#channel").inner_text() == "1"
    page.locator("#unit button").tap()
    sheet = page.locator(".sheet")
    width = sheet.bounding_box()["width"]
    page.locator("#closer [data-key='+']").tap()
    assert sheet.bounding_box()["width"] == pytest.approx(2 * width, rel=0.01)
    page.locator("#closer .stage").tap(position={"x": 60, "y": 60})
    assert page.locator(OUTPUT).inner_text().startswith("x ")
    page.locator("#closer [data-key=x]").tap()
    assert not page.locator("#closer").is_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_it_fits_the_window(visit, width):
    page = visit("images/chelsea.html#m=chelsea-gradcam-gradcam", width=width)
    stage, sheet = (page.locator(name).bounding_box() for name in (".stage", ".sheet"))
    assert stage["width"] <= width and stage["height"] > 300
    assert sheet["width"] <= stage["width"] and sheet["height"] <= stage["height"] + 1


def test_patches_and_mean_maps_open_from_the_button_after_them(visit):
    page = visit("images/chelsea.html")
    page.get_by_role("button", name="Look closer").first.click()
    assert "features.0" in page.locator("#closer h2").inner_text()
    page = visit("layers/features.1.html")
    page.locator("#patches").get_by_role("button", name="Look closer").first.click()
    assert page.locator(".sheet svg").count() == 1
