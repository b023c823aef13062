"""A report as one piece of HTML for a notebook: tiles, findings and small pictures; no script."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from reportgen.figures.small import overlaid, photo, small_webp
from reportgen.render.environment import environment
from reportgen.report.blocks import Heatmap, Photo
from reportgen.report.records import Image, Report

SIDE = 112
"Pixels of the longer side of a picture."
FINDINGS_SHOWN = 12
IMAGES_SHOWN = 12
GATES_SHOWN = 4
LONGEST = 300
"Characters of a text from outside; escaped, each may become five."
ROOM = 100_000
"Bytes of all pictures, in Base64."


@dataclass(frozen=True)
class Small:
    """A picture that stands in the HTML itself."""

    address: str
    alt: str


@dataclass(frozen=True)
class Card:
    """One image: what the network saw, what it said, and which parts it needs."""

    image: Image
    seen: Small | None
    map: Small | None


def notebook_html(report: Report) -> str:
    """The report in less than 200 kB; all text from outside is escaped."""
    pictured = [image for image in report.images if image.is_pictured]
    defined = [layer for layer in report.layers if layer.dead_filters is not None]
    template = environment().get_template("notebook.html.jinja")
    text = template.render(
        report=report,
        cards=tuple(_cards(pictured)),
        pictured=len(pictured),
        findings_shown=FINDINGS_SHOWN,
        gates_shown=GATES_SHOWN,
        longest=LONGEST,
        dead=sum(layer.dead_filters or 0 for layer in defined),
        units=sum(layer.units for layer in defined),
        labelled=sum(image.true_index is not None for image in report.images),
        failed=[gate for gate in report.gates if not gate.passed],
    )
    # A file name that is not UTF-8 reaches us as lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode()


def _cards(images: list[Image]) -> Iterator[Card]:
    """As many images as there is room for."""
    room = ROOM
    for image in images[:IMAGES_SHOWN]:
        card = Card(image, _seen(image), _map(image))
        room -= sum(len(picture.address) for picture in (card.seen, card.map) if picture)
        if room < 0:
            return
        yield card


def _seen(image: Image) -> Small | None:
    block = _block(image, "answers", "seen")
    if isinstance(block, Photo) and block.pixels.content:
        return Small(_address(small_webp(photo(block.pixels), SIDE)), block.alt)
    return None


def _map(image: Image) -> Small | None:
    block = _block(image, "occlusion", "probability")
    if isinstance(block, Heatmap) and block.over and block.over.pixels.content:
        return Small(_address(small_webp(overlaid(block), SIDE)), block.alt)
    return None


def _block(image: Image, section: str, name: str) -> object:
    return image.panels[section].blocks.get(name) if section in image.panels else None


def _address(content: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"
