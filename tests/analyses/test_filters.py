import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reportgen.analyses.filters import kernels, zero_filters
from tests.analyses.planted import a_call, evidence_of


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 4, (3, 5)),
        nn.Conv2d(6, 4, (3, 5), groups=2),
        nn.Conv2d(6, 12, (3, 5), groups=6),
        nn.ConvTranspose2d(6, 4, (3, 5)),
        nn.ConvTranspose2d(6, 4, (3, 5), groups=2),
        nn.Conv3d(6, 4, (2, 3, 5), groups=2),
        nn.ConvTranspose3d(6, 4, (2, 3, 5), groups=2),
    ],
    ids=[
        *("plain", "grouped", "depthwise", "transposed", "grouped transposed"),
        *("of volumes", "of volumes, transposed"),
    ],
)
def test_kernels_are_what_each_input_channel_adds_to_each_filter(layer: nn.Conv2d) -> None:
    torch.manual_seed(0)
    weight = kernels(layer)
    assert weight is not None
    filters, channels, *sizes = weight.shape
    assert (filters, channels) == (layer.out_channels, layer.in_channels // layer.groups)
    # An impulse in channel c of the input leaves the kernel of (filter, c) in the output.
    for filter_ in range(filters):
        group = filter_ // (filters // layer.groups)
        for channel in range(channels):
            impulse = torch.zeros(1, layer.in_channels, *(2 * size - 1 for size in sizes))
            impulse[(0, group * channels + channel, *(size - 1 for size in sizes))] = 1
            with torch.no_grad():
                out = layer(impulse)[0, filter_] - layer.bias[filter_]
            if layer.transposed:
                spread = out[tuple(slice(size - 1, 2 * size - 1) for size in sizes)]
            else:
                # Correlation turns the impulse's answer round.
                spread = out.flip(*range(len(sizes)))
            torch.testing.assert_close(spread, torch.from_numpy(weight[filter_, channel]))


def test_kernels_of_linear_and_one_dimensional_layers() -> None:
    linear, line = nn.Linear(5, 3), nn.Conv1d(4, 2, 7)
    assert np.array_equal(kernels(linear)[:, :, 0, 0], linear.weight.detach().numpy())
    assert np.array_equal(kernels(line)[:, :, 0], line.weight.detach().numpy())


def test_zero_filters_need_zero_kernels_and_a_zero_bias() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3)
            self.up = nn.ConvTranspose2d(4, 3, 2, bias=False)

    net = Net()
    with torch.no_grad():
        net.conv.weight[1:3] = 0
        net.conv.bias[1] = 0  # filter 1: nothing at all; filter 2 keeps its bias
        net.up.weight[:, 2] = 0
    image = torch.rand(1, 2, 6, 8)
    conv_out = net.conv(image)
    up_out = net.up(F.relu(conv_out))
    evidence = evidence_of(
        [
            (a_call("conv", conv_out.detach().numpy(), kind="conv"), conv_out.detach().numpy()),
            (a_call("up", up_out.detach().numpy(), kind="conv"), up_out.detach().numpy()),
            (a_call("F.relu", up_out.detach().numpy()), up_out.detach().numpy()),
        ]
    )
    found = {key.path: mask.tolist() for key, mask in zero_filters(net, evidence).items()}
    assert found == {"conv": [False, True, False, False], "up": [False, False, True]}
    assert not conv_out[0, 1].any() and not up_out[0, 2].any()
