"""What units look for: patches and projections against the network's own activations."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses.patch_pictures import GREY, SIDE, Shown, pictures
from reportgen.analyses.patches import run
from reportgen.analyses.study import Study
from reportgen.analyses.units import unit_layers, used_units
from reportgen.probe.deconvnet import projections
from reportgen.probe.probe import Probe
from reportgen.report.blocks import Atlas, Link, Table
from tests.analyses.planted import PlainImages, preparation, study_of

SIZE = (20, 29)


class Net(nn.Module):
    """A strided convolution, another one, and scores; the nonlinearity is left open."""

    def __init__(self, act: Callable[[], nn.Module] = nn.ReLU, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, (3, 5), stride=2, padding=1)
        self.act = act()
        self.deep = nn.Conv2d(6, 11, 3, stride=2)
        self.last = act()
        self.fc = nn.Linear(11, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.last(self.deep(self.act(self.conv(x))))
        return self.fc(x.mean(dim=(2, 3)))


def study_with(net: nn.Module, count: int, pictured: int = 2, **changes: Any) -> Study:
    channels = net.conv.in_channels
    generator = torch.Generator().manual_seed(0)
    prepared = preparation(channels, SIZE)
    images = PlainImages(
        [torch.rand(channels, *SIZE, generator=generator) for _ in range(count)], prepared
    )
    probe = Probe(net.eval(), "cpu", 4)
    evidence = probe.collect(images.batches, count, range(min(pictured, count)))
    study = study_of(evidence, net, preprocessing=prepared, probe=probe, **changes)
    return replace(study, images=images)


def made(act: Callable[[], nn.Module] = nn.ReLU, channels: int = 3) -> Net:
    torch.manual_seed(3)
    net = Net(act, channels)
    with torch.no_grad():
        net.conv.weight[4], net.conv.bias[4] = 0, -1
        # Fires where a pixel is brighter than all but a few.
        net.conv.weight[5] = 0
        net.conv.weight[5, 0, 1, 2], net.conv.bias[5] = 1, -1.998
    return net


@pytest.fixture(scope="module")
def study() -> Study:
    return study_with(made(), 13)


def values_at(study: Study, path: str) -> np.ndarray:
    """(n units h w), by running the layers one after the other."""
    net = study.loaded.module
    x = torch.stack([study.images.normalise(study.images.pixels(i)) for i in range(13)])
    with torch.no_grad():
        for layer in ("conv", "act", "deep", "last"):
            x = getattr(net, layer)(x)
            if layer == path:
                break
    return x.numpy()


def test_facts_are_those_of_the_activations(study: Study) -> None:
    panels = run(study).panels
    assert set(panels) == {"conv", "act", "deep", "last"}
    for path in ("act", "last"):
        facts, values = panels[path].facts, values_at(study, path)
        power = np.square(values.astype(np.float64)).mean((0, 2, 3))
        expected = [int(unit) for unit in np.argsort(-power)[:9] if power[unit] > 0]
        assert list(facts["units"]) == expected
        np.testing.assert_allclose(facts["rms"], np.sqrt(power[expected]), rtol=1e-5)
        fired = (values > 0).any((2, 3)).sum(0)
        assert list(facts["fired"]) == fired[expected].tolist()
        assert list(facts["patches"]) == np.minimum(fired[expected], 9).tolist()
    assert 4 not in panels["act"].facts["units"]
    assert 0 < panels["act"].facts["patches"][panels["act"].facts["units"].index(5)] < 9
    assert panels["conv"].facts["units"] == () and set(panels["conv"].blocks) == {"strongest"}


def shown_at(study: Study, path: str) -> Shown:
    (call,) = (call for call in unit_layers(study) if str(call.key) == path)
    (shown,) = pictures(study, [Shown(call, used_units(study, call, 9), "")])
    return shown


def window_of(picture: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """A window (h w c), pixel by pixel; zero beyond the border."""
    cut = np.zeros((height, width, len(picture)))
    for row in range(height):
        for column in range(width):
            y, x = top + row, left + column
            if 0 <= y < picture.shape[1] and 0 <= x < picture.shape[2]:
                cut[row, column] = picture[:, y, x]
    return cut


def test_each_tile_is_the_receptive_field_of_the_strongest_position(study: Study) -> None:
    shown, values = shown_at(study, "act"), values_at(study, "act")
    assert shown.window == (3, 5) and not shown.is_whole
    factor = SIDE // 5
    assert shown.crops.shape == (9 * len(shown.units), 3 * factor, 5 * factor, 3)
    checked, beyond = 0, 0
    for place, unit in enumerate(shown.units):
        best = values[:, unit].reshape(13, -1)
        order = np.argsort(-best.max(1), kind="stable")[:9]
        for k, image in enumerate(order):
            tile = shown.crops[9 * place + k]
            if best[image].max() <= 0:
                assert (tile == GREY).all()
                continue
            row, column = divmod(int(best[image].argmax()), values.shape[3])
            pixels = study.images.pixels(int(image)).numpy().astype(np.float64)
            cut = window_of(pixels - 0.5, 2 * row - 1, 2 * column - 1, 3, 5)
            expected = np.rint(127 + 254 * cut)
            assert np.abs(tile[::factor, ::factor] - expected).max() <= 1
            assert (
                tile.reshape(3, factor, 5, factor, 3) == tile[::factor, None, ::factor, None]
            ).all()
            checked += 1
            beyond += bool((cut == 0).all(2).any())
    assert checked > 30 and beyond > 0


def test_projections_beside_them_are_of_the_same_places(study: Study) -> None:
    shown, nine = shown_at(study, "act"), study.evidence.strongest
    kernel = study.loaded.module.conv.weight.detach().numpy()
    (strongest,) = (nine[key] for key in nine if str(key) == "act")
    factor = SIDE // 5
    for place, unit in enumerate(shown.units):
        value = float(strongest.value[unit, 0])
        row, column = int(strongest.row[unit, 0]), int(strongest.column[unit, 0])
        # The way back through one convolution is its kernel, where that lies on the image.
        own = np.zeros((3, SIZE[0] + 4, SIZE[1] + 4))
        own[:, 2 * row + 1 : 2 * row + 4, 2 * column + 1 : 2 * column + 6] = kernel[unit] * value
        cut = window_of(own[:, 2:-2, 2:-2], 2 * row - 1, 2 * column - 1, 3, 5)
        limit = np.abs(cut).max()
        expected = np.rint(127 + 127 * cut / limit)
        tile = shown.projected[9 * place, ::factor, ::factor].astype(float)
        assert shown.limits[9 * place] == pytest.approx(limit, rel=1e-4)
        assert np.abs(tile - expected).max() <= 1


def test_a_larger_window_is_resampled_and_keeps_its_place(study: Study) -> None:
    shown, nine = shown_at(study, "last"), study.evidence.strongest
    (strongest,) = (nine[key] for key in nine if str(key) == "last")
    field = shown.call.receptive_field
    assert field is not None and shown.window == field.size == (7, 9)
    place, unit = 1, shown.units[1]
    image, row, column = (
        int(a[unit, 0]) for a in (strongest.image, strongest.row, strongest.column)
    )
    found = projections(
        study.probe,
        study.images.normalise(study.images.pixels(image))[None],
        shown.call,
        [(unit, row, column)],
    )[0]
    cut = window_of(found.numpy(), -1 + 4 * row, -1 + 4 * column, 7, 9)
    # Nothing outside of the receptive field comes back.
    assert np.count_nonzero(found) == np.count_nonzero(cut) > 0
    limit = np.quantile(np.abs(cut[cut != 0]), 0.995, method="higher")
    tile = shown.projected[9 * place, :: SIDE // 9, :: SIDE // 9]
    assert np.abs(tile - np.rint(127 + 127 * np.clip(cut / limit, -1, 1))).max() <= 1


class Gated(Net):
    """Every position of the last maps sees the whole image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.conv(x))
        x = self.deep(x * x.mean(dim=(2, 3), keepdim=True))
        return self.fc(self.last(x).mean(dim=(2, 3)))


