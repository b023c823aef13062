"""The shipped index tells every torchvision classifier by names and shapes alone."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from torchvision import models

from reportgen.load.architectures import (
    Architecture,
    build_index,
    differences,
    known_architectures,
    nearest,
    packed_index,
    recognise,
    shapes_of,
)
from reportgen.load.model import load_model
from tests.load.model_files import answers, small_net

VARIANTS = [
    pytest.param(known, id=known.name + "".join(f"-{k}-{v}" for k, v in known.arguments.items()))
    for known in known_architectures()
]
FIXED = ("vit_", "maxvit")
"Networks that take one input size only."


def filled(known: Architecture, sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(sizes[size] if isinstance(size, str) else size for size in pattern)
        for name, pattern in known.patterns.items()
    }


def test_the_index_names_every_classifier() -> None:
    assert {known.name for known in known_architectures()} == set(models.list_models(module=models))
    assert len({known.name for known in known_architectures()}) >= 80


@pytest.mark.parametrize("known", VARIANTS)
def test_each_is_told_from_all_others_at_any_size(known: Architecture) -> None:
    for classes, channels, positions in [
        (1, 3, 50),
        (2, 1, 197),
        (37, 3, 50),
        (1000, 3, 577),
        (21843, 4, 10),
    ]:
        sizes = {"classes": classes, "channels": channels, "positions": positions}
        found = recognise(filled(known, sizes))
        assert [match for match, _ in found] == [known]
        assert all(sizes[name] == size for name, size in found[0][1].items())
        assert found[0][1]["classes"] == classes


@pytest.mark.parametrize("known", VARIANTS)
def test_one_entry_more_or_less_or_other_is_no_match(known: Architecture) -> None:
    shapes = filled(known, {"classes": 5, "channels": 3, "positions": 197})
    name = list(shapes)[len(shapes) // 2]
    less = {key: shape for key, shape in shapes.items() if key != name}
    other = {**shapes, name: (*shapes[name][:-1], shapes[name][-1] + 1)}
    for changed in (less, {**shapes, "extra.weight": (3,)}, other):
        assert recognise(changed) == []
        assert nearest(changed)[0] == known
        assert len(list(differences(known.expected(changed), changed))) == 1


def test_a_class_count_that_disagrees_with_itself_is_no_match() -> None:
    shapes = shapes_of(small_net().state_dict())
    assert recognise(shapes)[0][1] == {"classes": 7, "channels": 3}
    assert recognise({**shapes, "classifier.1.bias": (8,)}) == []


def test_a_network_tells_one_class_apart_at_least() -> None:
    one = shapes_of(small_net(classes=1).state_dict())
    assert recognise(one)[0][1] == {"classes": 1, "channels": 3}
    none = {name: (0, *shape[1:]) if "classifier" in name else shape for name, shape in one.items()}
    assert recognise(none) == []


@pytest.mark.parametrize("name", ["mobilenet_v2", "densenet121", "alexnet"])
def test_where_no_shape_is_shared_names_tell_the_nearest(name: str) -> None:
    (known,) = (known for known in known_architectures() if known.name == name)
    found, shared = nearest(dict.fromkeys(known.patterns, (1009, 1009, 1009)))
    assert (found.name, shared) == (name, 0)


def test_differences_come_in_the_order_of_the_network() -> None:
    expected = {"a": (2, 3), "b": (1,), "c": ()}
    found = {"d": (1,), "c": (4,), "a": (2, 4)}
    assert list(differences(expected, found)) == [
        "a is 2x4 where 2x3 is expected",
        "b is missing",
        "c is 4 where a single number is expected",
        "d is not expected",
    ]


@pytest.mark.slow
def test_the_shipped_index_is_what_the_installed_torchvision_gives() -> None:
    shipped = [
        {
            "name": k.name,
            "arguments": k.arguments,
            "patterns": {n: [*p] for n, p in k.patterns.items()},
        }
        for k in known_architectures()
    ]
    assert build_index() == shipped


def test_the_index_of_some_is_built_as_it_was_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["googlenet", "squeezenet1_1", "vit_b_32"]
    monkeypatch.setattr("reportgen.load.torchvision_nets.classifiers", lambda: names)
    built = build_index()
    assert [entry["name"] for entry in built] == ["googlenet", *names]
    shipped = [known for known in known_architectures() if known.name in names]
    assert [(entry["name"], entry["arguments"]) for entry in built] == [
        (known.name, known.arguments) for known in shipped
    ]
    assert [
        {name: tuple(shape) for name, shape in entry["patterns"].items()} for entry in built
    ] == [known.patterns for known in shipped]


def test_the_packed_index_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    content = [{"name": "tiny", "arguments": {}, "patterns": {"a": [1, "classes"]}}]
    monkeypatch.setattr("reportgen.load.architectures.build_index", lambda: content)
    packed = packed_index()
    assert json.loads(gzip.decompress(packed)) == content
    assert packed == packed_index()
    assert packed[4:8] == bytes(4)  # no date


@pytest.mark.slow
@pytest.mark.parametrize("known", VARIANTS)
def test_a_bare_state_dict_of_each_gives_the_same_logits(
    known: Architecture, tmp_path: Path
) -> None:
    arguments = dict(known.arguments)
    if arguments:
        arguments["init_weights"] = False
    net = small_net(known.name, 7, **arguments)
    file = tmp_path / "weights.pth"
    torch.save(net.state_dict(), file)
    loaded = load_model(file)
    file.unlink()
    assert (loaded.architecture, loaded.in_channels) == (known.name, 3)
    assert loaded.module.state_dict().keys() == net.state_dict().keys()
    side = 224 if known.name.startswith(FIXED) else 96
    expected = answers(net, height=side, width=side)
    assert expected.shape == (1, 7)
    assert torch.equal(answers(loaded.module, height=side, width=side), expected)
    assert loaded.preprocessing is not None and loaded.preprocessing.is_assumed


def numbers(known: Architecture) -> int:
    shapes = filled(known, {"classes": 7, "channels": 3, "positions": 197})
    return sum(torch.Size(shape).numel() for shape in shapes.values())


# The larger ones are built of the same modules as their smaller relatives.
@pytest.mark.slow
@pytest.mark.parametrize("known", [v for v in VARIANTS if numbers(v.values[0]) < 30_000_000])
def test_a_whole_module_of_each_is_recognised(known: Architecture, tmp_path: Path) -> None:
    arguments = dict(known.arguments)
    if arguments:
        arguments["init_weights"] = False
    net = small_net(known.name, 7, **arguments)
    file = tmp_path / "module.pth"
    torch.save(net, file)
    loaded = load_model(file)
    file.unlink()
    assert (loaded.architecture, loaded.format) == (known.name, "whole module")
    weights = net.state_dict()
    assert all(torch.equal(value, weights[n]) for n, value in loaded.module.state_dict().items())


def test_a_network_with_a_double_elsewhere_is_no_silent_pick(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    net = small_net("resnet18", 3)
    torch.save(net.state_dict(), file)
    assert any("timm's resnetblur18" in note for note in load_model(file).notes)
    assert load_model(file, arch="torchvision:resnet18").notes == ()
    torch.save(net, file)
    assert load_model(file).notes == ()
