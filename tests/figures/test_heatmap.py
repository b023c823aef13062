import io
import re

import numpy as np
import pytest
from PIL import Image

from reportgen.figures.heatmap import (
    border,
    colour_limit,
    grid_png,
    heatmap_figure,
    outline,
    overlay_png,
    spread,
)
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Heatmap, Photo

RANDOM = np.random.default_rng(11)
HEIGHT, WIDTH = 9, 14
"Of the picture: (9 - 4) / 2 and (14 - 5) / 3 positions, rounded up, and one."


def heatmap(values=None, *, unit="probability", signed=True, **other):
    values = RANDOM.normal(size=(4, 4)).astype(np.float32) / 8 if values is None else values
    photo = Photo(Pixels("img/seen.png", HEIGHT, WIDTH), "a cat", "")
    fields = {"window": (4, 5), "stride": (2, 3), "over": photo} | other
    return Heatmap(values, "tabby: drop", unit, signed, alt="a", caption="c", **fields)


def picture(png):
    return Image.open(io.BytesIO(png))


def levels(png):
    """Grey levels and opacities."""
    grey, alpha = picture(png).convert("LA").split()
    return np.asarray(grey).astype(int), np.asarray(alpha).astype(int)


def test_a_pixel_is_the_mean_of_the_windows_over_it():
    block = heatmap()
    found = spread(block, HEIGHT, WIDTH)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            over = [
                float(block.values[i, j])
                for i in range(4)
                for j in range(4)
                if 2 * i <= y < min(2 * i + 4, HEIGHT) and 3 * j <= x < min(3 * j + 5, WIDTH)
            ]
            assert found[y, x] == pytest.approx(sum(over) / len(over), abs=1e-12)


def test_pixels_that_no_window_reaches_have_no_value():
    block = heatmap(np.ones((2, 2)), window=(1, 2), stride=(3, 4))
    found = spread(block, 6, 7)
    assert np.argwhere(~np.isnan(found)).tolist() == [[y, x] for y in (0, 3) for x in (0, 1, 4, 5)]


def test_the_overlay_has_the_size_of_its_picture_and_zero_in_the_middle():
    values = np.zeros((4, 4), np.float32)
    values[3, 3] = 0.5
    values[0, 0] = -0.5
    grey, alpha = levels(overlay_png(heatmap(values)))
    assert grey.shape == (HEIGHT, WIDTH) and (alpha == 255).all()
    assert grey[8, 13] == 254, "red where hiding hurts"
    assert grey[0, 0] == 0, "blue where hiding helps"
    assert grey[4, 7] == 127
    assert 0 < grey[3, 4] < 127, "four windows cover this pixel and one of them has a value"


def test_where_no_window_reaches_the_overlay_is_clear():
    values = np.full((2, 2), 0.5)
    block = heatmap(values, window=(4, 5), stride=(5, 9))
    alpha = levels(overlay_png(block))[1]
    assert (alpha == np.where(np.isnan(spread(block, HEIGHT, WIDTH)), 0, 255)).all()
    assert alpha.min() == 0


def test_an_overlay_needs_a_picture():
    with pytest.raises(ValueError, match="no picture to lay the map over"):
        overlay_png(heatmap(over=None))


def test_the_grid_has_a_pixel_a_cell_with_zero_in_the_middle():
    values = np.array([[-0.5, 0.0, 0.25], [0.5, -0.25, 0.1]])
    grey, alpha = levels(grid_png(heatmap(values)))
    assert grey.shape == (2, 3) and (alpha == 255).all()
    np.testing.assert_array_equal(grey, np.rint(127 + 254 * values).astype(int))
    assert grey[0, 1] == 127


def test_a_map_without_sign_starts_at_zero():
    values = np.array([[0.0, 1.0, 2.0]])
    grey, _ = levels(grid_png(heatmap(values, unit="share", signed=False)))
    assert grey.tolist() == [[0, 127, 254]]


def test_the_scale_reaches_to_the_largest_value_or_the_stated_maximum():
    values = np.array([[0.1, -0.4]])
    assert colour_limit(heatmap(values)) == 0.4
    assert colour_limit(heatmap(values, maximum=0.9)) == 0.9
    assert colour_limit(heatmap(values, maximum=0.2)) == 0.4


def test_what_is_not_drawn_takes_no_part_of_the_scale():
    values = np.array([[0.1, -0.9], [0.25, 0]])
    assert colour_limit(heatmap(values, unit="logit", signed=False)) == 0.25
    assert colour_limit(heatmap(values, unit="logit", signed=True)) == 0.9


@pytest.mark.parametrize(("unit", "value"), [("probability", 9e-4), ("logit", 9e-3)])
def test_a_map_without_effect_is_not_stretched_to_look_like_one(unit, value):
    block = heatmap(np.array([[0.0, value], [-value, 0.0]]), unit=unit)
    assert np.abs(levels(grid_png(block))[0] - 127).max() <= 6
    assert (levels(grid_png(heatmap(np.zeros((2, 2)))))[0] == 127).all()


def test_a_value_that_is_not_finite_is_drawn_as_none():
    values = np.array([[0.5, np.nan]])
    assert colour_limit(heatmap(values)) == 0.5
    assert levels(grid_png(heatmap(values)))[0].tolist() == [[254, 127]]


def test_marked_cells_are_outlined_together():
    marks = np.array([[0, 1, 1], [0, 0, 1]], bool)
    expected = {
        ((1, 0), (2, 0)), ((2, 0), (3, 0)), ((1, 1), (2, 1)), ((2, 2), (3, 2)),
        ((1, 0), (1, 1)), ((2, 1), (2, 2)), ((3, 0), (3, 1)), ((3, 1), (3, 2)),
    }  # fmt: skip
    assert set(border(marks)) == expected and len(border(marks)) == 8
    assert outline(np.zeros((2, 3), bool)) == ""
    assert outline(np.array([[True]])) == "M0 0L1 0M0 1L1 1M0 0L0 1M1 0L1 1"


