import numpy as np
import pytest

from reportgen.analyses.activation_pictures import (
    ALL_PIXELS,
    averaged,
    pictured_calls,
    pixels_each,
)
from reportgen.analyses.activations import histogram, run
from reportgen.probe.evidence import CallKey, MapPicture
from tests.analyses.planted import a_call, evidence_of, seen_of, study_of

RNG = np.random.default_rng(5)


def test_every_tile_holds_the_map_of_its_unit() -> None:
    values = RNG.normal(size=(2, 6, 4, 7)).astype(np.float32)
    study = study_of(evidence_of([(a_call("conv", values), values)], pictured=(0, 1)))
    panel = run(study).panels["conv"]
    assert panel.facts["pictured"] == ("photo0", "photo1")
    assert (panel.facts["layout"], panel.facts["is_averaged"]) == ("map", False)
    for index in (0, 1):
        atlas = panel.blocks[f"image:photo{index}"]
        picture = atlas.pixels.values()
        assert (atlas.full_height, atlas.full_width) == (4, 7)
        for unit in range(6):
            top, left = unit // atlas.columns * 5, unit % atlas.columns * 8
            levels = picture[top : top + 4, left : left + 7].astype(np.float64)
            low, high = float(atlas.low[unit]), float(atlas.high[unit])
            back = low + levels / 254 * (high - low)
            step = (high - low) / 254
            np.testing.assert_allclose(back, values[index, unit], atol=step / 2 + 1e-6)
        peaks = [values[index, unit].max() for unit in atlas.order]
        assert peaks == sorted(peaks, reverse=True)


def test_a_picture_that_was_averaged_says_so() -> None:
    values = RNG.normal(size=(1, 3, 4, 7)).astype(np.float32)
    call = a_call("conv", values, output_shape=(3, 128, 224))
    panel = run(study_of(evidence_of([(call, values)]))).panels["conv"]
    assert panel.facts["is_averaged"] is True
    assert "128 x 224 averaged to 4 x 7" in panel.blocks["image:photo0"].caption


def test_at_most_1024_tiles_the_most_varied() -> None:
    values = (RNG.normal(size=(1, 1100, 1, 2)) * 0.1).astype(np.float32)
    values[:, 5:1029] += np.array([-1, 1], dtype=np.float32)
    panel = run(study_of(evidence_of([(a_call("conv", values), values)]))).panels["conv"]
    atlas = panel.blocks["image:photo0"]
    assert atlas.labels == tuple(str(unit) for unit in range(5, 1029))
    strongest = max(range(5, 1029), key=lambda unit: values[0, unit].max())
    assert atlas.labels[atlas.order[0]] == str(strongest)
    assert len(panel.blocks["statistics"].rows) == 1100


def test_vectors_are_strips_in_their_own_order() -> None:
    values = RNG.normal(size=(2, 30)).astype(np.float32)
    panel = run(study_of(evidence_of([(a_call("fc", values), values)]))).panels["fc"]
    strip = panel.blocks["image:photo0"]
    assert panel.facts["layout"] == "vector"
    assert strip.values.tolist() == values[0].tolist()
    assert (strip.pixels.height, strip.pixels.width) == (1, 30)
    low, high = values[0].min(), values[0].max()
    expected = [round(254 * float((v - low) / (high - low))) for v in values[0].astype(np.float64)]
    assert strip.pixels.values()[0].tolist() == expected
    assert strip.top[0] == (int(values[0].argmax()), float(values[0].max()))
    assert len(strip.top) == 12


def test_statistics_are_those_of_a_literal_loop() -> None:
    values = RNG.normal(size=(3, 4, 2, 5)).astype(np.float32)
    values[values < -0.5] = 0
    values[:, 2] = 0
    panel = run(study_of(evidence_of([(a_call("relu", values), values)]))).panels["relu"]
    table = panel.blocks["statistics"]
    assert [column.name for column in table.columns] == [
        "Unit", "Mean", "Std", "Min", "Max", "Above zero", "Zeros", "Fired on", "State",
    ]  # fmt: skip
    for unit, row in enumerate(table.rows):
        every = [float(v) for v in values[:, unit].flat]
        mean = sum(every) / 30
        std = (sum((v - mean) ** 2 for v in every) / 30) ** 0.5
        shares = [sum(v > 0 for v in every) / 30, sum(v == 0 for v in every) / 30]
        expected = [unit, mean, std, min(every), max(every), *shares]
        assert row[:7] == pytest.approx(expected, rel=1e-6)
        assert row[7] == sum((values[image, unit] > 0).any() for image in range(3))
        assert row[8] == ("dead" if unit == 2 else "")


