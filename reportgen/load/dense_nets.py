"""torchvision's networks that answer for places of an image: segmentation and detection."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from reportgen.load.torchvision_nets import Publication, hash_digits
from reportgen.report.records import Preprocessing

_COUNTED = (
    "classifier.4.weight",
    "classifier.low_classifier.weight",
    "roi_heads.box_predictor.cls_score.weight",
)
"Weights with one row a class: of FCN and DeepLab, LR-ASPP, and the R-CNN family."


@cache
def dense_names() -> frozenset[str]:
    """Names of all of torchvision's networks for segmentation and detection."""
    from torchvision import models

    return frozenset(
        name
        for module in (models.segmentation, models.detection)
        for name in models.list_models(module=module)
    )


def dense_arguments(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Arguments of a constructor that the weights tell: how many classes, and a second head."""
    found: dict[str, Any] = {}
    for key, tensor in tensors.items():
        if key.endswith(_COUNTED):
            found["num_classes"] = len(tensor)
        if ".aux_classifier." in f".{key}":
            found["aux_loss"] = True
    return found


def build_dense(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network with values of no meaning, without a download.

    Its anchors are computed when it is made, so that it cannot be made without values.
    """
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net: nn.Module = models.get_model(name, **{"weights_backbone": None, **arguments})
    return net


def dense_publication(name: str, net: nn.Module, sha256: str) -> Publication:
    """What is known of the images and classes of a network, or of one file.

    Args:
        name: of the network.
        net: it.
        sha256: of the file.
    """
    from torchvision import models

    members = list(models.get_model_weights(name))
    own = [member for member in members if sha256.startswith(hash_digits(member.url) or "-")]
    source = f"published with torchvision's weights for {name}"
    source += ": this very file" if own else "; assumed for this file"
    member = (own or members)[0]
    inside = getattr(net, "transform", None)
    if inside is not None and hasattr(inside, "image_mean"):
        # It resizes and normalises images itself.
        size = getattr(inside, "fixed_size", None)
        width, height = size or (inside.min_size[-1],) * 2
        mean, std, resize, interpolation = (0.0,) * 3, (1.0,) * 3, min(height, width), "bilinear"
        source, is_assumed = "read from the network, which normalises images itself", False
    else:
        transforms = member.transforms()
        (resize,), interpolation = transforms.resize_size, transforms.interpolation.value
        height, width = resize, resize
        mean, std, is_assumed = tuple(transforms.mean), tuple(transforms.std), not own
    return Publication(
        preprocessing=Preprocessing(
            height=height,
            width=width,
            resize=resize,
            interpolation=interpolation,
            mean=mean,
            std=std,
            channels=3,
            source=source,
            is_assumed=is_assumed,
        ),
        labels=tuple(member.meta["categories"]) if own else (),
        labels_source="torchvision's published weights" if own else "",
        is_torchvisions_own=bool(own),
    )
