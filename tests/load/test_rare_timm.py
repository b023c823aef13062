"""Networks of timm as they come seldom: other modules around the weights, odd sizes, no values."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn

from reportgen.errors import ModelError
from reportgen.load import timm_nets, timm_network
from reportgen.load.built_network import maker
from reportgen.load.model import load_model
from reportgen.load.timm_index import known_networks, packed_index
from reportgen.load.torchvision_nets import Counting
from tests.load.test_timm import net, saved

timm = pytest.importorskip("timm")


def test_other_modules_around_the_weights_are_said_or_refused(tmp_path: Path) -> None:
    module = net("test_resnet", num_classes=3)
    file = tmp_path / "whole.pth"
    torch.save(module, file)
    assert load_model(file, arch="timm:test_resnet").notes == ()
    module.act1 = nn.GELU()
    torch.save(module, file)
    (note,) = load_model(file, arch="timm:test_resnet").notes
    assert note.startswith("The file's own modules differ from timm's test_resnet: act1 is GELU")
    with pytest.raises(ModelError, match="weights of timm's test_resnet, but another network aro"):
        load_model(file)


def test_readings_of_the_same_sizes_are_tried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[dict[str, Any]] = []
    build = timm_nets.build
    monkeypatch.setattr(
        timm_nets, "build", lambda name, given: (built.append(given), build(name, given))[1]
    )
    torch.save({"a.b.w": torch.ones(1), "a.c.w": torch.ones(2)}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match="does not fit timm's test_vit"):
        load_model(tmp_path / "m.pth", arch="timm:test_vit")
    assert built == [{"num_classes": 0}]


def positions(count: int, *, axes: int = 3) -> torch.Tensor:
    return torch.ones((1, count, 2)[:axes] if axes == 3 else (1, count))


@pytest.mark.parametrize(
    ("theirs", "ours", "side"),
    [
        (positions(1 + 9), positions(1 + 6), 24),
        (positions(1 + 16), positions(1 + 6), 32),
        (positions(1 + 8), positions(1 + 6), None),
        (positions(1 + 6), positions(1 + 6), None),
        (positions(1), positions(1 + 6), None),
        (positions(10, axes=2), positions(1 + 6), None),
        (positions(10), positions(7, axes=2), None),
        (None, positions(1 + 6), None),
        (positions(10), None, None),
    ],
)
def test_the_side_of_pictures_is_in_the_table_of_positions(
    theirs: torch.Tensor | None, ours: torch.Tensor | None, side: int | None
) -> None:
    module = cast(Any, SimpleNamespace(patch_embed=SimpleNamespace(patch_size=(8, 8))))
    weights = {} if theirs is None else {"pos_embed": theirs}
    if ours is not None:
        module.pos_embed = ours
    known = {"input_size": (3, 16, 24)}
    assert timm_network._picture_side(module, weights, known) == side
    del module.patch_embed.patch_size
    assert timm_network._picture_side(module, weights, known) is None


def test_a_constructor_of_timm_counts_classes() -> None:
    make, count = maker(cast(Any, SimpleNamespace(arch="timm:test_resnet")))
    assert count == "num_classes"
    made = make(num_classes=3)
    assert made.state_dict()["fc.weight"].shape[0] == 3


def test_the_index_of_one_is_built_as_it_was_shipped() -> None:
    known = [one for several in known_networks().values() for one in several]
    expected = [asdict(one) for one in known if one.name == "test_resnet"]
    packed = packed_index(["test_resnet"])
    assert packed[4:8] == bytes(4)  # no date
    found = json.loads(gzip.decompress(packed))
    assert (
        expected and [{**entry, "classes": tuple(entry["classes"])} for entry in found] == expected
    )


def test_a_network_that_counts_while_it_is_made_is_outlined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def counting(name: str, num_classes: int) -> nn.Module:
        widths = [int(width) for width in torch.linspace(1, 3, 3)]
        return nn.Linear(len(widths), num_classes)

    monkeypatch.setattr(timm, "create_model", counting)
    outlined = timm_nets.outlined("any", 5)
    assert outlined.weight.is_meta and outlined.weight.shape == (5, 3)
    with torch.device("meta"), Counting():
        assert not torch.arange(3).is_meta and not torch.tensor(2).is_meta
        assert torch.ones(2).is_meta


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large"])
def test_a_network_of_maps_has_its_class_count_from_the_file(name: str, tmp_path: Path) -> None:
    from reportgen.load.dense_nets import build_dense

    module = build_dense(name, {"num_classes": 4}).eval()
    loaded = load_model(saved(module, tmp_path), arch=f"torchvision:{name}")
    assert (loaded.architecture, loaded.name) == (name, "weights.pth")
    assert loaded.preprocessing is not None and loaded.preprocessing.is_assumed
    picture = torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        assert torch.equal(loaded.module(picture)["out"], module(picture)["out"])
