"""A network that forgets: only the chosen layers, each time the same, never the original."""

import copy
import hashlib

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from reportgen.errors import ModelError
from reportgen.probe.probe import Probe
from reportgen.probe.randomise import randomised, weighted_modules
from tests.probe.nets import Residual, photos, seeded


class Odd(Residual):
    """With a parameter of the whole network, a module that is never called, and weight norm."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, 6)[:, None, None])
        self.unused = nn.Linear(2, 2)
        self.conv2 = parametrizations.weight_norm(self.conv2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x))) * self.scale
        y = self.bn2(self.conv2(x)) + x
        return self.fc(torch.flatten(self.pool(self.last(y)), 1))


def hashes(module: nn.Module) -> dict[str, str]:
    """Of the parameters and buffers that each module owns."""
    return {
        path: hashlib.sha256(
            b"".join(
                tensor.detach().numpy().tobytes()
                for tensor in [*part.parameters(recurse=False), *part.buffers(recurse=False)]
            )
        ).hexdigest()
        for path, part in module.named_modules()
    }


def inside(probe: Probe) -> nn.Module:
    with probe.lent(torch.empty(0)) as (module, _):
        return module


def probed(module: nn.Module) -> Probe:
    return Probe(module, "cpu", 4)


def order(module: nn.Module) -> tuple[str, ...]:
    probe = probed(module)
    return weighted_modules(probe, probe.trace(photos(1)[0]).calls)


def test_layers_stand_in_the_order_of_execution() -> None:
    assert order(seeded(Residual)) == ("conv1", "bn1", "conv2", "bn2", "fc")
    found = order(seeded(Odd))
    assert set(found[:2]) == {"", "unused"}
    assert found[2:] == ("conv1", "bn1", "conv2", "conv2.parametrizations.weight", "bn2", "fc")


@pytest.mark.parametrize("build", [Residual, Odd])
def test_only_the_chosen_layers_change_and_the_original_never(build: type[nn.Module]) -> None:
    module = seeded(build).train()
    probe = probed(module)
    before, modes = hashes(module), [part.training for part in module.modules()]
    state = torch.get_rng_state()
    paths = order(module)
    for count in range(1, len(paths) + 1):
        changed = hashes(inside(randomised(probe, paths[-count:], 3)))
        assert {path for path in paths if changed[path] != before[path]} == set(paths[-count:])
    assert hashes(module) == before
    assert [part.training for part in module.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_it_is_seeded_and_a_layer_does_not_depend_on_the_others() -> None:
    probe = probed(seeded(Residual))
    paths = ("conv1", "bn1", "conv2", "bn2", "fc")
    some, all_, again, other = (
        hashes(inside(randomised(probe, chosen, seed)))
        for chosen, seed in ((paths[-1:], 3), (paths, 3), (paths, 3), (paths, 4))
    )
    assert all_ == again
    assert some["fc"] == all_["fc"] != other["fc"]
    assert some["conv1"] != all_["conv1"]


def test_what_has_no_reset_keeps_its_mean_and_spread() -> None:
    module = nn.Module()
    module.table = nn.Parameter(3 + 0.5 * photos(1)[0, 0])
    drawn = inside(randomised(probed(module), [""], 0)).table.detach()
    table = module.table.detach()
    assert not torch.equal(drawn, table)
    assert float(drawn.mean()) == pytest.approx(float(table.mean()), abs=0.05)
    assert float(drawn.std()) == pytest.approx(float(table.std()), rel=0.1)


def test_scores_of_the_copy_are_read_as_those_of_the_network() -> None:
    probe = probed(seeded(Residual))
    probe.gives_probabilities = True
    assert randomised(probe, ["fc"], 0).gives_probabilities


def test_a_network_that_cannot_be_copied_says_so() -> None:
    class Stubborn(nn.Linear):
        def __deepcopy__(self, memo: object) -> None:
            raise RuntimeError("no copies\nof me")

    with pytest.raises(ModelError, match=r"^The network cannot be copied: no copies\.$"):
        randomised(probed(Stubborn(2, 2)), [""], 0)


def test_the_helper_of_this_file_sees_a_change() -> None:
    module = seeded(Residual)
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.conv2.bias += 1e-9
    assert {path for path, digest in hashes(other).items() if digest != hashes(module)[path]} == {
        "conv2"
    }
