"""The deconvnet against Captum, against each layer's way back written out, and by hand."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from captum.attr import Deconvolution
from torch import nn

from reportgen.errors import ModelError
from reportgen.probe.deconvnet import projections, unprojected
from reportgen.probe.evidence import Call, CallKey, Evidence
from reportgen.probe.probe import Probe
from tests.probe.nets import Functional, Residual, batches_of, photos, seeded


class Scored(nn.Module):
    """Layers of maps, and a score a channel."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).mean(dim=(2, 3))


def probed(net: nn.Module, images: torch.Tensor) -> tuple[Probe, Evidence]:
    probe = Probe(net, "cpu", 4)
    return probe, probe.collect(batches_of(images), len(images), ())


def call_at(seen: Evidence, path: str, number: int = 1) -> Call:
    return next(call for call in seen.calls if call.key == CallKey(path, number))


def back(layer: nn.Module, read: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    """A signal (1 c h w) through one layer backwards, written out; `read` is what it was given."""
    if isinstance(layer, nn.ReLU):
        return signal.clamp(min=0)
    if isinstance(layer, nn.BatchNorm2d):
        scale = layer.weight / (layer.running_var + layer.eps).sqrt()
        return signal * scale[None, :, None, None]
    if isinstance(layer, nn.Conv2d):
        reach = [
            (signal.shape[2 + i] - 1) * layer.stride[i]
            - 2 * layer.padding[i]
            + layer.dilation[i] * (layer.kernel_size[i] - 1)
            + 1
            for i in (0, 1)
        ]
        return F.conv_transpose2d(
            signal,
            layer.weight,
            None,
            layer.stride,
            layer.padding,
            [read.shape[2 + i] - reach[i] for i in (0, 1)],
            layer.groups,
            layer.dilation,
        )
    if isinstance(layer, nn.AvgPool2d):
        kernel = torch.full((1, 1, *[layer.kernel_size] * 2), layer.kernel_size**-2.0).to(signal)
        spread = kernel.expand(signal.shape[1], -1, -1, -1)
        own = F.conv_transpose2d(signal, spread, stride=layer.stride, groups=signal.shape[1])
        return F.pad(own, (0, read.shape[3] - own.shape[3], 0, read.shape[2] - own.shape[2]))
    assert isinstance(layer, nn.MaxPool2d)
    _, switches = F.max_pool2d(
        read, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode, True
    )
    channels, height, width = read.shape[1:]
    unpooled = torch.zeros(channels, height * width).to(signal)
    for channel in range(channels):
        unpooled[channel].index_add_(
            0, switches[0, channel].flatten(), signal[0, channel].flatten()
        )
    return unpooled.view(1, channels, height, width)


def literal(
    layers: nn.Sequential, image: torch.Tensor, place: tuple[int, int, int]
) -> torch.Tensor:
    """The projection of one activation of the last layer, layer by layer."""
    reads = [image[None]]
    for layer in layers:
        reads.append(layer(reads[-1]))
    signal = torch.zeros_like(reads[-1])
    signal[0][place] = reads[-1][0][place]
    for layer, read in zip(reversed(layers), reversed(reads[:-1]), strict=True):
        signal = back(layer, read, signal)
    return signal[0]


def conv(read: int, given: int, *args: object, **kwargs: object) -> list[nn.Module]:
    return [nn.Conv2d(read, given, *args, **kwargs), nn.ReLU()]  # type: ignore[arg-type]


NETWORKS: dict[str, Callable[[], list[nn.Module]]] = {
    "plain": lambda: [*conv(3, 5, 3), *conv(5, 4, (3, 5))],
    "strided and padded": lambda: [*conv(3, 5, 5, 2, 1), *conv(5, 4, 3, (2, 3), (2, 1))],
    "grouped": lambda: [*conv(3, 6, 3), *conv(6, 4, 3, padding=1, groups=2)],
    "depthwise and dilated": lambda: [*conv(3, 6, 3), *conv(6, 6, 3, dilation=(2, 3), groups=6)],
    "batch norm": lambda: [
        nn.Conv2d(3, 5, 3, stride=2, bias=False),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Conv2d(5, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
    ],
    "pool": lambda: [*conv(3, 5, 3), nn.MaxPool2d(2), *conv(5, 4, 3)],
    "overlapping pools": lambda: [
        *conv(3, 5, 3, padding=1),
        nn.MaxPool2d(3, 2),
        *conv(5, 4, 3, padding=1),
        nn.MaxPool2d(3, 1, padding=1),
        *conv(4, 4, 2),
    ],
    "ceil mode": lambda: [
        *conv(3, 5, 3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        *conv(5, 4, 3, padding=1),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        *conv(4, 4, 1),
    ],
    "average pool": lambda: [*conv(3, 5, 3, padding=1), nn.AvgPool2d(2), *conv(5, 4, 3)],
    "before the last ReLU": lambda: [*conv(3, 5, 3), nn.MaxPool2d(3, 2), nn.Conv2d(5, 4, 3)],
}


def made(name: str, seed: int = 0) -> Scored:
    """A network of which most units fire."""
    net = seeded(lambda: Scored(nn.Sequential(*NETWORKS[name]())), seed)
    last = [layer for layer in net.layers if getattr(layer, "bias", None) is not None][-1]
    with torch.no_grad():
        last.bias += 1
    return net


@pytest.mark.parametrize("name", NETWORKS)
def test_each_layer_goes_back_as_written_out(name: str) -> None:
    net = made(name)
    layers = net.layers
    images = photos(6)
    probe, seen = probed(net, images)
    call = call_at(seen, f"layers.{len(layers) - 1}")
    last = (call.output_shape[1] - 1, call.output_shape[2] - 1)
    values = layers(images)
    places = [
        (int(value[:, row, column].argmax()), row, column)
        for value, (row, column) in zip(
            values, 2 * [(0, 0), last, (last[0] // 2, last[1] // 3)], strict=True
        )
    ]
    found = projections(probe, images, call, places)
    assert found.shape == images.shape and found.dtype == torch.float32
    expected = torch.stack([literal(layers, *pair) for pair in zip(images, places, strict=True)])
    assert bool((expected.flatten(1).any(1).view(2, 3).sum(0) > 0).all())
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["strided and padded", "batch norm", "pool", "overlapping pools"])
def test_equal_to_captum_where_it_is_right(name: str) -> None:
    net = made(name, 1)
    images = photos(4)
    probe, seen = probed(net, images)
    call = call_at(seen, f"layers.{len(net.layers) - 1}")
    strongest = seen.strongest[call.key]
    unit = int(strongest.value[:, 0].argmax())
    order = [strongest.image[unit].tolist().index(i) for i in range(4)]
    places = [(unit, int(strongest.row[unit, k]), int(strongest.column[unit, k])) for k in order]
    value = torch.tensor([float(strongest.value[unit, k]) for k in order])
    assert bool((value > 0).any())
    expected = Deconvolution(net.layers).attribute(images, target=places)
    found = projections(probe, images, call, places)
    wanted = expected.float() * value[:, None, None, None]
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-4, atol=1e-6)


def test_of_one_convolution_it_is_the_kernel_at_its_place() -> None:
    net = seeded(lambda: Scored(nn.Sequential(nn.Conv2d(3, 4, (3, 5), stride=2), nn.ReLU())))
    images = photos(1)
    probe, seen = probed(net, images)
    values = net.layers(images)[0, 2]
    row, column = divmod(int(values.argmax()), values.shape[1])
    assert values[row, column] > 0
    for path in ("layers.0", "layers.1"):
        (found,) = projections(probe, images, call_at(seen, path), [(2, row, column)])
        expected = torch.zeros(3, 20, 29)
        window = (slice(None), slice(2 * row, 2 * row + 3), slice(2 * column, 2 * column + 5))
        expected[window] = (net.layers[0].weight[2] * values[row, column]).detach().float()
        torch.testing.assert_close(found, expected)


def test_shared_maxima_add_up() -> None:
    """Four overlapping windows share one maximum, and each gives back a share through a sum."""
    pooled = nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 1), nn.Conv2d(1, 1, 2, bias=False))
    nn.init.ones_(pooled[2].weight)
    net = Scored(pooled).double().eval()
    image = torch.full((1, 1, 4, 4), 0.1, dtype=torch.float64)
    image[0, 0, 1, 2] = 5
    probe, seen = probed(net, image)
    (found,) = projections(probe, image, call_at(seen, "layers.2"), [(0, 0, 0)])
    expected = torch.zeros(1, 4, 4)
    expected[0, 1, 2] = 4 * 20
    torch.testing.assert_close(found, expected)


class InPlace(Residual):
    def __init__(self) -> None:
        super().__init__(is_inplace=True, is_reused=True)


@pytest.mark.parametrize(
    ("build", "paths"),
    [
        (InPlace, (CallKey("conv2"), CallKey("relu", 2))),
        (Functional, (CallKey("conv2"), CallKey("F.relu", 2))),
        (lambda: Functional(torch.relu_), (CallKey("conv2"), CallKey("F.relu", 2))),
        (lambda: Functional(lambda x: x.clamp(min=0)), (CallKey("conv2"), None)),
    ],
    ids=["in place, reused", "functional", "relu_", "clamp"],
)
def test_twins_agree(build: Callable[[], nn.Module], paths: tuple[CallKey, CallKey | None]) -> None:
    images = photos(3)
    places = [(0, 3, 4), (5, 9, 14), (2, 0, 0)]
    found = []
    for net, keys in (
        (seeded(Residual), (CallKey("conv2"), CallKey("last"))),
        (seeded(build), paths),
    ):
        probe, seen = probed(net, images)
        calls = {call.key: call for call in seen.calls}
        found.append([key and projections(probe, images, calls[key], places) for key in keys])
    for expected, twin in zip(*found, strict=True):
        if twin is not None:
            torch.testing.assert_close(twin, expected)
    assert bool(found[0][0].any())


def test_linear_in_the_activation_and_the_network_is_left_alone() -> None:
    net = made("pool")
    images = photos(2)
    probe, seen = probed(net, images)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    call = call_at(seen, "layers.4")
    places = [(1, 2, 3), (0, 4, 1)]
    first = projections(probe, images, call, places)
    doubled = made("pool")
    with torch.no_grad():
        # Twice the weights of the last layer double the activation, and the way back through it.
        doubled.layers[3].weight *= 2
        doubled.layers[3].bias *= 2
    second = projections(*probed(doubled, images)[:1], images, call, places)
    value = net.layers(images)[[0, 1], [1, 0], [2, 4], [3, 1]]
    assert bool((value > 0).any())
    torch.testing.assert_close(second, 4 * first)
    torch.testing.assert_close(projections(probe, images[:1], call, places[:1]), first[:1])
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(not module._forward_hooks for module in net.modules())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_frozen_networks_and_halves_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    net = made("pool")
    images = photos(5)
    probe, seen = probed(net, images)
    call = call_at(seen, "layers.4")
    places = [(k % 4, k, 2 * k) for k in range(5)]
    expected = projections(probe, images, call, places)
    net.requires_grad_(False)
    sizes = []
    plain = nn.Conv2d.forward

    def small(self: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return plain(self, x)

    monkeypatch.setattr(nn.Conv2d, "forward", small)
    torch.testing.assert_close(projections(probe, images, call, places), expected)
    assert sizes[0] == 4 and min(sizes) == 1


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.detach().round()).relu().mean(dim=(2, 3))


def test_no_way_back_is_said() -> None:
    images = photos(1)
    for net in (seeded(Detached).requires_grad_(False), seeded(Detached)):
        probe, seen = probed(net, images)
        with pytest.raises(ModelError, match=r"no way back from conv to the pixels: it does not d"):
            projections(probe, images, call_at(seen, "conv"), [(0, 0, 0)])
    with pytest.raises(ValueError, match="1 images and 2 places"):
        projections(probe, images, call_at(seen, "conv"), [(0, 0, 0)] * 2)


def test_only_what_lies_below_a_layer_counts() -> None:
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.SiLU(), nn.Conv2d(4, 4, 3)
    )
    _, seen = probed(seeded(lambda: Scored(layers)), photos(1))
    assert unprojected(seen.calls, CallKey("layers.0")) == ""
    assert unprojected(seen.calls, CallKey("layers.2")) == ""
    for number in (3, 4):
        said = unprojected(seen.calls, CallKey(f"layers.{number}"))
        assert said == "layers.3 is SiLU, and the rule is defined for ReLU only."
    _, plain = probed(seeded(lambda: Scored(nn.Sequential(nn.Conv2d(3, 4, 3)))), photos(1))
    assert "No ReLU" in unprojected(plain.calls, CallKey("layers.0"))
