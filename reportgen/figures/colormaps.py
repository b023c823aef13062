"""Colours for grey pictures: four colour maps, small enough to stand in a page as SVG filters.

A map is a table of evenly spaced stops with straight lines between them, which is what
`<feFuncR type="table" tableValues="...">` draws. The stops are fitted so that each of the levels
0..254 of a picture is within 1/255 of the colour that matplotlib's map of that name gives it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reportgen.report.arrays import ByteArray


@dataclass(frozen=True)
class Colormap:
    """Red, green and blue at evenly spaced grey levels 0..255, as SVG `tableValues`.

    The filter that uses them needs `color-interpolation-filters="sRGB"`.
    """

    name: str
    title: str
    red: str
    green: str
    blue: str

    def palette(self) -> ByteArray:
        """(256, 3) colour of each grey level; 254 is the upper end of the scale, as is 255."""
        levels = np.minimum(np.arange(256), 254)
        channels = []
        for table in (self.red, self.green, self.blue):
            stops = np.array(table.split(), np.float64)
            channels.append(np.interp(levels, np.linspace(0, 255, len(stops)), stops))
        return np.rint(255 * np.stack(channels, axis=1)).astype(np.uint8)


GREY = Colormap("grey", "Grey", "0 1", "0 1", "0 1")
VIRIDIS = Colormap(
    "viridis",
    "Viridis",
    ".267 .278 .283 .283 .276 .265 .251 .234 .217 .200 .185 .171 .158 .145 .133 "
    ".123 .118 .127 .152 .194 .249 .314 .388 .468 .554 .644 .736 .829 .918 1",
    ".003 .055 .104 .148 .192 .234 .274 .313 .350 .386 .420 .453 .486 .518 .551 "
    ".583 .616 .648 .680 .711 .741 .769 .795 .819 .840 .858 .873 .885 .896 .907",
    ".330 .381 .426 .464 .495 .517 .534 .544 .551 .555 .557 .558 .558 .557 .553 "
    ".547 .538 .524 .505 .481 .450 .414 .372 .324 .271 .212 .152 .101 .097 .149",
)
MAGMA = Colormap(
    "magma",
    "Magma",
    "0 .025 .081 .148 .233 .317 .395 .474 .552 .634 .717 "
    ".798 .873 .933 .970 .987 .996 .998 .996 .991 .987",
    "0 .021 .057 .070 .059 .069 .105 .132 .163 .188 .214 "
    ".246 .288 .354 .440 .536 .630 .724 .816 .907 .999",
    ".011 .104 .215 .341 .442 .488 .500 .510 .505 .495 .476 "
    ".446 .407 .369 .357 .381 .430 .497 .575 .663 .757",
)
DIVERGING = Colormap(
    "diverging",
    "Diverging",
    ".020 .130 .264 .576 .823 .970 .992 .954 .837 .690 .392",
    ".188 .401 .578 .774 .900 .968 .855 .641 .365 .088 0",
    ".380 .675 .765 .872 .943 .967 .775 .503 .296 .166 .120",
)
"Blue below the middle, light grey at it, red above: matplotlib's RdBu_r."

COLORMAPS: Mapping[str, Colormap] = {
    colormap.name: colormap for colormap in (GREY, VIRIDIS, MAGMA, DIVERGING)
}
