"""Bare weights of timm's networks: recognised where they tell, named where several share them."""

import random
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.load import timm_index, timm_nets
from reportgen.load.architectures import known_architectures, shapes_of
from reportgen.load.model import load_model
from reportgen.load.timm_index import described_by, known_networks, timm_names
from reportgen.load.torchvision_nets import DOUBLES
from tests.load.test_architectures import filled

timm = pytest.importorskip("timm")

NETWORKS = [network for group in known_networks().values() for network in group]


def save(folder: Path, name: str, **arguments: Any) -> tuple[Path, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        module = timm.create_model(name, **arguments).eval()
    file = folder / "weights.pth"
    torch.save(module.state_dict(), file)
    return file, module


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("test_vit4", {"num_classes": 9}),
        ("test_mambaout", {"num_classes": 2, "in_chans": 1}),
        ("regnety_002", {"num_classes": 1}),
        ("mobilevit_xxs", {}),
        ("vit_small_patch14_dinov2", {"num_classes": 0}),
    ],
    ids=str,
)
def test_a_bare_state_dict_is_recognised(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    file, module = save(tmp_path, name, **arguments)
    loaded = load_model(file)
    assert loaded.architecture == name
    assert loaded.architecture_source == "recognised from keys and shapes, among timm's networks"
    weights = module.state_dict()
    assert all(torch.equal(value, weights[n]) for n, value in loaded.module.state_dict().items())
    assert loaded.preprocessing is not None and loaded.preprocessing.is_assumed
    assert loaded.labels == ()


def test_weights_that_several_share_are_no_silent_pick(tmp_path: Path) -> None:
    """The two differ in their padding alone, and answer otherwise."""
    file, module = save(tmp_path, "tf_efficientnet_b0", num_classes=4)
    with pytest.raises(ModelError) as caught:
        load_model(file)
    assert caught.value.exit_code == 4
    assert "efficientnet_b0" in str(caught.value) and "tf_efficientnet_b0" in str(caught.value)
    assert "say which with --arch timm:" in str(caught.value)
    picture = torch.rand(1, 3, 64, 96)
    stated = load_model(file, arch="timm:tf_efficientnet_b0").module
    other = load_model(file, arch="timm:efficientnet_b0").module
    with torch.no_grad():
        assert torch.equal(stated(picture), module(picture))
        assert not torch.allclose(other(picture), module(picture))


def test_an_exported_program_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's network has the weights, and not the sigmoid."""
    _, module = save(tmp_path, "test_mambaout", num_classes=3)
    whole = nn.Sequential(OrderedDict(model=module, end=nn.Sigmoid())).eval()
    picture = torch.rand(2, 3, 64, 96)
    torch.export.save(torch.export.export(whole, (picture,)), tmp_path / "net.pt2")
    monkeypatch.setattr(timm_nets, "find_spec", lambda name: None)
    loaded = load_model(tmp_path / "net.pt2")
    assert loaded.architecture_source == "made from the program in the file"
    with torch.no_grad():
        assert torch.allclose(loaded.module(picture), whole(picture), atol=1e-6)


def test_without_timm_the_sentence_names_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = save(tmp_path, "test_mambaout")
    monkeypatch.setattr(timm_nets, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="holds timm's test_mambaout, which needs the package"):
        load_model(file)


def test_one_name_or_shape_off_is_no_match() -> None:
    shapes = shapes_of(timm_nets.outlined("test_vit4", 6).state_dict())
    assert timm_names(shapes) == ["test_vit4"]
    name = next(iter(shapes))
    wider = (*shapes[name][:-1], shapes[name][-1] + 1)
    assert timm_names({**shapes, name: wider}) == []
    assert timm_names({**shapes, "more": (1,)}) == []
    assert timm_names({key: shape for key, shape in shapes.items() if key != name}) == []
    head = {key: (7,) for key in shapes if key == "head.bias"}
    assert head and timm_names({**shapes, **head}) == []


@pytest.mark.parametrize("name", sorted(random.Random(0).sample(timm.list_models("*_*"), 12)))
def test_the_shipped_index_is_what_the_installed_timm_gives(name: str) -> None:
    """A sample of it: all takes minutes."""
    shipped = {network for network in NETWORKS if network.name == name}
    assert shipped == set(described_by(name))


def test_most_are_told_from_all_others() -> None:
    shared = Counter((one.names, one.shapes) for one in set(NETWORKS))
    names = {one.name for one in NETWORKS}
    alone = {one.name for one in NETWORKS if shared[one.names, one.shapes] == 1}
    assert len(names) > 1300 and len(alone) / len(names) > 0.6


def test_the_doubles_of_torchvisions_networks_are_known() -> None:
    """All networks of timm with the weights of one of torchvision's, and another name."""
    found = {}
    for known in known_architectures():
        sizes = {"classes": 1000, "channels": 3, "positions": 197}
        others = set(timm_names(filled(known, sizes))) - {known.name}
        if others:
            found[known.name] = others
    told = {name: set(words.replace(" and ", " ").split()) for name, words in DOUBLES.items()}
    assert found == told


def test_the_index_is_small() -> None:
    path = Path(timm_index.__file__).with_name(timm_index.INDEX)
    assert path.stat().st_size < 150_000
