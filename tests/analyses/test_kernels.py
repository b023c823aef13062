import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import alexnet

from reportgen.analyses.kernels import LARGEST_PICTURE, LARGEST_SIDE, colour_limit, largest, run
from reportgen.report.records import Panel
from tests.analyses.planted import a_call, evidence_of, study_of


def panels_of(module: nn.Module, *paths: str) -> dict[str, Panel]:
    """The panels of the convolutions at `paths`, whose activations do not matter here."""
    values = np.zeros((1, 1, 2, 3), dtype=np.float32)
    calls = [a_call(path, values, kind="conv", rectifies=False) for path in paths]
    outcome = run(study_of(evidence_of([(call, values) for call in calls]), module))
    return dict(outcome.panels)


def level(value: float, limit: float) -> int:
    return round(127 + 127 * min(max(value / limit, -1), 1))


def test_the_second_convolution_of_alexnet_is_one_picture() -> None:
    torch.manual_seed(0)
    net = alexnet(weights=None)
    weight = net.features[3].weight.detach().numpy()
    panel = panels_of(net, "features.0", "features.3")["features.3"]
    atlas = panel.blocks["channels"]
    assert (atlas.count, atlas.columns) == (192 * 64, 64)
    assert (atlas.pixels.height, atlas.pixels.width) == (192 * 6 - 1, 64 * 6 - 1)
    picture = atlas.pixels.values()
    limit = panel.facts["symmetric_limit"]
    for filter_, channel, row, column in [(0, 0, 0, 0), (191, 63, 4, 4), (100, 7, 2, 3)]:
        shown = picture[filter_ * 6 + row, channel * 6 + column]
        assert shown == level(float(weight[filter_, channel, row, column]), limit)
    assert (picture[5::6] == 255).all() and (picture[:, 5::6] == 255).all()
    assert panel.facts["filters"] == panel.facts["shown_filters"] == 192
    assert panel.facts["groups"] == 1
    assert (atlas.low == -np.float32(limit)).all() and (atlas.high == np.float32(limit)).all()


def test_the_first_convolution_is_shown_in_colour_with_grey_for_zero() -> None:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 5, (3, 4)), nn.Conv2d(5, 3, 3), nn.Conv2d(3, 2, 3))
    with torch.no_grad():
        net[0].weight[2] = 0
    panels = panels_of(net, "0", "1", "2")
    assert [("rgb" in panels[path].blocks) for path in "012"] == [True, False, False]
    atlas, limit = panels["0"].blocks["rgb"], panels["0"].facts["symmetric_limit"]
    picture = atlas.pixels.values()
    weight = net[0].weight.detach().numpy()
    for tile in range(5):
        top, left = tile // atlas.columns * 4, tile % atlas.columns * 5
        for colour in range(3):
            shown = picture[top + 1, left + 3, colour]
            assert shown == level(float(weight[tile, colour, 1, 3]), limit)
    top, left = 2 // atlas.columns * 4, 2 % atlas.columns * 5
    assert (picture[top : top + 3, left : left + 4] == 127).all()
    norms = [float(np.linalg.norm(weight[tile])) for tile in atlas.order]
    assert norms == sorted(norms, reverse=True) and atlas.order[-1] == 2


def test_a_grey_first_layer_has_no_colour_picture() -> None:
    assert set(panels_of(nn.Sequential(nn.Conv2d(1, 2, 3)), "0")["0"].blocks) == {"channels"}


def test_kernels_of_one_value_are_the_matrix_of_filters_and_channels() -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(7, 4, 1))
    panel = panels_of(net, "0")["0"]
    atlas = panel.blocks["channels"]
    assert (atlas.count, atlas.tile_height, atlas.tile_width) == (1, 4, 7)
    weight = net[0].weight.detach().numpy()[:, :, 0, 0]
    expected = [[level(float(v), panel.facts["symmetric_limit"]) for v in row] for row in weight]
    assert atlas.pixels.values().tolist() == expected


