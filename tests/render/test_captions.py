"""Every picture of the sample report is told in words, with numbers or with what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from reportgen.figures.svg import histogram_svg
from reportgen.render.pages import pages
from reportgen.report.blocks import Atlas
from tests.render.pictures import Pictures, complaints
from tests.render.sample_report import SLUGS


def test_every_picture_of_every_page_is_told(html):
    wrong = {path: found for path, text in html.items() if (found := complaints(text))}
    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('<img alt="a cat">', 1),
        ('<img alt="3 cats">', 0),
        ('<img alt="">', 1),
        ('<a href="x"><img alt=""> conv1</a>', 0),
        ('<svg role="img" aria-label="no evidence"></svg>', 0),
        ("<svg></svg>", 1),
        ('<svg><g role="img"><title>Zeros</title><desc>4 of 7 layers</desc></g></svg>', 0),
        ('<svg aria-hidden="true"></svg>', 0),
        ("<figure><figcaption>A picture of something.</figcaption></figure>", 1),
        ("<figure><figcaption>Nothing to see.</figcaption></figure>", 0),
        ("<figure></figure>", 1),
        ('<ol class="cams"><li>LayerCAM</li><li>2.5</li></ol>', 1),
    ],
)
def test_what_is_not_told_is_found(text, count):
    assert len(complaints(text)) == count


def captions_of(text: str) -> list[str]:
    return [" ".join(item.text.split()) for item in Pictures(text).root.all("figcaption")]


def test_captions_of_feature_maps_say_their_numbers(html, report):
    """The strongest channel and half of the peaks, from the ranges of the tiles."""
    layer = report.layers[0]
    block = layer.panels["activations"].blocks["image:chelsea"]
    assert isinstance(block, Atlas)
    best, half = int(np.argmax(block.high)), float(np.sort(block.high)[len(block.high) // 2 - 1])
    said = next(c for c in captions_of(html[f"layers/{SLUGS[0]}.html"]) if "strongest" in c)
    assert said.startswith(f"Channel {best} is strongest: {block.high[best]:.3g}, at the ")
    assert f"Half of the 12 channels stay at {half:.3g} or below." in said


def test_captions_of_an_image_say_what_is_there_and_what_is_not(html, report):
    made, without = (captions_of(html[f"images/{slug}.html"]) for slug in ("chelsea", "night-sky"))
    drop = 100 * report.images[0].panels["occlusion"].arrays["array"].max()
    sentence = f"falls most, by {drop:.3g} points, when the centre is hidden"
    assert any(sentence in words for words in made)
    assert any("No positive evidence for class 1" in words for words in made)
    assert any(words.startswith("Photo") and "Nothing to see: hiding" in words for words in without)
    assert any("and outlined, the answer becomes class 1" in words for words in made)


def test_reports_made_before_places_were_kept_have_captions_too(report):
    """Facts that older reports lack leave their words out, and nothing else."""
    newer = {"depth_peaks", "strongest_places", "strongest_shares"}
    images = tuple(
        replace(
            image,
            panels={
                name: replace(panel, facts={k: v for k, v in panel.facts.items() if k not in newer})
                for name, panel in image.panels.items()
            },
        )
        for image in report.images
    )
    made = pages(replace(report, images=images))
    text = next(content for path, content in made if path == "images/chelsea.html").decode()
    assert complaints(text) == []
    assert "strongest of nine" not in text and "Mean map of features.0" in text


def test_the_caption_of_a_histogram_and_its_drawing_agree(report):
    block = report.layers[0].panels["activations"].blocks["histogram"]
    assert f"{sum(block.counts):,} values" in histogram_svg(block, "Values")
