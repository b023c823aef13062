import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from reportgen.figures.colormaps import COLORMAPS, DIVERGING, GREY, MAGMA, VIRIDIS


@pytest.mark.parametrize(
    ("colormap", "theirs"),
    [(VIRIDIS, "viridis"), (MAGMA, "magma"), (DIVERGING, "RdBu_r")],
    ids=lambda item: getattr(item, "name", item),
)
def test_every_level_is_within_one_255th_of_matplotlib(colormap, theirs):
    full = matplotlib.colormaps[theirs](np.arange(256))[:, :3]
    for channel, table in enumerate((colormap.red, colormap.green, colormap.blue)):
        stops = [float(stop) for stop in table.split()]
        for level in range(255):
            # What <feFunc type="table"> does with the level, and matplotlib with its share.
            place = level / 255 * (len(stops) - 1)
            k = min(int(place), len(stops) - 2)
            ours = stops[k] + (place - k) * (stops[k + 1] - stops[k])
            share = level / 254 * 255
            j = min(int(share), 254)
            exact = full[j, channel] + (share - j) * (full[j + 1, channel] - full[j, channel])
            assert abs(ours - exact) < 1 / 255, (channel, level)


def test_palettes_are_the_rounded_tables():
    assert GREY.palette()[[0, 1, 127, 254, 255]].tolist() == [
        [level] * 3 for level in (0, 1, 127, 254, 254)
    ]
    palette = VIRIDIS.palette()
    assert palette.shape == (256, 3) and palette.dtype == np.uint8
    ends = np.array(matplotlib.colormaps["viridis"]([0.0, 1.0]))[:, :3] * 255
    np.testing.assert_allclose(palette[[0, 254]], ends, atol=1)


def test_the_middle_of_the_diverging_map_is_light_and_without_hue():
    middle = DIVERGING.palette()[127].astype(int)
    assert np.ptp(middle) <= 1 and middle.min() > 240
    low, high = DIVERGING.palette()[[0, 254]].astype(int)
    assert low[2] > low[0] and high[0] > high[2], "blue below, red above"


def test_names_are_those_of_the_switch():
    assert list(COLORMAPS) == ["grey", "viridis", "magma", "diverging"]


def test_the_light_modules_import_no_plotting():
    program = (
        "import sys\n"
        "from reportgen.figures import colormaps, heatmap, mosaic, svg\n"
        "assert not {'matplotlib', 'seaborn', 'torch', 'pandas'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