@pytest.fixture(scope="module")
def drawn():
    """The drop and the score of one map, with one cell that stands out."""
    values = np.full((4, 6), 0.02, np.float32)
    values[1, 4] = 0.6
    values[3, 0] = -0.3
    marks = values > 0.5
    photo = Photo(Pixels("img/seen.png", 128, 176), "", "")
    block = heatmap(values, window=(32, 32), stride=(32, 29), over=photo, maximum=0.8, marks=marks)
    return (
        block,
        heatmap_figure(block),
        heatmap_figure(block, clean=0.8, title="tabby: what is left"),
    )


def nearest(image, colour):
    """(row, column) of the middle of the pixels of about this colour, in shares of the picture."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    close = np.abs(pixels - colour).max(axis=2) <= 6
    close[:, int(0.8 * close.shape[1]) :] = False  # the colour bar
    assert close.sum() > 50
    return np.argwhere(close).mean(axis=0) / close.shape


def test_the_cell_that_stands_out_is_where_it_should_be_in_its_colour(drawn):
    import matplotlib

    _, drop, score = drawn
    red = np.rint(255 * np.array(matplotlib.colormaps["RdBu_r"](0.5 + 0.6 / 1.6)[:3]))
    blue = np.rint(255 * np.array(matplotlib.colormaps["RdBu_r"](0.5 - 0.3 / 1.6)[:3]))
    dark = np.rint(255 * np.array(matplotlib.colormaps["magma"](0.2 / 0.8)[:3]))
    y, x = nearest(picture(drop["png"]), red)
    low_y, low_x = nearest(picture(drop["png"]), blue)
    assert y < low_y and x > low_x, "row 1 column 4 against row 3 column 0"
    np.testing.assert_allclose(nearest(picture(score["png"]), dark), [y, x], atol=0.03)


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def test_axes_are_in_pixels_of_the_image(drawn):
    _, drop, _ = drawn
    found = texts(drop["svg"])
    # Windows start 32 and 29 pixels apart; their centres are 15.5 further on.
    for label in ("15.5", "47.5", "79.5", "111.5", "44.5", "131.5"):
        assert label in found
    assert "centre of the occluder, x (px)" in found and "y (px)" in found


def test_a_window_that_is_cut_off_has_its_centre_where_it_is_seen():
    block = heatmap(np.eye(4), window=(4, 5), stride=(2, 3))
    found = texts(heatmap_figure(block, ("svg",))["svg"])
    # Pixels 6..8 of 9 and 9..13 of 14.
    assert {"1.5", "3.5", "5.5", "7"} <= set(found), "down"
    assert {"2", "5", "8", "11"} <= set(found), "across"


def test_title_and_scale_are_said(drawn):
    _, drop, score = drawn
    assert "tabby: drop" in texts(drop["svg"])
    assert "probability, clean − occluded" in texts(drop["svg"])
    assert "tabby: what is left" in texts(score["svg"])
    assert "probability (clean: 0.8)" in texts(score["svg"])


def test_the_scale_of_the_score_ends_at_the_clean_probability(drawn):
    _, drop, score = drawn
    ticks = [text for text in texts(score["svg"]) if re.fullmatch(r"0\.\d", text)]
    assert ticks[0] == "0.0" and ticks[-1] == "0.8"
    ticks = [text for text in texts(drop["svg"]) if re.fullmatch("−?0\\.\\d+", text)]
    assert ticks[0].startswith("−") and ticks[0][1:] == ticks[-1]


def test_a_class_name_with_signs_of_mathematics_is_shown_as_it_is():
    block = heatmap(np.eye(2))
    odd = Heatmap(**{**vars(block), "title": "$100_x^ & <b>\\frac"})
    files = heatmap_figure(odd)
    assert "$100_x^ &amp; &lt;b&gt;\\frac" in texts(files["svg"])


def test_the_same_map_gives_the_same_bytes_whatever_the_users_settings(drawn):
    import matplotlib

    block, drop, _ = drawn
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "savefig.dpi": 10}):
        assert heatmap_figure(block) == drop
        assert matplotlib.rcParams["font.size"] == 30, "settings are given back"


def test_files_carry_no_date_and_no_program_and_embed_their_fonts(drawn):
    _, drop, _ = drawn
    assert b"CreationDate" not in drop["pdf"] and b"/Producer" not in drop["pdf"]
    assert b"/FontFile2" in drop["pdf"] and b"/Type3" not in drop["pdf"]
    assert b"<dc:date>" not in drop["svg"] and b"Matplotlib" not in drop["svg"]
    assert b"<!-- Created" not in drop["svg"]
    assert picture(drop["png"]).info.keys() <= {"dpi"}


def test_no_figure_is_left_open(drawn):
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_the_width_is_set_in_inches():
    block = heatmap(np.eye(3))
    files = heatmap_figure(block, ("pdf", "svg"), width=2.0)
    assert re.search(rb"/MediaBox \[ ?0 0 144 ", files["pdf"])
    assert 'width="144pt"' in files["svg"].decode()
    assert files.keys() == {"pdf", "svg"}


def test_large_maps_stay_small_files():
    block = heatmap(RANDOM.normal(size=(60, 70)), window=(8, 8), stride=(3, 3), over=None)
    assert {form for form, file in heatmap_figure(block).items() if len(file) > 200_000} == set()
