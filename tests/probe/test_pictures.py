"""Levels of kept maps: compiled code against PyTorch's functions, bit by bit."""

import math

import numpy as np
import pytest
import torch

from reportgen.probe import pictures
from reportgen.probe.evidence import CallKey, MapPicture
from reportgen.probe.layout import Arrangement

SHAPES = [(5, 3, 9), (70, 56, 50), (3, 64, 64), (4, 65, 64), (6, 200, 31), (3, 150, 149), (9, 2, 1)]


def maps(shape: tuple[int, ...], kind: str) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))
    values[1] = values[1].round()
    match kind:
        case "rectified":
            return values.relu()
        case "denormal":
            return values * 1e-41
        case "huge":
            return values.clamp(-1, 1) * 3e38
        case "holes":
            values[0, 0, 0], values[1, 1] = math.nan, math.inf
            values[2, 0] = -math.inf
            if shape[0] > 3:
                values[3] = math.nan
    return values


def picture(values: torch.Tensor, keep: bool = False) -> MapPicture:
    arranged = Arrangement(tuple(values.shape), 0, 0, (1, 2))
    found = pictures.picture(values, arranged, CallKey("call"), 0, keep)
    assert isinstance(found, MapPicture)
    return found


@pytest.mark.parametrize("kind", ["plain", "rectified", "denormal", "huge", "holes"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_compiled_code_paints_as_pytorch_does(
    shape: tuple[int, ...], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = maps(shape, kind)
    assert pictures.compiled()
    ours = picture(values)
    monkeypatch.setattr(pictures, "compiled", lambda: None)
    theirs = picture(values)
    np.testing.assert_array_equal(ours.tiles, theirs.tiles)
    np.testing.assert_array_equal(ours.low, theirs.low)
    np.testing.assert_array_equal(ours.high, theirs.high)
    assert ours.tiles.dtype == np.uint8 and ours.low.dtype == ours.high.dtype == np.float32
    np.testing.assert_allclose(
        [ours.mean_low, ours.mean_high], [theirs.mean_low, theirs.mean_high], rtol=1e-12
    )
    assert ours.mean_map == theirs.mean_map


def test_levels_are_those_of_a_literal_loop() -> None:
    values = maps((4, 7, 5), "plain")
    found = picture(values)
    for unit, rows in enumerate(values.double().numpy()):
        low, high = rows.min(), rows.max()
        levels = [[round((v - low) / (high - low) * 254) for v in row] for row in rows.tolist()]
        assert found.tiles[unit].tolist() == levels


def test_what_was_kept_stays_when_the_network_overwrites_its_tensor() -> None:
    values = maps((4, 7, 5), "plain")
    found, expected = picture(values, keep=True), values.clone()
    vector = pictures.picture(values, Arrangement((4, 7, 5), 0, 0, None), CallKey("call"), 0, False)
    ends = (found.low.copy(), found.high.copy(), vector.values.copy())
    values.zero_()
    assert found.full is not None
    np.testing.assert_array_equal(found.full, expected)
    for now, before in zip((found.low, found.high, vector.values), ends, strict=True):
        np.testing.assert_array_equal(now, before)
