"""What torchvision says of its networks of maps and boxes: classes, images, this very file."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torchvision import models
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from reportgen.load.dense_nets import (
    build_dense,
    dense_arguments,
    dense_fits,
    dense_names,
    dense_publication,
)
from reportgen.load.torchvision_nets import hash_digits

PLAIN = cast(Any, SimpleNamespace())
COLOURS: dict[str, Any] = {"max_size": 900, "image_mean": [0.4] * 3, "image_std": [0.2] * 3}


def test_maps_and_boxes_are_known_and_classifiers_are_not() -> None:
    names = dense_names()
    assert {"fcn_resnet50", "fasterrcnn_resnet50_fpn", "ssd300_vgg16"} <= names
    assert not names & {"resnet18", "vit_b_16"}


@pytest.mark.parametrize(
    ("name", "classes"), [("fcn_resnet50", 5), ("lraspp_mobilenet_v3_large", 3)]
)
def test_the_classes_are_counted_in_the_weights(name: str, classes: int) -> None:
    weights = build_dense(name, {"num_classes": classes}).state_dict()
    assert dense_arguments(weights) == {"num_classes": classes}


def test_a_second_head_is_seen_wherever_it_stands() -> None:
    weights = {"aux_classifier.0.weight": torch.ones(4, 2)}
    assert dense_arguments(weights) == {"aux_loss": True}
    assert dense_arguments({f"net.{name}": value for name, value in weights.items()}) == {
        "aux_loss": True
    }
    assert dense_arguments({"my_aux_classifier.weight": torch.ones(2)}) == {}


def test_values_of_no_meaning_are_always_the_same_and_take_no_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = build_dense("lraspp_mobilenet_v3_large", {}).state_dict()
    assert torch.equal(torch.rand(3), expected)
    again = build_dense("lraspp_mobilenet_v3_large", {}).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_images_of_maps_are_those_of_the_weights_that_torchvision_published() -> None:
    (member,) = list(models.get_model_weights("fcn_resnet50"))
    expected = member.transforms()
    assumed = dense_publication("fcn_resnet50", PLAIN, "0" * 64)
    own = dense_publication("fcn_resnet50", PLAIN, hash_digits(member.url) + "0" * 56)
    for found, is_own in ((assumed, False), (own, True)):
        prepared = found.preprocessing
        assert prepared is not None and prepared.is_assumed is not is_own
        assert (prepared.height, prepared.width, prepared.resize) == (520, 520, 520)
        assert prepared.interpolation == expected.interpolation.value == "bilinear"
        assert prepared.mean == tuple(expected.mean) and prepared.std == tuple(expected.std)
        assert prepared.channels == 3 and found.is_torchvisions_own is is_own
        assert prepared.source.startswith("published with torchvision's weights for fcn_resnet50")
        assert prepared.source.endswith(": this very file" if is_own else "; assumed for this file")
    assert (assumed.labels, assumed.labels_source) == ((), "")
    assert own.labels == tuple(member.meta["categories"])
    assert own.labels_source == "torchvision's published weights"


@pytest.mark.parametrize(
    ("stated", "width", "height"),
    [({"fixed_size": (320, 300)}, 320, 300), ({"min_size": (640, 800)}, 800, 800)],
    ids=["fixed", "shorter side"],
)
def test_a_network_that_prepares_its_images_says_how_large(
    stated: dict[str, Any], width: int, height: int
) -> None:
    inside = GeneralizedRCNNTransform(**{"min_size": 700, **stated}, **COLOURS)
    found = dense_publication("ssd300_vgg16", cast(Any, SimpleNamespace(transform=inside)), "-")
    prepared = found.preprocessing
    assert prepared is not None and not prepared.is_assumed
    assert (prepared.width, prepared.height, prepared.resize) == (width, height, min(width, height))
    assert (prepared.mean, prepared.std) == ((0.0,) * 3, (1.0,) * 3)
    assert prepared.source == "read from the network, which normalises images itself"
    assert prepared.interpolation == "bilinear" and found.labels == ()
    other = cast(Any, SimpleNamespace(transform=SimpleNamespace()))
    assumed = dense_publication("fcn_resnet50", other, "0" * 64).preprocessing
    assert assumed is not None and assumed.is_assumed


def test_maps_and_boxes_are_told_by_their_last_weights() -> None:
    """Each head by the end of its name; empty tensors tell nothing."""
    for key in ("classifier.4.weight", "classifier.low_classifier.weight"):
        assert dense_arguments({key: torch.ones(4, 2)}) == {"num_classes": 4}
        assert dense_arguments({key: torch.ones(4, 0)}) == {}
        assert dense_arguments({key: torch.tensor(4.0)}) == {}
    boxes = "roi_heads.box_predictor.cls_score.weight"
    assert dense_arguments({boxes: torch.ones(4, 2)}) == {"num_classes": 4}
    points = "roi_heads.keypoint_predictor.kps_score_lowres.bias"
    assert dense_arguments({points: torch.ones(5)}) == {"num_keypoints": 5}
    for end, beside in (
        ("cls_logits.bias", "bbox_reg.bias"),
        ("module_list.0.bias", "module_list.0.bias"),
        ("module_list.0.1.bias", "module_list.0.1.bias"),
    ):
        heads = {
            f"head.classification_head.{end}": torch.ones(6 * 9),
            f"head.regression_head.{beside}": torch.ones(4 * 9),
        }
        assert dense_arguments(heads) == {"num_classes": 6}
        assert dense_arguments({f"module.{key}": value for key, value in heads.items()}) == {
            "num_classes": 6
        }
        assert dense_arguments(dict([next(iter(heads.items()))])) == {}


def test_weights_of_maps_begin_with_a_backbone() -> None:
    weights = build_dense("lraspp_mobilenet_v3_large", {"num_classes": 3}).state_dict()
    assert dense_fits(weights) == ["lraspp_mobilenet_v3_large"]
    assert dense_fits({f"x.{key}": value for key, value in weights.items()}) == []
    bare = {key: value for key, value in weights.items() if not key.startswith("classifier")}
    assert dense_fits(bare) == []


def test_a_network_of_boxes_takes_images_as_they_are() -> None:
    net = build_dense("ssdlite320_mobilenet_v3_large", {"num_classes": 3})
    found = dense_publication("ssdlite320_mobilenet_v3_large", net, "0" * 64)
    assert (found.labels, found.labels_source, found.is_torchvisions_own) == ((), "", False)
    assert found.preprocessing is not None
    assert vars(found.preprocessing) == {
        **{"height": 320, "width": 320, "resize": 320, "interpolation": "bilinear"},
        **{"mean": (0.0,) * 3, "std": (1.0,) * 3, "channels": 3, "is_assumed": False},
        "source": "read from the network, which normalises images itself",
        "slices": None,
    }
