"""What a page costs whoever opens it: bytes before the first scroll, and nodes of its document."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen.render.pages import pages
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Heatmap, Photo
from reportgen.report.records import Panel
from tests.browser.test_site import KINDS
from tests.render.sample_report import every_file, sample_report

pytestmark = pytest.mark.browser

PHOTOS = sorted((Path(__file__).parents[2] / "sample_models" / "photos").iterdir())
KILO = 1000


def with_photo(panel, photos):
    """The panel with real photos in the place of its made-up ones."""
    blocks = {}
    for name, block in panel.blocks.items():
        if isinstance(block, Photo) and name in photos:
            block = photos[name]
        if isinstance(block, Heatmap) and block.over is not None:
            block = replace(block, over=photos["small"])
        blocks[name] = block
    return Panel(panel.facts, panel.arrays, blocks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The sample site with ten images of the size and content that users have."""
    report = sample_report()
    first = report.images[0]
    many = []
    for number in range(10):
        values = np.asarray(
            Image.open(PHOTOS[number % len(PHOTOS)]).convert("RGB").resize((224, 224))
        )
        turned = np.rot90(values, number // len(PHOTOS))
        slug = first.slug if number == 0 else f"photo-{number}"
        photos = {
            "seen": Photo(Pixels.photo(turned, f"{slug}-seen"), "A photo.", "A photo."),
            "small": Photo(Pixels.lossy(turned, f"{slug}-small"), "A photo.", "A photo."),
        }
        panels = dict(first.panels)
        answers = panels["answers"]
        panels["answers"] = Panel(
            answers.facts, answers.arrays, {**answers.blocks, "small": photos["small"]}
        )
        panels = {name: with_photo(panel, photos) for name, panel in panels.items()}
        many.append(replace(first, slug=slug, panels=panels))
    report = replace(report, images=(many[0], *report.images[1:], *many[1:]))
    root = tmp_path_factory.mktemp("heavy")
    for path, content in every_file(report, pages(report)).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


@pytest.mark.parametrize("path", [*KINDS, "images/photo-9.html"])
def test_the_first_view_takes_at_most_300_kilobytes(browser, folder, path):
    """All that is asked for before scrolling, but for lazy pictures that wait below the window."""
    asked = {}
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on("request", lambda request: asked.setdefault(request.url.split("#")[0], 0))
    page.goto(f"file://{folder}/{path}")
    page.wait_for_load_state("networkidle")
    later = page.evaluate(
        """() => [...document.images].filter((image) => {
             const box = image.getBoundingClientRect();
             return image.loading === "lazy" && (box.top > innerHeight || !box.width);
           }).map((image) => image.src)"""
    )
    sooner = page.evaluate(
        """() => [...document.querySelectorAll("img, image")].filter((node) => {
             const box = node.getBoundingClientRect();
             return node.loading !== "lazy" || (box.width && box.top <= innerHeight);
           }).map((node) => node.getAttribute("src") || node.getAttribute("href"))
             .map((address) => new URL(address, document.baseURI).href)"""
    )
    needed = [url for url in asked if url.startswith("file:") and url not in {*later} - {*sooner}]
    assert f"file://{folder}/{path}" in needed and len(needed) >= 3
    total = sum(Path(url.removeprefix("file://")).stat().st_size for url in needed)
    assert total <= 300 * KILO
    context.close()


def test_a_layer_of_2048_channels_has_less_than_a_thousand_nodes(browser, folder):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"file://{folder}/layers/features.4.html")
    assert page.evaluate("layerData.count") == 2048
    assert page.evaluate("document.querySelectorAll('*').length") < 1000
    context.close()
