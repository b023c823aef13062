"""The nine strongest images of each unit, against a literal search through all activations."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reportgen.probe import reduction
from reportgen.probe.evidence import CallKey, Strongest
from reportgen.probe.layout import Arrangement, TokenGrid
from reportgen.probe.probe import Probe
from reportgen.probe.strongest import StrongestImages, map_columns
from tests.probe.nets import Functional, Residual, batches_of, literal, photos, seeded
from tests.probe.transformers import GRID, SIZE, Vit, loud


def literal_nine(values: np.ndarray, columns: int) -> dict[str, list[list[float]]]:
    """One list a unit for values (images units positions), by looking at each value in turn."""
    found: dict[str, list[list[float]]] = {"image": [], "row": [], "column": [], "value": []}
    for unit in range(values.shape[1]):
        best = []
        for image in range(values.shape[0]):
            highest, place = -np.inf, -1
            for position, value in enumerate(values[image, unit].tolist()):
                if np.isfinite(value) and value > highest:
                    highest, place = value, position
            if place >= 0:
                best.append((-highest, image, place))
        best = sorted(best)[:9]
        left = 9 - len(best)
        found["image"].append([image for _, image, _ in best] + [-1] * left)
        found["row"].append([place // columns for *_, place in best] + [-1] * left)
        found["column"].append([place % columns for *_, place in best] + [-1] * left)
        found["value"].append([-value for value, *_ in best] + [np.nan] * left)
    return found


def streamed(values: torch.Tensor, columns: int, parts: list[torch.Tensor]) -> Strongest:
    """What is found where images come in parts, each given by the indices of neighbours."""
    total = StrongestImages(values.shape[1], columns)
    for part in parts:
        total.update(reduction.highest_in(reduction.parts(values[part])), int(part[0]))
    return total.evidence()


def check(found: Strongest, values: torch.Tensor, columns: int) -> None:
    expected = literal_nine(values.numpy(), columns)
    for name, rows in expected.items():
        np.testing.assert_array_equal(getattr(found, name), np.array(rows, np.float32), name)


def noise(images: int, units: int, positions: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(images + units)
    return torch.randn(images, units, positions, generator=generator)


def awkward(images: int, units: int = 6, positions: int = 35) -> torch.Tensor:
    """Ties between images and positions, constants, a unit that never fires, holes."""
    values = noise(images, units, positions).mul(2).round()
    values[:, 1] = 0.5
    values[:, 2] = values[:, 2].clamp(min=0, max=1)
    values[:, 3] = values[:, 3].clamp(max=0)
    values[::3, 4, ::2] = torch.nan
    values[1::3, 4, 5] = torch.inf
    values[2::3, 4, 7] = -torch.inf
    values[::2, 5] = torch.nan
    return values


@pytest.mark.parametrize("images", [1, 5, 9, 10, 40])
@pytest.mark.parametrize("batch", [1, 3, 16, 64])
def test_equal_to_a_literal_search_in_batches_of_any_size(images: int, batch: int) -> None:
    values = awkward(images)
    parts = list(torch.arange(images).split(batch))
    check(streamed(values, 7, parts), values, 7)


@pytest.mark.parametrize("positions", [1023, 4096, 9001])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_maps_small_and_large_of_any_number_format(positions: int, dtype: torch.dtype) -> None:
    values = noise(12, 3, positions).to(dtype)
    values[4, 1, 700] = torch.nan
    parts = list(torch.arange(12).split(5))
    found = streamed(values, 31, parts)
    check(found, values.float() if dtype != torch.float64 else values, 31)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), unique=True, max_size=5), st.randoms(use_true_random=False))
def test_neither_split_nor_order_matters(cuts: list[int], random) -> None:
    values = awkward(31)
    ends = sorted({0, 31, *cuts})
    parts = [torch.arange(a, b) for a, b in pairwise(ends)]
    random.shuffle(parts)
    check(streamed(values, 7, parts), values, 7)


def test_parts_that_were_not_told_of_each_other_merge_to_the_same() -> None:
    values = awkward(31)
    total = StrongestImages(6, 7)
    for part in reversed(torch.arange(31).split(4)):
        alone = StrongestImages(6, 7)
        alone.update(reduction.highest_in(reduction.parts(values[part])), int(part[0]))
        total.merge(alone)
    check(total.evidence(), values, 7)


@pytest.mark.parametrize("net", [Residual(), Residual(True, True), Functional()], ids=str)
def test_the_probe_finds_them_on_a_network(net: nn.Module) -> None:
    torch.manual_seed(0)
    plain = seeded(Residual)
    net = net.double().eval()
    net.load_state_dict(plain.state_dict())
    images = photos(13)
    seen = [literal(plain, image) for image in images]
    names = {"relu": "F.relu" if isinstance(net, Functional) else "relu", "conv2": "conv2"}
    found = [
        Probe(net, "cpu", size).collect(batches_of(images), 13, ()).strongest for size in (2, 5, 13)
    ]
    for name, path in names.items():
        values = torch.stack([activations[name] for activations in seen])
        expected = literal_nine(values.flatten(2).detach().numpy(), values.shape[-1])
        for strongest in found:
            nine = strongest[CallKey(path)]
            for part in ("image", "row", "column"):
                np.testing.assert_array_equal(getattr(nine, part), expected[part])
            np.testing.assert_allclose(nine.value, expected["value"], rtol=1e-6)
    assert CallKey("fc") not in found[0]


class Turned(nn.Module):
    """Gives its maps with the columns first, channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.conv(x).permute(0, 3, 2, 1))
        return x.mean(dim=(1, 2))