@pytest.mark.parametrize(
    ("layer", "filters", "channels", "groups"),
    [
        (nn.Conv2d(6, 4, (3, 5), groups=2), 4, 3, 2),
        (nn.Conv2d(6, 6, (3, 5), groups=6), 6, 1, 6),
        (nn.ConvTranspose2d(6, 4, (3, 5)), 4, 6, 1),
    ],
)
def test_grouped_depthwise_and_transposed(
    layer: nn.Module, filters: int, channels: int, groups: int
) -> None:
    panel = panels_of(nn.Sequential(layer), "0")["0"]
    names = ("filters", "channels", "height", "width", "groups")
    assert [panel.facts[name] for name in names] == [filters, channels, 3, 5, groups]
    assert panel.blocks["channels"].columns == channels


@pytest.mark.parametrize(
    ("layer", "channels", "said"),
    [
        (nn.Conv2d(38, 38, (3, 5), groups=38), 1, "one per filter, row by row."),
        (nn.Conv2d(6, 42, (3, 5), groups=3), 2, "filters a row, the 2 channels of each side"),
    ],
)
def test_a_row_holds_several_filters_where_there_are_few_channels(
    layer: nn.Conv2d, channels: int, said: str
) -> None:
    torch.manual_seed(4)
    nn.init.normal_(layer.weight)
    panel = panels_of(nn.Sequential(layer), "0")["0"]
    atlas, limit = panel.blocks["channels"], panel.facts["symmetric_limit"]
    weight = layer.weight.detach().numpy()
    assert atlas.count == weight.shape[0] * channels and atlas.columns % channels == 0
    rows, columns = -(-atlas.count // atlas.columns), atlas.columns
    assert 1 <= columns * 6 / (rows * 4) <= 3
    picture = atlas.pixels.values()
    for filter_ in (0, 7, 36, 37):
        for channel in range(channels):
            top, left = divmod(filter_ * channels + channel, columns)
            tile = picture[top * 4 : top * 4 + 3, left * 6 : left * 6 + 5]
            assert tile.tolist() == [
                [level(float(v), limit) for v in row] for row in weight[filter_, channel]
            ]
    assert said in atlas.caption
    assert panel.facts["channel_columns"] == tuple(range(channels))


@pytest.mark.parametrize(
    "shape", [(512, 512, 3, 3), (2048, 1024, 1, 1), (3, 5000, 3, 3), (64, 3, 11, 11)]
)
def test_what_is_too_large_for_a_picture_keeps_the_largest(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    weight = generator.normal(size=shape).astype(np.float32)
    weight[shape[0] // 2] *= 3
    rows, columns = largest(weight)
    side = (1, 1) if shape[2:] == (1, 1) else (shape[2] + 1, shape[3] + 1)
    assert len(rows) * side[0] <= LARGEST_SIDE and len(columns) * side[1] <= LARGEST_SIDE
    used = len(rows) * side[0] * len(columns) * side[1]
    assert used <= LARGEST_PICTURE
    is_whole = (len(rows), len(columns)) == shape[:2]
    assert is_whole or used > 0.9 * LARGEST_PICTURE or len(columns) == LARGEST_SIDE // side[1]
    assert shape[0] // 2 in rows
    norms = np.linalg.norm(weight.reshape(shape[0], -1), axis=1)
    left_out = np.setdiff1d(np.arange(shape[0]), rows)
    assert not left_out.size or norms[left_out].max() <= norms[rows].min()


def test_a_cut_picture_says_so_and_names_its_rows() -> None:
    torch.manual_seed(3)
    panel = panels_of(nn.Sequential(nn.Conv2d(300, 300, 3)), "0")["0"]
    rows, columns = panel.facts["filter_rows"], panel.facts["channel_columns"]
    assert panel.facts["shown_filters"] == len(rows) < 300
    assert f"the {len(rows)} of 300 filters" in panel.blocks["channels"].caption
    assert panel.blocks["channels"].count == len(rows) * len(columns)


def test_the_colour_scale_leaves_out_one_in_a_thousand_and_says_so() -> None:
    net = nn.Sequential(nn.Conv2d(1, 100, (4, 5)))
    with torch.no_grad():
        net[0].weight.copy_(torch.linspace(-1, 1, 2000).reshape(100, 1, 4, 5))
        net[0].weight[40, 0, 0, 0] = 50
    panel = panels_of(net, "0")["0"]
    weight = net[0].weight.detach().numpy()
    beyond = int((np.abs(weight) > panel.facts["symmetric_limit"]).sum())
    assert panel.facts["symmetric_limit"] <= 1
    assert panel.facts["clipped"] == beyond == 1 or beyond == 2
    assert "up to -1 and 50" in panel.blocks["channels"].caption


def test_the_colour_scale_of_odd_weights() -> None:
    assert colour_limit(np.zeros((2, 1, 3, 3), dtype=np.float32)) == 0
    assert colour_limit(np.array([np.nan, np.inf, 0.25, -0.5], dtype=np.float32)) == 0.5
    pruned = np.zeros(10_000, dtype=np.float32)
    pruned[:3] = [1, -2, 3]
    assert colour_limit(pruned) == 3


def test_layers_without_a_plain_weight_have_no_panel() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Linear(3, 4))
    values = np.zeros((1, 4), dtype=np.float32)
    calls = [a_call("0", values, kind="conv"), a_call("1", values, kind="linear")]
    calls.append(a_call("F.conv2d", values, kind="conv"))
    study = study_of(evidence_of([(call, values) for call in calls]), net)
    assert run(study).panels == {}


def test_kernels_of_volumes_show_their_middle_slice() -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv3d(3, 5, (4, 2, 3)), nn.Conv3d(5, 7, (3, 1, 1)))
    with torch.no_grad():
        net[0].weight[2] *= 3
        net[0].weight[2, :, 1] = 0  # the largest filter is not the one that shows most
    panels = panels_of(net, "0", "1")
    for path, depth, middle in (("0", 4, 1), ("1", 3, 1)):
        weight, panel = net[int(path)].weight.detach().numpy(), panels[path]
        facts, limit = panel.facts, panel.facts["symmetric_limit"]
        assert facts["slices"] == depth and limit == colour_limit(weight)
        assert facts["clipped"] == (np.abs(weight) > limit).sum()
        assert (facts["height"], facts["width"]) == weight.shape[3:]
        atlas = panel.blocks["channels"]
        assert f"slice 2 of {depth} of each" in atlas.caption
        picture = atlas.pixels.values()
        filters, channels, _, height, width = weight.shape
        gap = 1 if height * width > 1 else 0
        for filter_ in range(filters):
            for channel in range(channels):
                top, left = filter_ * (height + gap), channel * (width + gap)
                shown = picture[top : top + height, left : left + width]
                expected = weight[filter_, channel, middle]
                assert shown.tolist() == [[level(float(v), limit) for v in row] for row in expected]
    colours = panels["0"].blocks["rgb"]
    assert "slice 2 of 4 of each" in colours.caption and colours.order[0] == 2
    shown = colours.pixels.values()[:2, :3]
    for colour in range(3):
        expected = net[0].weight.detach().numpy()[0, colour, 1]
        limit = panels["0"].facts["symmetric_limit"]
        assert shown[..., colour].tolist() == [
            [level(float(v), limit) for v in row] for row in expected
        ]


def test_the_filters_that_fit_are_those_with_the_largest_norm_over_all_slices() -> None:
    weight = np.zeros((3, 2, 3, 2, 2), np.float32)
    weight[0, 0, 1], weight[2, 1, 2] = 1, 2
    rows, columns = largest(weight, 9)
    assert (rows.tolist(), columns.tolist()) == ([2], [1])
