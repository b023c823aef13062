"""The cards of units: which tiles stand where, and what is said of them."""

import pytest

from tests.render.sample_patches import SHOWN
from tests.render.walk import Page


@pytest.fixture(scope="module")
def page(html):
    return Page("layers/features.1.html", html["layers/features.1.html"])


def tiles(page: Page, name: str) -> list[str]:
    """View boxes of the tiles cut from one picture, in the order of the page."""
    return [
        before["viewbox"]
        for (_, before), (tag, use) in zip(page.tags, page.tags[1:], strict=False)
        if tag == "use" and use["href"] == f"#{name}"
    ]


def test_each_unit_has_a_card_with_its_own_tiles(page, html):
    assert [name for name in page.ids if name.startswith("unit-")] == [f"unit-{u}" for u in SHOWN]
    # Tiles of 14 x 18 with a line between; two patches, two, and one, in rows of nine.
    expected = [
        f"{19 * k} {15 * row} 18 14" for row, count in enumerate((2, 2, 1)) for k in range(count)
    ]
    assert tiles(page, "crops") == tiles(page, "projections") == expected
    card = html[page.path].split('id="unit-7"')[1].split("</ul>")[0]
    assert card.index("#projections") < card.index("#crops")
    assert "fires on 2 of 2 images, RMS 2.5" in card


def test_patches_lead_to_their_images_and_say_where(page, report):
    links = [a for a in page.all("a") if "title" in a and a["href"].startswith("../images")]
    assert [a["href"] for a in links][:2] == ["../images/chelsea.html", "../images/night-sky.html"]
    arrays = report.layers[1].panels["patches"].arrays
    row, column = arrays["row"][7, 1], arrays["column"][7, 1]
    assert links[1]["title"] == f'night "sky" & more.png, {row}, {column}: 2.5'


def test_without_projections_the_reason_stands_there_and_the_patches_too(html):
    path = "layers/features.3.squeeze_activation.html"
    page = Page(path, html[path])
    assert "No projections." in html[path] and "defined for ReLU only" in html[path]
    assert len(tiles(page, "crops")) == 5 and not tiles(page, "projections")
    assert "deconvnet" not in html[path]


def test_other_layers_have_the_table_alone(html):
    text = html["layers/features.0.html"]
    assert "Where each unit is strongest." in text and 'id="unit-' not in text
    assert "elsewhere.png" in text