def test_where_a_position_sees_everything_the_whole_image_is_shown() -> None:
    torch.manual_seed(3)
    study = study_with(Gated(), 3)
    panel = run(study).panels["last"]
    assert panel.facts["is_whole_image"] and panel.facts["window"] == SIZE
    atlas = panel.blocks["crops"]
    assert isinstance(atlas, Atlas)
    assert (atlas.tile_height, atlas.tile_width) == (round(SIDE * 20 / 29), SIDE)
    shown = shown_at(study, "last")
    (strongest,) = (v for k, v in study.evidence.strongest.items() if str(k) == "last")
    mean = study.images.pixels(int(strongest.image[shown.units[0], 0])).mean((1, 2)).numpy()
    np.testing.assert_allclose(shown.crops[0].mean((0, 1)), 254 * mean, atol=1)


def test_where_the_rule_is_not_defined_the_patches_still_stand() -> None:
    panel = run(study_with(made(nn.SiLU), 4)).panels["deep"]
    assert panel.facts["problem"] == "act is SiLU, and the rule is defined for ReLU only."
    assert {"crops", "strongest"} == set(panel.blocks)
    # Where zero does not mean off, values below zero are shown as well.
    assert set(panel.facts["patches"]) == {4}


def test_grey_images_and_images_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_with(made(channels=1), 13)
    read: list[int] = []
    plain = PlainImages.pixels

    def pixels(self: PlainImages, index: int) -> torch.Tensor:
        read.append(index)
        return plain(self, index)

    monkeypatch.setattr(PlainImages, "pixels", pixels)
    atlas = run(study).panels["act"].blocks["crops"]
    assert len(read) == len(set(read))
    assert isinstance(atlas, Atlas)
    values = atlas.pixels.values().astype(int)
    assert np.abs(values - values[..., :1]).max() <= 3


def test_the_table_has_every_unit_and_links_to_pictured_images(study: Study) -> None:
    table, values = run(study).panels["act"].blocks["strongest"], values_at(study, "act")
    assert isinstance(table, Table)
    assert len(table.rows) == 6
    assert table.rows[4] == (4, None, None, None, 0.0)
    kinds = set()
    for unit, name, row, column, value in table.rows:
        if name is None:
            continue
        image = int(values[:, unit].max((1, 2)).argmax())
        assert (isinstance(name, Link), getattr(name, "text", name)) == (
            image < 2,
            f"photo{image}.png",
        )
        assert value == pytest.approx(values[image, unit].max())
        assert values[image, unit, row, column] == values[image, unit].max()
        kinds.add(type(name))
    assert kinds <= {Link, str} and str in kinds
