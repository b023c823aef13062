"""Figures for a paper: each kind looks as it should, at any width, and says its numbers."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from reportgen.figures.colormaps import GREY, VIRIDIS
from reportgen.figures.dead_curve import DeadCurve
from reportgen.figures.heatmap import heatmap_figure
from reportgen.figures.histograms import Histograms
from reportgen.figures.kernel_grid import KernelGrid
from reportgen.figures.map_grid import MapGrid
from reportgen.figures.mosaic import mosaic, tiles_of
from reportgen.figures.overlay import overlaid
from reportgen.figures.pixel_maps import PixelMap, PixelMaps
from reportgen.figures.plate import data_file
from reportgen.figures.sheet import coloured, title_lines
from reportgen.figures.side_by_side import SideBySide
from reportgen.figures.spectra_sheet import SpectraSheet
from reportgen.figures.trust_curves import TrustCurves
from reportgen.figures.unit_nines import UnitNines
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Heatmap, Histogram, Photo
from tests.figures.pdf_reader import fonts_in, media_box

RANDOM = np.random.default_rng(5)
ODD = "$x_1$ <b>é</b> & 100 %"
PHOTO = RANDOM.integers(0, 256, (48, 64, 3), dtype=np.uint8)
HEAT = Heatmap(
    RANDOM.normal(size=(3, 4)),
    f"{ODD}: drop",
    "probability",
    True,
    Photo(Pixels("img/p.png", 48, 64), "", ""),
    "",
    "",
    window=(16, 16),
    stride=(16, 16),
    maximum=3.0,
)
CURVES = {
    name: RANDOM.random((3, 9))
    for name in ("deletion", "random_deletion", "insertion", "random_insertion")
}
SPECTRA = {name: RANDOM.random((5, 32)) ** 3 for name in ("kernels", "read", "given")}

PLATES = {
    "maps": MapGrid(
        f"features.3: {ODD}",
        PHOTO,
        (12, 3, 40, 7, 8),
        RANDOM.random((5, 9, 12)).astype(np.float32),
        "64 units, 9 × 12; one scale for all.",
    ),
    "kernels": KernelGrid(
        f"conv1: {ODD}",
        RANDOM.normal(size=(41, 2, 5, 3)).astype(np.float32),
        tuple(range(0, 82, 2)),
        (0, 1),
        2.5,
    ),
    "colours": KernelGrid(
        "conv1",
        RANDOM.normal(size=(9, 3, 5, 3)).astype(np.float32),
        tuple(range(9)),
        (0, 1, 2),
        2.5,
        True,
    ),
    "points": KernelGrid(
        "squeeze",
        RANDOM.normal(size=(7, 30, 1, 1)).astype(np.float32),
        tuple(range(7)),
        tuple(range(30)),
        2.5,
    ),
    "weights": Histograms(
        f"conv1: {ODD}",
        "value",
        ("weight (6 × 3)", "bias (6)"),
        (Histogram((1, 5, 2), -1.0, 2.0, "", ""), Histogram((4, 0), 0.5, 0.5, "", "")),
    ),
    "side_by_side": SideBySide(f"cat.png: {ODD}", PHOTO, HEAT),
    "gradients": PixelMaps(
        f"cat.png: {ODD}",
        PHOTO,
        (
            PixelMap("gradient", "Gradient", "magnitude", PHOTO[..., 0] // 2, 0.14),
            PixelMap("ig", "Integrated gradients", "signed", PHOTO[..., 1] // 2, 0.03),
            PixelMap("guided", "Guided backpropagation", "colour", PHOTO, 1e-5),
        ),
        "slope",
    ),
    "trust": TrustCurves("Pixels taken away", ("Occlusion", f"Grad {ODD}", "CAM"), CURVES),
    "dead": DeadCurve(
        np.array([1, 2, 5, 20, 300]),
        (f"relu {ODD}", "relu2", "relu3"),
        np.array([[9.0, 7, 5, 4, 4], [3, 2, 1, 0.5, 0], [30, 20, 9, 8, 7]]),
    ),
    "spectra": SpectraSheet(
        tuple(f"conv{i} (3 × 3, stride {i + 1})" for i in range(5)),
        (1, 2, 3, 4, 5),
        (0.125, 0.25),
        SPECTRA,
    ),
    "units": UnitNines(
        f"features.6: {ODD}",
        (5, 17),
        (9, 4),
        RANDOM.integers(0, 255, (2, 9, 12, 16, 3), dtype=np.uint8),
        RANDOM.integers(0, 255, (2, 9, 12, 16, 3), dtype=np.uint8),
        {17: RANDOM.integers(0, 255, (20, 20, 3), dtype=np.uint8)},
    ),
}
WIDTHS = (3.25, 6.75)


@pytest.fixture(scope="module")
def drawn():
    """Every kind at the width of a column and of a page."""
    return {
        (name, width): plate.figure(("pdf", "svg", "png"), width)
        for name, plate in PLATES.items()
        for width in WIDTHS
    }


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def picture(png):
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PLATES)
class TestEveryKind:
    """Of the figures that are made for a paper alone."""

    def test_is_as_wide_as_asked_in_all_formats(self, drawn, name, width):
        files = drawn[name, width]
        assert media_box(files["pdf"])[0] == pytest.approx(72 * width, abs=0.01)
        assert f'width="{72 * width:g}pt"' in files["svg"].decode()
        png = picture(files["png"])
        assert png.width == round(300 * width)
        assert png.info["dpi"][0] == pytest.approx(300, abs=0.1)

    def test_embeds_its_fonts_as_truetype(self, drawn, name, width):
        fonts = fonts_in(drawn[name, width]["pdf"])
        assert fonts and all(len(TTFont(io.BytesIO(font)).getGlyphOrder()) > 1 for font in fonts)

    def test_has_text_as_text_in_letters_that_can_be_read(self, drawn, name, width):
        svg = drawn[name, width]["svg"].decode()
        assert len(texts(svg.encode())) > 3
        sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)}
        assert sizes and min(sizes) >= 6 and max(sizes) <= 8

    def test_keeps_everything_inside(self, drawn, name, width):
        """No ink on the outermost pixels: nothing is cut off."""
        ink = np.asarray(picture(drawn[name, width]["png"]).convert("L")) < 128
        edges = {"top": ink[0], "bottom": ink[-1]}
        if name not in ("gradients", "units"):  # in which a picture ends at the right
            edges["right"] = ink[:, -1]
        assert [side for side, pixels in edges.items() if pixels.any()] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("clean", [None, 0.75])
@pytest.mark.parametrize("shape", [(3, 4), (9, 3), (2, 14)])
def test_a_heatmap_for_a_paper_keeps_everything_inside(shape, clean, width):
    values = np.linspace(-0.3, 0.5, shape[0] * shape[1]).reshape(shape)
    block = replace(HEAT, values=values)
    files = heatmap_figure(block, ("pdf", "png"), clean=clean, width=width)
    assert media_box(files["pdf"])[0] == pytest.approx(72 * width, abs=0.01)
    ink = np.asarray(picture(files["png"]).convert("L")) < 128
    sides = {"top": ink[0], "bottom": ink[-1], "left": ink[:, 0], "right": ink[:, -1]}
    assert [side for side, pixels in sides.items() if pixels.any()] == []
    # What is widest stands clear of its neighbours: blank columns between numbers and words.
    blank = ~ink.any(axis=0)
    assert blank[: round(40 * 300 / 72)].sum() > 8 and blank[-round(40 * 300 / 72) :].sum() > 8


def test_the_same_data_give_the_same_bytes(drawn):
    for name in ("maps", "trust"):
        assert PLATES[name].figure(("pdf", "svg", "png"), 3.25) == drawn[name, 3.25]


def test_only_what_is_asked_for_is_made():
    assert set(PLATES["dead"].figure(("svg",), 3.25)) == {"svg"}


def test_names_stand_as_they_are(drawn):
    shown = "\n".join(texts(drawn["maps", 6.75]["svg"]))
    assert "$x_1$ &lt;b&gt;é&lt;/b&gt; &amp; 100 %" in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "maps",
            {"input", "unit 12", "unit 8", "activation"},
        ),
        ("kernels", {"0–26", "56–80", "filters; 2 channels down", "weight", "−2.5", "0"}),
        ("points", {"filter", "channel", "weight", "6", "27"}),
        ("colours", {"each colour", "−2.5", "2.5"}),
        ("weights", {"weight (6 × 3)", "bias (6)", "value", "count"}),
        ("side_by_side", {"input", "map", "overlay", "64 px", "probability, drop", "−3", "3"}),
        ("gradients", {"Gradient", "0.14", "−0.03", "1e−05", "64 × 48 px"}),
        ("trust", {"Occlusion: deletion", "CAM: insertion", "random maps", "probability"}),
        ("dead", {"Dead units, all layers", "relu3", "1", "10", "100", "300"}),
        ("spectra", {"conv4 (3 × 3, stride 5)", "its kernels", "energy", "0.001"}),
        ("units", {"unit 5: patches", "unit 17: painted", "unit 17: deconvnet"}),
    ],
)
def test_axes_scales_and_names_are_inside_the_file(drawn, name, words):
    assert words <= set(texts(drawn[name, 6.75]["svg"]))


def test_layers_without_dead_units_have_no_curve_of_their_own(drawn):
    assert "relu2" not in texts(drawn["dead", 6.75]["svg"])


def pixels_of(drawn, name, width=6.75):
    return np.asarray(picture(drawn[name, width]["png"]).convert("RGB")).astype(int)


def has_colour(pixels, colour, at_least):
    return (np.abs(pixels - colour).max(axis=2) <= 4).sum() >= at_least


def test_maps_are_in_the_colours_of_their_values(drawn):
    maps = PLATES["maps"].maps
    low, high = maps.min(), maps.max()
    pixels = pixels_of(drawn, "maps")
    for value in (maps[0, 0, 0], maps[2, 4, 6], low, high):
        level = round(float(254 * (value - low) / (high - low)))
        assert has_colour(pixels, VIRIDIS.palette()[level], 100)


def test_the_overlay_lies_between_photo_and_map():
    plate = PLATES["side_by_side"]
    strong = replace(HEAT, values=np.full((3, 4), 3.0))
    covered = overlaid(strong, plate.photo).astype(int)
    clear = overlaid(replace(HEAT, values=np.zeros((3, 4))), plate.photo)
    np.testing.assert_array_equal(clear, PHOTO)
    from reportgen.figures.colormaps import DIVERGING

    expected = 0.85 * DIVERGING.palette()[254] + 0.15 * PHOTO
    assert np.abs(covered - expected).max() <= 1


def test_values_that_are_not_finite_are_white():
    values = np.array([[0.0, np.nan, 1.0]])
    assert coloured(values, GREY, 0, 1).tolist() == [[[0] * 3, [255] * 3, [254] * 3]]


def test_tiles_are_cut_out_as_they_were_put_in():
    tiles = RANDOM.integers(0, 255, (7, 4, 5), dtype=np.uint8)
    np.testing.assert_array_equal(tiles_of(mosaic(tiles, 3), 7, 3, 4, 5), tiles)


def test_long_titles_are_cut_to_lines():
    lines = title_lines("a long title of many words " * 9, 200)
    assert len(lines) == 2 and lines[-1].endswith("…")
    assert title_lines("short", 200) == ["short"] and title_lines("", 200) == [""]


def test_columns_of_one_length_are_a_csv_and_others_an_npz():
    form, content = data_file(PLATES["dead"].data())
    lines = content.decode().splitlines()
    assert form == "csv" and lines[0].startswith("images,dead in all layers,")
    assert [float(cell) for cell in lines[1].split(",")] == [1, 42, 9, 3, 30]
    form, content = data_file(PLATES["maps"].data())
    stored = np.load(io.BytesIO(content))
    assert form == "npz" and stored["units"].tolist() == [12, 3, 40, 7, 8]
    np.testing.assert_array_equal(stored["maps"], PLATES["maps"].maps)


def test_a_histogram_tells_its_bins():
    rows = PLATES["weights"].data()
    assert rows["from"].tolist()[:3] == [-1.0, 0.0, 1.0] and rows["count"].tolist()[:3] == [1, 5, 2]
