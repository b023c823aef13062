"""The font that we ship: DejaVu Sans as matplotlib has it, letter by letter, less what is rare."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont
from PIL import Image

from reportgen.figures.export import FONT, figure, saved

WHOLE = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"


@pytest.fixture(scope="module")
def fonts():
    return TTFont(FONT), TTFont(WHOLE)


def outline(font, letter):
    glyphs = font.getGlyphSet()
    name = font.getBestCmap()[letter]
    pen = DecomposingRecordingPen(glyphs)
    glyphs[name].draw(pen)
    return glyphs[name].width, pen.value


def test_each_letter_is_that_of_the_whole_font(fonts):
    cut, whole = fonts
    letters = set(cut.getBestCmap())
    assert set(range(0x20, 0x7F)) | set(map(ord, "éßŁžαΩ×−–—…’“”⁻⁰⁹≤≥∞→√")) <= letters
    for letter in letters:
        assert outline(cut, letter) == outline(whole, letter), chr(letter)
    assert cut["head"].unitsPerEm == whole["head"].unitsPerEm
    for side in ("ascent", "descent", "lineGap"):
        assert getattr(cut["hhea"], side) == getattr(whole["hhea"], side)


def test_pairs_of_letters_stand_as_close(fonts):
    pairs = []
    for font in fonts:
        names = {name: letter for letter, name in font.getBestCmap().items()}
        table = font["kern"].kernTables[0].kernTable
        pairs.append(
            {
                (names[a], names[b]): by
                for (a, b), by in table.items()
                if a in names and b in names and max(names[a], names[b]) < 0x17F
            }
        )
    assert pairs[0] == pairs[1] and len(pairs[0]) > 100


def test_its_licence_stands_beside_it():
    assert "Bitstream Vera" in FONT.with_name("DejaVuSansCut.LICENSE").read_text()
    names = {str(record) for record in TTFont(FONT)["name"].names if record.nameID in (1, 4, 6)}
    assert names == {"DejaVu Sans Cut", "DejaVuSansCut"}


def drawn(words):
    with figure(2, 0.5) as made:
        made.text(0.1, 0.4, words)
        return saved(made, ("png", "pdf", "svg"), is_placed=True)


def test_letters_that_it_lacks_come_from_the_whole_font():
    files = drawn("a ⅓ ж")
    assert files["pdf"].count(b"/FontFile2") == 2, "one of each"
    pictures = [Image.open(io.BytesIO(one["png"])).convert("L") for one in (files, drawn("a"))]
    ink = [(np.asarray(picture) < 128).sum() for picture in pictures]
    assert ink[0] > ink[1] + 30


def test_usual_letters_take_one_small_font():
    files = drawn("Plain words, é − 3 × 4")
    assert files["pdf"].count(b"/FontFile2") == 1 and len(files["pdf"]) < 15_000
    assert "'DejaVu Sans Cut', 'DejaVu Sans', sans-serif" in files["svg"].decode()
