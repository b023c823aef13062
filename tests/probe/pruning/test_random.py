"""Units that fall silent by themselves: the plan against what pre-hooks see the readers read."""

import pytest
import torch
from torch import nn

from tests.probe.nets import photos, seeded
from tests.probe.pruning.planting import pruned
from tests.probe.pruning.test_joins import Fire, Residual

CHANNELS = {
    # What makes a channel and all that reads it, with the first column there, written by hand.
    Residual: (
        (("stem", "second"), (("first", 0), ("down", 0), ("third", 0))),
        (("first",), (("second", 0),)),
        (("down", "third"), (("fc", 0),)),
    ),
    Fire: (
        (("squeeze",), (("one", 0), ("three", 0))),
        (("one",), (("last", 0), ("side", 0))),
        (("three",), (("last", 3),)),
        (("last",), (("fc", 0),)),
        (("side",), (("fc", 6),)),
    ),
}


def read_by(net: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Largest magnitude of every input channel of every layer, one image after the other."""
    seen: dict[str, torch.Tensor] = {}

    def hook(name: str) -> object:
        def note(module: nn.Module, given: tuple[torch.Tensor]) -> None:
            largest = (
                given[0].detach()[0].flatten(1).abs().amax(1)
                if given[0].ndim > 2
                else given[0][0].abs()
            )
            seen[name] = torch.maximum(seen.get(name, torch.zeros_like(largest)), largest)

        return note

    hooks = [
        part.register_forward_pre_hook(hook(name))  # type: ignore[arg-type]
        for name, part in net.named_children()
        if isinstance(part, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        for image in images:
            net(image[None])
    for one in hooks:
        one.remove()
    return seen


@pytest.mark.parametrize("kind", CHANNELS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", range(6))
def test_what_no_reader_ever_sees_is_what_goes_as_dead(kind: type[nn.Module], seed: int) -> None:
    net = seeded(kind, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Conv2d) and part.bias is not None:
                part.bias += 8 * torch.rand(part.bias.shape, generator=generator) - 5
            if isinstance(part, nn.BatchNorm2d):
                part.bias.uniform_(-9, 2, generator=generator)
    seen = read_by(net, photos(3, 3, 13, 17))
    expected = set()
    for makers, readers in CHANNELS[kind]:
        units = net.get_submodule(makers[0]).out_channels
        silent = [
            unit
            for unit in range(units)  # type: ignore[arg-type]
            if not any(seen[name][first + unit] for name, first in readers)
        ]
        # The first stays where all are silent.
        expected |= {f"{makers[0]} / {unit}" for unit in silent[len(silent) == units :]}
    result = pruned(net, kinds=("dead",))
    assert expected, "a seed that shows nothing"
    assert set(result.gone) == expected
