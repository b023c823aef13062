"""Networks in memory: what is around them comes off, and what cannot be watched is refused."""

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.load.given_network import given_network, weights_hash
from tests.load.model_files import small_net


def test_a_network_in_memory_comes_out_of_what_is_around_it() -> None:
    inner = small_net("squeezenet1_1", 3)
    for around in (inner, nn.DataParallel(inner), torch.compile(nn.DataParallel(inner))):
        loaded = given_network(around)
        assert loaded.module is inner and loaded.architecture == "squeezenet1_1"
        assert loaded.preprocessing is not None and loaded.preprocessing.is_assumed
        assert loaded.name == "squeezenet1_1" and loaded.dtype == "float32"
    half = given_network(nn.Sequential(nn.Conv2d(2, 3, 1), nn.Linear(2, 3).double()))
    assert (half.dtype, half.in_channels, half.architecture) == (
        "float32, float64",
        2,
        "Sequential",
    )
    assert {p.dtype for p in half.module.parameters()} == {torch.float32}
    assert given_network(nn.Sequential()).dtype == "float32"


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Sequential(nn.LazyLinear(3)), "The network Sequential has lazy layers: run it once"),
        (nn.Linear(2, 3, device="meta"), "lies on the meta device and has no values yet"),
    ],
)
def test_a_network_in_memory_without_values_is_refused(net: nn.Module, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        given_network(net)


@pytest.mark.filterwarnings("ignore")
def test_a_script_in_memory_is_refused() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(2, 3)))
    for net in (scripted, nn.Sequential(scripted)):
        with pytest.raises(ModelError, match=r"is TorchScript, which cannot be watched at work"):
            given_network(net)


def test_the_hash_of_weights_tells_names_shapes_kinds_and_values() -> None:
    def hashed(**given: torch.Tensor) -> str:
        net = nn.Module()
        for name, value in given.items():
            net.register_buffer(name, value)
        return weights_hash(net)

    one = torch.arange(6.0)
    different = [
        hashed(a=one),
        hashed(b=one),
        hashed(a=one.reshape(2, 3)),
        hashed(a=one.double()),
        hashed(a=one + 1),
        hashed(a=one, b=one),
    ]
    assert len(set(different)) == len(different)
    assert hashed(a=one) == hashed(a=torch.arange(12.0).reshape(6, 2)[:, 0] / 2)


def test_weights_that_two_layers_share_are_hashed_under_both_names() -> None:
    def hashed(net: nn.Module, **given: nn.Parameter) -> str:
        for name, value in given.items():
            net.register_parameter(name, value)
        return weights_hash(net)

    one, same = nn.Parameter(torch.arange(6.0)), nn.Parameter(torch.arange(6.0))
    shared = hashed(nn.Module(), a=one, b=one)
    assert shared == hashed(nn.Module(), a=one, b=same) != hashed(nn.Module(), a=one)
