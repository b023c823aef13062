"""Figures for print with matplotlib: one style, and files whose bytes depend on the data alone."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

STYLE: Any = {
    # Both come with us or matplotlib, so every machine draws the same; a reader of an SVG who has
    # neither sees some other font without serifs.
    "font.family": ["DejaVu Sans Cut", "sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1,
    "text.parse_math": False,  # a class may be called `$100`
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "reportgen",
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "ps.fonttype": 42,  # matplotlib 3.11 splits the fonts of a PDF by this one
}
SCREEN, PRESS = 150, 300
"Pixels to the inch: of a figure beside a page, and of one that is made for a paper."
FONT = Path(__file__).with_name("DejaVuSansCut.ttf")
"""The letters of Europe's languages, Greek and common signs of DejaVu Sans, as they are there.

A PDF holds the letters that it needs. To find these among the thousands of the whole font takes a
tenth of a second, longer than to draw most figures. Others are taken from the whole font.
"""
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


class _Blank(FigureCanvasBase):
    """Draws nothing. Seaborn draws a heatmap to see whether labels overlap; it has none of ours."""

    def draw(self, *_: Any, **__: Any) -> None:
        """Only note that there is nothing left to draw, or seaborn turns to pyplot."""
        self.figure.stale = False


@contextmanager
def figure(width: float, height: float, dpi: int = SCREEN) -> Iterator[Figure]:
    """A new figure of this size in inches, in our style whatever the user's own settings are."""
    _know_font()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | {"savefig.dpi": dpi})
        # Never pyplot, which would keep every figure of a long run.
        drawn = Figure((width, height))
        _Blank(drawn)
        yield drawn


@cache
def _know_font() -> None:
    """Let matplotlib find our font, once in a process."""
    fontManager.addfont(FONT)


def saved(
    drawn: Figure, formats: Sequence[str], *, is_placed: bool = False, has_photo: bool = False
) -> dict[str, bytes]:
    """The files of a figure by format (`pdf`, `svg`, `png`), without dates or program names.

    Args:
        drawn: made with `figure`.
        formats: of the files.
        is_placed: everything has its place already.
        has_photo: 256 colours are too few for a PNG of it.
    """
    if not is_placed:
        # Laid out once for all formats: a figure with a layout of its own is drawn twice for each.
        ConstrainedLayoutEngine().execute(drawn)
    files = {}
    for name in formats:
        buffer = io.BytesIO()
        drawn.savefig(buffer, format=name, metadata=_METADATA[name])
        files[name] = _small(buffer, has_photo) if name == "png" else buffer.getvalue()
    return files


def _small(png: io.BytesIO, has_photo: bool) -> bytes:
    """A PNG without transparency and, but for photos, with a palette: by eye the same."""
    buffer = io.BytesIO()
    picture = Image.open(png)
    dpi = picture.info["dpi"]
    opaque = picture.convert("RGB")
    # The highest level of compression takes six times as long, for a twentieth of the bytes.
    (opaque if has_photo else opaque.quantize(256)).save(buffer, "PNG", dpi=dpi)
    return buffer.getvalue()