def test_rows_are_rows_whatever_the_order_of_the_axes() -> None:
    net = seeded(Turned)
    images = photos(3)
    strongest = Probe(net, "cpu", 2).collect(batches_of(images), 3, ()).strongest
    values = net.conv(images).clamp(min=0).detach()
    nine = strongest[CallKey("act")]
    for unit in range(4):
        for k in range(3):
            image, row, column = nine.image[unit, k], nine.row[unit, k], nine.column[unit, k]
            own = values[image, unit]
            assert own[row, column] == own.max()
            assert nine.value[unit, k] == pytest.approx(float(own.max()))


@pytest.mark.parametrize(("front", "behind"), [(3, 0), (1, 2), (0, 0)])
def test_of_tokens_only_those_of_the_grid_have_a_place(front: int, behind: int) -> None:
    net = loud(lambda: Vit("fused", front, behind, "mean"))
    # As loud as registers are in trained networks: without care they would be the strongest.
    with torch.no_grad():
        net.front[..., 5] = net.behind[..., 5] = 50
    images = torch.randn(11, 3, *SIZE, generator=torch.Generator().manual_seed(2)).double()
    kept: dict[str, torch.Tensor] = {}
    hooks = [
        net.get_submodule(path).register_forward_hook(
            lambda _, __, output, path=path: kept.update({path: output.detach()})
        )
        for path in ("patches", "blocks.0.norm1", "blocks.1.mlp.0", "blocks.2.mlp.1", "norm")
    ]
    net(images)
    for hook in hooks:
        hook.remove()
    louder = set()
    for size in (3, 11):
        evidence = Probe(net, "cpu", size).collect(batches_of(images), 11, ())
        for path, output in kept.items():
            is_map = path == "patches"
            tokens = output.flatten(2) if is_map else output.mT
            first = 0 if is_map else front
            values = tokens[:, :, first : first + GRID[0] * GRID[1]].numpy()
            expected, nine = literal_nine(values, GRID[1]), evidence.strongest[CallKey(path)]
            for part in ("image", "row", "column"):
                np.testing.assert_array_equal(getattr(nine, part), expected[part])
            np.testing.assert_allclose(nine.value, expected["value"], rtol=1e-5)
            # The statistics are of all tokens.
            highest = tokens.amax((0, 2)).numpy()
            np.testing.assert_allclose(evidence.layers[CallKey(path)].maximum, highest, rtol=1e-6)
            if (highest > nine.value[:, 0] + 0.01).any():
                louder.add(path)
        assert CallKey("head") not in evidence.strongest
    assert bool(louder) == (front + behind > 0)


class ForgetsMemory(nn.Module):
    """Runs out of memory in the middle of a batch of more than two images."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.second(x).mean(dim=(2, 3))


def test_a_part_that_ran_out_of_memory_does_not_count() -> None:
    net = seeded(ForgetsMemory)
    images = photos(5)
    found = [
        Probe(net, "cpu", size).collect(batches_of(images), 5, ()).strongest for size in (1, 5)
    ]
    for key in (CallKey("first"), CallKey("second")):
        for part in ("image", "row", "column", "value"):
            values = [getattr(strongest[key], part) for strongest in found]
            np.testing.assert_array_equal(*values)


def test_only_calls_with_maps_have_columns() -> None:
    assert map_columns(Arrangement((4, 5, 7), 0, 0, (1, 2))) == 7
    assert map_columns(Arrangement((7, 5, 4), 0, 2, (1, 0))) == 7
    assert map_columns(Arrangement((4,), 0, 0, None)) == 0
    assert map_columns(Arrangement((2, 4, 5, 7), 0, 1, (2, 3))) == 0
    assert map_columns(Arrangement((22, 4), 0, 1, None, TokenGrid(0, 2, 4, 5))) == 5
    assert map_columns(Arrangement((22, 4), 0, 1, None)) == 0
