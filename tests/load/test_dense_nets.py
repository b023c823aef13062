"""What the weights of torchvision's networks for detection tell, and what they do to images."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from reportgen.load.dense_nets import dense_arguments, take_eps
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


def test_a_file_needs_no_count_of_classes(tmp_path: Path) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    net = of_detection(name, num_classes=6).eval()
    torch.save(net.state_dict(), tmp_path / "boxes.pth")
    model = load_model(tmp_path / "boxes.pth", arch=f"torchvision:{name}")
    for key, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, net.state_dict()[key]), key
    assert model.preprocessing is not None
    assert (model.preprocessing.height, model.preprocessing.width) == (320, 320)


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
