"""What is known of torchvision's classifiers: how they are built, what is published with them."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from reportgen.load import torchvision_nets
from reportgen.load.torchvision_nets import (
    DOUBLES,
    Counting,
    Publication,
    build,
    classifiers,
    close_names,
    first_convolution,
    hash_digits,
    own_or_first,
    published,
    take_channels,
    variants,
)
from reportgen.report.records import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KNOWN = "192f39a585f615a20ba06863808e56325a7410f94cbbd779e607cec5378d8c9d"
SQUEEZENET = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
CLASSES = tuple(SQUEEZENET.meta["categories"])


def prepared(source: str, **changed: Any) -> Preprocessing:
    usual: dict[str, Any] = {"height": 224, "width": 224, "resize": 256, "channels": 3}
    usual |= {"interpolation": "bilinear", "mean": MEAN, "std": STD, "is_assumed": True}
    return Preprocessing(**{**usual, "source": source, **changed})


def assumed(name: str) -> str:
    return f"published with torchvision's weights for {name}; assumed for this file"


def test_a_file_of_anyone_is_assumed_to_be_prepared_as_torchvisions() -> None:
    found = published("squeezenet1_1", "0" * 64, None, 3, 7)
    assert found == Publication(prepared(assumed("squeezenet1_1")), (), "", False)
    assert published("squeezenet1_1", "", None, 3, 1000) == found


def test_the_plain_recipe_is_assumed_where_there_are_several() -> None:
    """ResNet-50 has a second set of weights, of images that were resized to 232."""
    assert published("resnet50", "0" * 64, None, 3, 7).preprocessing == prepared(
        assumed("resnet50")
    )
    second = models.ResNet50_Weights.IMAGENET1K_V2
    found = published("resnet50", hash_digits(second.url) + "0" * 56, None, 3, 7)
    words = "published with torchvision's weights (resnet50, IMAGENET1K_V2): this very file"
    assert found == Publication(
        prepared(words, resize=232, is_assumed=False),
        tuple(second.meta["categories"]),
        "torchvision's published weights",
        True,
    )


def test_one_channel_has_the_mean_of_three() -> None:
    grey = published("squeezenet1_1", "0" * 64, None, 1, 7).preprocessing
    assert grey == prepared(
        f"{assumed('squeezenet1_1')}, with the mean of the three colours for its one channel",
        channels=1,
        mean=(sum(MEAN) / 3,),
        std=(sum(STD) / 3,),
    )
    for channels in (2, 4):
        assert published("squeezenet1_1", "0" * 64, None, channels, 7) == Publication(
            None, (), "", False
        )


def test_a_size_that_the_network_fixes_is_that_of_its_images() -> None:
    name = "vit_b_16"
    assert published(name, "0" * 64, (224, 224), 3, 7).preprocessing == prepared(assumed(name))
    # Of 384 there are weights of torchvision, with another recipe.
    assert published(name, "0" * 64, (384, 384), 3, 7).preprocessing == prepared(
        assumed(name), height=384, width=384, resize=384, interpolation="bicubic"
    )
    assert published(name, "0" * 64, (384, 224), 3, 7).preprocessing == prepared(
        assumed(name), height=384, width=224, resize=384, interpolation="bicubic"
    )
    assert published(name, "0" * 64, (96, 112), 3, 7).preprocessing == prepared(
        assumed(name), height=96, width=112, resize=110
    )
    assert published(name, "0" * 64, (112, 96), 3, 7).preprocessing == prepared(
        assumed(name), height=112, width=96, resize=110
    )


def test_a_known_file_is_known() -> None:
    words = "SqueezeNet 1.1 trained on ImageNet-1k by DeepScale (a known file)"
    assert published("squeezenet1_1", KNOWN, None, 3, 1000) == Publication(
        prepared(words, is_assumed=False), CLASSES, words, False
    )
    assert published("squeezenet1_1", KNOWN, None, 3, 999).labels == ()


def test_weights_without_classes_are_no_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def member(name: str, url: str, resize: int, *categories: str) -> Any:
        transforms = SimpleNamespace(
            crop_size=[20],
            resize_size=[resize],
            mean=MEAN,
            std=STD,
            interpolation=SimpleNamespace(value="bicubic"),
        )
        return SimpleNamespace(
            name=name, url=url, meta={"categories": categories}, transforms=lambda: transforms
        )

    members = [
        member("SWAG", "x-abcdef01.pth", 30),
        member("FIRST", "x.pth", 21, "ant", "bee"),
        member("SECOND", "x-abcdef02.pth", 22, "cat"),
    ]
    monkeypatch.setattr(models, "get_model_weights", lambda name: members)
    said = {"height": 20, "width": 20, "interpolation": "bicubic"}
    assert published("net", "abcdef01", None, 3, 2) == Publication(
        prepared(assumed("net"), resize=21, **said), (), "", False
    )
    assert published("net", "", None, 3, 2).preprocessing == prepared(
        assumed("net"), resize=21, **said
    )
    assert published("net", "abcdef02", None, 3, 2) == Publication(
        prepared(
            "published with torchvision's weights (net, SECOND): this very file",
            resize=22,
            is_assumed=False,
            **said,
        ),
        ("cat",),
        "torchvision's published weights",
        True,
    )
    assert own_or_first("net", "abcdef02" + "0" * 56) == (
        members[2],
        True,
        "published with torchvision's weights for net: this very file",
    )
    assert own_or_first("net", "abc") == (members[0], False, assumed("net"))
    assert own_or_first("net", "-") == (
        members[1],
        True,
        "published with torchvision's weights for net: this very file",
    )


def test_digits_are_at_the_end_of_an_address() -> None:
    assert hash_digits("https://host/net-0123abcd.pth") == "0123abcd"
    assert hash_digits("https://host/net-0123abcdef.pth") == "0123abcdef"
    for other in ("net-0123abc.pth", "net-0123abcd.pt", "net0123abcd.pth", "net-0123abcd.pth.x"):
        assert hash_digits(other) == ""


def test_classifiers_are_known_by_name() -> None:
    assert {"resnet18", "vit_b_16", "squeezenet1_1"} <= set(classifiers())
    assert not {"fcn_resnet50", "r3d_18", "raft_large"} & set(classifiers())
    assert close_names("ResNet19") == ["resnet18", "resnet152", "resnet101"]
    assert close_names("zzzz") == []
    assert DOUBLES == {"resnet18": "resnetblur18", "resnet50": "resnetaa50 and resnetblur50"}


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_there_or_not(name: str) -> None:
    assert variants(name) == [{"aux_logits": True}, {"aux_logits": False}]
    assert variants("resnet18") == [{}]
    with_heads = build(name, {"num_classes": 3, "aux_logits": True}).state_dict()
    without = build(name, {"num_classes": 3, "aux_logits": False}).state_dict()
    assert set(without) < set(with_heads)
    assert all("aux" in key.lower() for key in set(with_heads) - set(without))


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "regnet_y_400mf"])
def test_a_network_is_built_without_values(name: str) -> None:
    net = build(name, {"num_classes": 3})
    assert all(tensor.is_meta for tensor in net.parameters())
    assert net.fc.out_features == 3
    assert first_convolution(net) == {
        "resnet18": "conv1", "googlenet": "conv1.conv", "regnet_y_400mf": "stem.0",
    }[name]  # fmt: skip


def test_widths_are_computed_with_values() -> None:
    with torch.device("meta"), Counting():
        counted = (torch.arange(3), torch.linspace(0, 1, 3), torch.tensor([1.0]))
        assert not any(tensor.is_meta for tensor in counted)
        assert torch.ones(3).is_meta and torch.zeros(2).is_meta
        assert torch.arange(3, dtype=torch.float64).dtype == torch.float64


def test_the_first_convolution_takes_other_channels() -> None:
    net = nn.Sequential(nn.Flatten(0), nn.Conv2d(3, 8, (3, 5), 2, bias=False), nn.Conv2d(8, 4, 1))
    before = net[1].weight
    take_channels(net, 3)
    assert net[1].weight is before
    take_channels(net, 1)
    assert (net[1].in_channels, net[1].weight.shape) == (1, (8, 1, 3, 5))
    assert net[1].weight.is_meta and isinstance(net[1].weight, nn.Parameter)
    assert net[2].in_channels == 8
    assert torchvision_nets.first_convolution(net) == "1"