def test_histogram_keeps_every_value_and_drops_empty_ends() -> None:
    values = RNG.uniform(0.5, 3, (2, 3, 4, 5)).astype(np.float32)
    shown = histogram(seen_of(values))
    assert sum(shown.counts) == values.size
    assert shown.counts[0] > 0 and shown.counts[-1] > 0
    assert shown.low <= values.min() and values.max() < shown.high
    width = (shown.high - shown.low) / len(shown.counts)
    literal = [0] * len(shown.counts)
    for value in values.flat:
        literal[int((float(value) - shown.low) // width)] += 1
    assert shown.counts == tuple(literal)


def test_full_maps_are_stored_where_they_were_kept() -> None:
    values = RNG.normal(size=(1, 3, 4, 7)).astype(np.float32)
    call = a_call("conv", values)
    evidence = evidence_of([(call, values)])
    assert run(study_of(evidence)).panels["conv"].arrays == {}
    kept = evidence.pictures[0][CallKey("conv")]
    assert isinstance(kept, MapPicture)
    object.__setattr__(kept, "full", values[0])
    arrays = run(study_of(evidence)).panels["conv"].arrays
    assert list(arrays) == ["map.photo0"] and (arrays["map.photo0"] == values[0]).all()


def test_a_layer_of_nothing_but_nan_still_has_a_panel() -> None:
    values = np.full((1, 2, 3, 4), np.nan, dtype=np.float32)
    outcome = run(study_of(evidence_of([(a_call("bad", values), values)], pictured=())))
    assert outcome.panels["bad"].blocks["histogram"].counts == (0,)
    assert [row[8] for row in outcome.panels["bad"].blocks["statistics"].rows] == ["non-finite"] * 2


@pytest.mark.parametrize("pixels", [3000, 9000])
def test_large_maps_are_averaged_over_areas_to_a_budget(pixels: int) -> None:
    rows, columns = np.mgrid[0:40, 0:60]
    ramp = (rows * 2 + columns * 2).astype(np.uint8)
    tiles = np.stack([ramp, ramp[::-1], ramp[:, ::-1], np.full_like(ramp, 254)])
    small = averaged(tiles, pixels)
    assert 0.8 * pixels < small.size <= pixels
    assert (small[3] == 254).all()
    _, height, width = small.shape
    assert height / width == pytest.approx(40 / 60, rel=0.1)
    # Each small pixel is the mean of what lies under it.
    for row, column in [(0, 0), (height // 2, width // 3), (height - 1, width - 1)]:
        top, bottom = row * 40 // height, -(-(row + 1) * 40 // height)
        left, right = column * 60 // width, -(-(column + 1) * 60 // width)
        mean = tiles[0, top:bottom, left:right].astype(np.float64).mean()
        assert float(small[0, row, column]) == pytest.approx(mean)


def test_maps_within_the_budget_stay_as_they_are() -> None:
    tiles = RNG.integers(0, 255, (3, 20, 30)).astype(np.uint8)
    assert averaged(tiles, 1800) is None


def test_every_picture_has_its_share_of_the_pixels() -> None:
    assert pixels_each([]) == pixels_each([500_000]) == 262_144
    assert pixels_each([200_000] * 100) * 100 == ALL_PIXELS
    assert pixels_each([200_000] * 10_000) == 16_384


def test_small_pictures_leave_their_pixels_to_large_ones() -> None:
    sizes = [20_000] * 60 + [250_000] * 60
    each = pixels_each(sizes)
    assert 20_000 < each < 250_000
    assert ALL_PIXELS - 60 < sum(min(size, each) for size in sizes) <= ALL_PIXELS


def test_where_even_small_pictures_are_too_many_some_layers_have_none() -> None:
    keys = [CallKey(f"layer{i}", 1) for i in range(100)]
    first, second = set(keys[1::10]), set(keys[::2])
    half = dict.fromkeys(keys, ALL_PIXELS // 100)
    assert pictured_calls(half, (first, second)) == set(keys)
    # Room for 40 of 100: the ten of the first tier, every second of the 50 of the other, 5 more.
    chosen = pictured_calls(dict.fromkeys(keys, ALL_PIXELS // 40), (first, second))
    assert len(chosen) == 40
    assert first | set(keys[2::4]) <= chosen
