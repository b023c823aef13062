"""The numbers behind pictures, unpacked from their scripts and held against the arrays."""

import base64
import json
import zlib

import numpy as np
import pytest

from reportgen.render.pages import pages
from reportgen.render.values import image_values, layer_values, levels_each
from tests.render.sample_report import sample_report

ALL = 10**9


@pytest.fixture(scope="module")
def report():
    return sample_report()


def read(script):
    text = script.decode().removeprefix("window.pictureValues = ").removesuffix(";\n")
    return json.loads(text)


def unpacked(found, *shape):
    packed = zlib.decompress(base64.b64decode(found["levels"]))
    return np.frombuffer(packed, np.uint8).reshape(shape).astype(float)


def key(pixels):
    return pixels.path.removeprefix("img/").removesuffix(".png")


def test_levels_are_the_tiles_of_the_picture(report):
    layer = report.layers[0]
    found = read(layer_values(layer, ALL))
    block = layer.panels["activations"].blocks["image:chelsea"]
    values = found[key(block.pixels)]
    assert "tiles" not in values and values["error"] == pytest.approx(0.5, abs=0.02)
    tiles = unpacked(values, block.count, block.tile_height, block.tile_width)
    picture = block.pixels.values()
    for tile in range(block.count):
        y, x = tile // block.columns * 25, tile % block.columns * 33
        np.testing.assert_array_equal(tiles[tile], picture[y : y + 24, x : x + 32])


def test_kernels_have_their_weights_channel_by_channel_and_colours_none(report):
    blocks = report.layers[0].panels["kernels"].blocks
    found = read(layer_values(report.layers[0], ALL))
    assert key(blocks["rgb"].pixels) not in found
    block = blocks["channels"]
    tiles = unpacked(found[key(block.pixels)], block.count, 3, 5)
    np.testing.assert_array_equal(tiles[4], block.pixels.values()[4:7, 6:11])


def test_what_does_not_fit_is_the_weaker_part(report):
    block = report.layers[5].panels["activations"].blocks["image:chelsea"]
    values = read(layer_values(report.layers[5], 7 * 35 + 3))[key(block.pixels)]
    kept = values["tiles"]
    assert len(kept) == 7 and kept == sorted(kept)
    assert set(kept) == set(np.argsort(block.high)[-7:].tolist())
    tiles = unpacked(values, 7, 5, 7)
    for at, tile in enumerate(kept):
        y, x = tile // block.columns * 6, tile % block.columns * 8
        np.testing.assert_array_equal(tiles[at], block.pixels.values()[y : y + 5, x : x + 7])
    assert key(block.pixels) not in read(layer_values(report.layers[5], 34))


def test_a_window_map_says_which_windows_cover_a_pixel(report):
    image = report.images[0]
    found = read(image_values(image))
    block = image.panels["occlusion"].blocks["probability"]
    values = found["chelsea-occlusion-probability-overlay"]
    np.testing.assert_allclose(values["cells"], block.values, rtol=5e-4)
    down, across = (found["axes"][at] for at in values["axes"])
    assert (len(down), len(across)) == (48, 64)
    for axis, cells in ((down, 5), (across, 7)):
        for pixel, (start, stop) in enumerate(axis):
            covering = [i for i in range(cells) if 8 * i <= pixel < 8 * i + 16]
            assert list(range(start, stop)) == covering
    alone = found["chelsea-occlusion-probability-grid"]
    rows, columns = (found["axes"][at] for at in alone["axes"])
    assert (len(rows), len(columns)) == (40, 56)
    assert rows[23] == [2, 3] and columns[55] == [6, 7]


def test_a_smooth_map_gives_the_cell_whose_middle_is_nearest(report):
    found = read(image_values(report.images[0]))
    down, across = (found["axes"][at] for at in found["chelsea-gradcam-cam-overlay"]["axes"])
    for axis, size, cells in ((down, 48, 5), (across, 64, 7)):
        middles = np.linspace(3, size - 4, cells)
        for pixel, (start, stop) in enumerate(axis):
            assert stop == start + 1
            assert abs(middles[start] - pixel) == pytest.approx(np.abs(middles - pixel).min())


@pytest.mark.parametrize("at", [0, 2])
def test_a_map_of_gradients_is_told_within_its_error(report, at):
    panel = report.images[0].panels["gradients"]
    name, limit = panel.facts["maps"][at], panel.facts["limit"][at]
    block = panel.blocks[name]
    values = read(image_values(report.images[0]))[key(block.pixels)]
    low, high = values["range"]
    assert (low, high) == (0 if at == 0 else -limit, limit) and "beyond" in values["note"]
    told = low + unpacked(values, 48, 64) / 254 * (high - low)
    shown = low + block.pixels.values() / 254 * (high - low)
    error = values["error"] / 254 * (high - low)
    # Half a level is what the picture itself is off by.
    assert np.abs(told - shown).max() <= error - 0.5 / 254 * (high - low) + 1e-12
    assert error < limit / 25
    assert 127 in unpacked(values, 48, 64) or at == 0


def test_small_atlases_leave_their_share_to_large_ones(report, monkeypatch):
    monkeypatch.setattr("reportgen.render.values.ALL_LEVELS", 100_000)
    each = levels_each(report)
    sizes = [
        block.count * block.tile_height * block.tile_width
        for layer in report.layers
        for name in ("activations", "kernels")
        for block in (layer.panels[name].blocks.values() if name in layer.panels else ())
        if hasattr(block, "columns") and hasattr(block, "count")
    ]
    assert 0.98 * 100_000 < sum(min(size, each) for size in sizes) <= 100_000


def test_without_the_pictures_grids_are_left(report):
    import dataclasses

    panel = report.images[0].panels["gradients"]
    empty = {
        name: dataclasses.replace(b, pixels=dataclasses.replace(b.pixels, content=b""))
        for name, b in panel.blocks.items()
    }
    panels = report.images[0].panels | {"gradients": dataclasses.replace(panel, blocks=empty)}
    found = read(image_values(dataclasses.replace(report.images[0], panels=panels)))
    assert "chelsea-gradcam-gradcam-overlay" in found
    assert not any("gradient" in name and "gradcam" not in name for name in found)


def test_every_page_with_pictures_has_its_script(report):
    site = dict(pages(report))
    for page in [path for path in site if path.startswith(("layers/", "images/"))]:
        if page.endswith("index.html"):
            continue
        kind, slug = page.removesuffix(".html").split("s/", 1)
        path = f"data/values.{kind}.{slug}.js"
        assert path in site
        assert f'data-values="../{path}"' in site[page].decode()
