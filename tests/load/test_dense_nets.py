"""What the weights of torchvision's networks for detection tell, and what they do to images."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from reportgen.errors import ModelError
from reportgen.load.dense_nets import dense_arguments, dense_fits, take_eps
from reportgen.load.given_network import given_network
from reportgen.load.model import load_model


def of_detection(name: str, **arguments: Any) -> nn.Module:
    torch.manual_seed(3)
    net: nn.Module = models.get_model(name, weights=None, weights_backbone=None, **arguments)
    return net


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("retinanet_resnet50_fpn", {"num_classes": 7}),
        ("fcos_resnet50_fpn", {"num_classes": 7}),
        ("ssd300_vgg16", {"num_classes": 7}),
        ("ssdlite320_mobilenet_v3_large", {"num_classes": 1}),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", {"num_classes": 7}),
        ("keypointrcnn_resnet50_fpn", {"num_classes": 4, "num_keypoints": 5}),
    ],
)
def test_classes_and_points_are_read_from_weights(name: str, arguments: dict[str, int]) -> None:
    weights = of_detection(name, **arguments).state_dict()
    assert dense_arguments(weights) == arguments
    # As they lie in the checkpoint of a wrapper.
    assert dense_arguments({f"module.{key}": tensor for key, tensor in weights.items()}) == (
        arguments
    )


@pytest.mark.parametrize("arch", ["torchvision:ssdlite320_mobilenet_v3_large", ""])
def test_a_file_needs_no_count_of_classes(arch: str, tmp_path: Path) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    net = of_detection(name, num_classes=6).eval()
    torch.save(net.state_dict(), tmp_path / "boxes.pth")
    model = load_model(tmp_path / "boxes.pth", arch=arch)
    assert model.architecture == name
    for key, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, net.state_dict()[key]), key
    assert model.preprocessing is not None
    assert (model.preprocessing.height, model.preprocessing.width) == (320, 320)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("lraspp_mobilenet_v3_large", {"num_classes": 4}),
        ("deeplabv3_mobilenet_v3_large", {"num_classes": 4, "aux_loss": True}),
        ("fcn_resnet50", {"num_classes": 3}),
        ("fasterrcnn_resnet50_fpn_v2", {"num_classes": 3}),
    ],
)
def test_weights_tell_their_network(name: str, arguments: dict[str, Any]) -> None:
    weights = of_detection(name, **arguments).state_dict()
    assert dense_fits(weights) == [name]
    changed = next(key for key in weights if key.startswith("backbone"))
    assert dense_fits({**weights, changed: torch.zeros(3, 5)}) == []


def test_weights_of_no_sense_fit_nothing() -> None:
    weights = of_detection("ssdlite320_mobilenet_v3_large", num_classes=2).state_dict()
    for end in ("classification_head.module_list.0.1.bias", "regression_head.module_list.0.1.bias"):
        for shape in ((), (0,), (10**9, 0), (2**60, 0)):
            assert dense_fits({**weights, f"head.{end}": torch.zeros(shape)}) == []
    for key in ("roi_heads.box_predictor.cls_score.weight", "classifier.4.weight"):
        assert dense_fits({"backbone.a": torch.zeros(2), key: torch.empty(2**60, 0)}) == []
    other = {"roi_heads.keypoint_predictor.kps_score_lowres.bias", "aux_classifier.4.bias"}
    assert dense_fits(weights | dict.fromkeys(other, torch.zeros(2))) == []


def test_two_networks_of_the_same_weights_are_named(tmp_path: Path) -> None:
    net = of_detection("fasterrcnn_mobilenet_v3_large_fpn", num_classes=3)
    torch.save(net.state_dict(), tmp_path / "boxes.pth")
    names = "fasterrcnn_mobilenet_v3_large_320_fpn, fasterrcnn_mobilenet_v3_large_fpn"
    with pytest.raises(ModelError, match=f"fits several architectures .{names}.; say which"):
        load_model(tmp_path / "boxes.pth")


def test_a_network_in_memory_that_normalises_images_is_given_them_as_they_are() -> None:
    net = of_detection("fasterrcnn_mobilenet_v3_large_320_fpn", min_size=48, num_classes=3)
    found = given_network(net).preprocessing
    assert found is not None and not found.is_assumed
    assert (found.mean, found.std, found.height) == ((0,) * 3, (1,) * 3, 48)


def test_torchvisions_own_file_has_batch_norms_as_torchvision_uses_them() -> None:
    url = models.detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1.url
    digits = url.rpartition("-")[2].removesuffix(".pth")
    for name, sha256, expected in (
        ("fasterrcnn_resnet50_fpn", digits + "0" * 56, 0.0),
        ("fasterrcnn_resnet50_fpn", "0" * 64, 1e-5),
        ("fcos_resnet50_fpn", digits + "0" * 56, 1e-5),
    ):
        net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        take_eps(name, net, sha256)
        assert net[1].eps == expected


@pytest.mark.parametrize(
    ("name", "arguments", "others"),
    [
        ("maskrcnn_resnet50_fpn", {"num_classes": 3}, []),
        ("keypointrcnn_resnet50_fpn", {"num_classes": 3, "num_keypoints": 5}, []),
        ("fcos_resnet50_fpn", {"num_classes": 3}, []),
        ("retinanet_resnet50_fpn", {"num_classes": 3}, []),
        ("ssdlite320_mobilenet_v3_large", {"num_classes": 3}, []),
        ("ssd300_vgg16", {"num_classes": 3}, []),
        ("deeplabv3_resnet50", {"num_classes": 3}, []),
    ],
)
def test_each_kind_of_head_tells_its_networks(
    name: str, arguments: dict[str, Any], others: list[str]
) -> None:
    with torch.device("meta"):
        weights = of_detection(name, **arguments).state_dict()
    assert dense_fits(weights) == [name, *others]


def test_a_head_that_a_network_cannot_have_fits_nothing() -> None:
    """LR-ASPP has no second head, which its constructor says by refusing it."""
    with torch.device("meta"):
        weights = of_detection("lraspp_mobilenet_v3_large", num_classes=3).state_dict()
    assert dense_fits({**weights, "aux_classifier.4.bias": torch.ones(3)}) == []
