"""What belongs to one channel, held against torch-pruning's dependency graph."""

import warnings
from collections.abc import Sequence

import pytest
import torch
import torch_pruning
from torch import nn
from torchvision import models

from reportgen.probe.borrow import borrowed
from reportgen.probe.pruning.channels import Mixing
from reportgen.probe.pruning.decide import Channel, channels_of
from reportgen.probe.pruning.follow import followed

Part = tuple[str, str, int]
"Path of a module, whether the index counts what it gives or what it reads, and the index."

NETWORKS = (
    *("resnet18", "vgg11_bn", "densenet121", "mobilenet_v2", "squeezenet1_1", "googlenet"),
    *("mobilenet_v3_small", "alexnet"),
)
LAYERS = 7
"Of each network, evenly spread: torch-pruning takes its time."


def network(name: str) -> nn.Module:
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        return models.get_model(name, weights=None, num_classes=7, **extra).eval()


def ours(channel: Channel) -> set[Part]:
    parts = {(mixing.path, "out", row) for mixing, row in channel.rows}
    parts |= {(alone.path, "out", entry) for alone, entry in channel.entries}
    return parts | {
        (reader.path, "in", column)
        for reader, columns in channel.columns.items()
        for column in columns
    }


def theirs(graph: torch_pruning.DependencyGraph, module: nn.Module, row: int) -> set[Part]:
    function = torch_pruning.prune_conv_out_channels
    if isinstance(module, nn.Linear):
        function = torch_pruning.prune_linear_out_channels
    names = {part: path for path, part in graph.model.named_modules()}
    parts = set()
    for dependency, rows in graph.get_pruning_group(module, function, idxs=[row]):
        target = dependency.target.module
        if target not in names or not list(target.parameters(recurse=False)):
            continue
        reads = "in_channels" in dependency.handler.__name__
        is_depthwise = getattr(target, "groups", 1) > 1
        side = "in" if reads and not is_depthwise and not is_norm(target) else "out"
        parts |= {(names[target], side, int(index)) for index in rows}
    return parts


def is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def spread(made: Sequence[Mixing]) -> list[Mixing]:
    return [made[index * len(made) // LAYERS] for index in range(LAYERS)]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_channel_has_the_parts_that_torch_pruning_finds(name: str) -> None:
    net = network(name)
    image = torch.randn(3, 64, 80, generator=torch.Generator().manual_seed(0))
    with borrowed(net):
        found = followed(net, image)
    graph = torch_pruning.DependencyGraph()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph.build_dependency(net, example_inputs=image[None])
    # Scores are none that could go.
    free = [m for m in found.mixings if not found.forest.reason(int(m.rows[0]))]
    assert len(free) > 4
    channels = channels_of(found)
    for mixing in spread(free):
        module = net.get_submodule(mixing.path)
        for row in (0, len(mixing.rows) - 1):
            channel = channels[found.forest.root(int(mixing.rows[row]))]
            assert ours(channel) == theirs(graph, module, row), (mixing.path, row)
