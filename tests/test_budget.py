"""Budgets in bytes: what is cut, what is said, and what is left whole."""

from dataclasses import replace

import numpy as np
import pytest

from reportgen.budget import _unmet, fitted, site_bytes
from reportgen.figures.mosaic import tiles_of
from reportgen.report.blocks import Atlas
from tests.render.sample_report import sample_report

MEGA = 1_000_000


def no_figures(item):
    """Figures for print take a second each, and no budget changes them."""
    return {}


@pytest.fixture(scope="module")
def report():
    return sample_report()


@pytest.fixture(scope="module")
def whole(report):
    return site_bytes(report, no_figures) / MEGA


def atlases(report):
    """Maps on the pages of layers by (layer, block)."""
    return {
        (layer.slug, name): block
        for layer in report.layers
        for name, block in layer.panels["activations"].blocks.items()
        if "activations" in layer.panels and isinstance(block, Atlas)
    }


def tiles_in(block):
    """The maps of an atlas, each cut out of its picture."""
    size = (block.tile_height, block.tile_width)
    return tiles_of(block.pixels.values(), block.count, block.columns, *size)


def test_a_report_that_fits_stays_as_it_is(report, whole):
    made, unmet = fitted(report, whole + 0.001, no_figures)
    assert made is report
    assert unmet == ""


@pytest.mark.parametrize("share", [0.95, 0.88])
def test_a_site_fits_its_budget_and_says_what_was_cut(report, whole, share):
    budget = round(whole * share, 3)
    made, unmet = fitted(report, budget, no_figures)
    assert unmet == ""
    assert site_bytes(made, no_figures) <= budget * MEGA
    (note,) = set(made.notes) - set(report.notes)
    assert note.startswith(f"To fit --budget-mb {budget:g}, feature maps are averaged to ")
    before, after = atlases(report), atlases(made)
    assert after.keys() <= before.keys()
    # All else is as it was: the numbers, the other sections, the images' own pages.
    for old, new in zip(report.layers, made.layers, strict=True):
        assert {**old.panels, "activations": 0} == {**new.panels, "activations": 0}
        statistics = [layer.panels["activations"].blocks["statistics"] for layer in (old, new)]
        assert statistics[0] is statistics[1]
    assert made.images is report.images


def test_a_smaller_budget_shows_no_more(report, whole):
    counts = []
    for share in (1.0, 0.95, 0.9, 0.87, 0.1):
        made, _ = fitted(report, whole * share, no_figures)
        counts.append(sum(a.tile_height * a.tile_width * a.count for a in atlases(made).values()))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0


def test_a_budget_that_no_cut_meets_is_said_with_what_it_takes(report):
    made, unmet = fitted(report, 0.1, no_figures)
    assert not atlases(made)
    size = site_bytes(replace(made, notes=made.notes[:-1]), no_figures)
    assert unmet.startswith("--budget-mb 0.1 cannot be met: without feature maps the site still ")
    assert f"takes {size / MEGA:.2g} MB" in unmet
    assert unmet == made.notes[-1]
    assert made.notes[-2] == (
        "To fit --budget-mb 0.1, no feature map is shown on the page of a layer."
    )
    pictured = next(
        layer for layer in made.layers if "left_out" in layer.panels["activations"].facts
    )
    said = pictured.panels["activations"].facts["left_out"]
    assert said == (
        "Feature maps of none of the 2 pictured images are shown here, to fit --budget-mb 0.1."
    )


def test_an_image_is_charged_with_its_own_files_alone(report):
    """`a.png`, beside layers whose names begin with its own."""
    image = replace(report.images[0], slug="a")
    sizes = {
        "images/a.html": 1_000_000,
        "img/conv1-a-0123abcd.png": 2_000_000,
        "data/values.image.a.js": 3_000_000,
        "img/activations-kernels-0123abcd.png": 40_000_000,
        "layers/avgpool.html": 50_000_000,
    }
    said = _unmet(replace(report, images=(image,)), sizes, 97)
    assert "takes 96 MB, about 6 of it for each image" in said
    assert said.endswith("--max-images 1 would fit.")


def test_smaller_maps_are_the_means_of_the_areas_they_cover(report):
    """Against a literal mean: each value is repeated until both grids are whole pixels."""
    from reportgen.budget import _smaller

    block = atlases(report)["features.0", "image:chelsea"]
    assert (block.tile_height, block.tile_width) == (24, 32)
    small = _smaller(block, 0.25)
    assert (small.tile_height, small.tile_width) == (12, 16)
    half = _smaller(block, 0.5)
    assert (half.tile_height, half.tile_width) == (16, 22)
    for made in (small, half):
        h, w = made.tile_height, made.tile_width
        tiles = tiles_in(block).astype(float)
        fine = tiles.repeat(h, axis=1).repeat(w, axis=2)
        means = fine.reshape(len(tiles), h, block.tile_height, w, block.tile_width).mean((2, 4))
        low, high = (end.astype(float)[:, None, None] for end in (block.low, block.high))
        values = low + means / 254 * (high - low)
        low, high = (end.astype(float)[:, None, None] for end in (made.low, made.high))
        shown = low + tiles_in(made) / 254 * (high - low)
        # Half a step of 64 levels, and half a level of what is stored.
        off = np.abs(shown - values) / np.where(high > low, high - low, 1)
        assert off.max() <= 0.5 / 63 + 0.5 / 254 + 1e-6
        picture = made.pixels.values()
        assert picture.shape == (made.pixels.height, made.pixels.width)
        assert made.caption.startswith(block.caption)
        assert made.caption.endswith(f"Shown at {h} x {w}, for the size of the report.")
        for ours, before in zip(made.ends, block.ends, strict=True):
            np.testing.assert_array_equal(ours, before)
        # No tile is left flat: its means reach from the first level to the last.
        assert ((tiles_in(made).max((1, 2)) == 254) | (means.max((1, 2)) == 0)).mean() > 0.9
