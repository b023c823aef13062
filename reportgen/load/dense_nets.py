"""torchvision's networks that answer for places of an image: segmentation and detection."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from reportgen.load.architectures import shapes_of
from reportgen.load.torchvision_nets import Publication, hash_digits, own_or_first
from reportgen.report.records import Preprocessing

_COUNTED = (
    "classifier.4.weight",
    "classifier.low_classifier.weight",
    "roi_heads.box_predictor.cls_score.weight",
)
"Weights with one row a class: of FCN and DeepLab, LR-ASPP, and the R-CNN family."

_LAST = ("cls_logits.bias", "module_list.0.bias", "module_list.0.1.bias")
"The end of RetinaNet's and FCOS's, SSD's, and SSDlite's heads: a row for each class and anchor."

_POINTS = "keypoint_predictor.kps_score_lowres.bias"
"One number for each point that Keypoint R-CNN looks for."

_WITHOUT_EPS = frozenset(
    f"{kind}_resnet50_fpn" for kind in ("fasterrcnn", "keypointrcnn", "maskrcnn", "retinanet")
)
"Networks whose published weights belong to batch norms that add nothing to a variance."

_KINDS = (
    ("roi_heads.mask_predictor.mask_fcn_logits.weight", "maskrcnn"),
    ("roi_heads.keypoint_predictor.kps_score_lowres.weight", "keypointrcnn"),
    ("roi_heads.box_predictor.cls_score.weight", "fasterrcnn"),
    ("head.regression_head.bbox_ctrness.weight", "fcos"),
    ("head.regression_head.bbox_reg.weight", "retinanet"),
    ("head.regression_head.module_list.0.1.weight", "ssdlite"),
    ("head.regression_head.module_list.0.weight", "ssd300"),
    ("classifier.low_classifier.weight", "lraspp"),
    ("classifier.0.convs.0.0.weight", "deeplabv3"),
    ("classifier.4.weight", "fcn"),
)
"The first of these weights that there is tells how the name of the network begins."


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
    """Arguments of a constructor that the weights tell: classes, points, a second head."""
    found: dict[str, Any] = {}
    rows = {key: len(tensor) for key, tensor in tensors.items() if tensor.numel() and tensor.ndim}
    for key, count in rows.items():
        if key.endswith(_COUNTED):
            found["num_classes"] = count
        if key.endswith(_POINTS):
            found["num_keypoints"] = count
        before, head, after = key.rpartition("head.classification_head.")
        # The head beside it has four rows, the sides of a box, for each anchor.
        beside = f"{before}head.regression_head.{after.replace('cls_logits', 'bbox_reg')}"
        if head and after in _LAST and beside in rows:
            found["num_classes"] = 4 * count // rows[beside]
        if ".aux_classifier." in f".{key}":
            found["aux_loss"] = True
    return found


def dense_fits(weights: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the networks for segmentation and detection that have exactly these weights."""
    is_dense = any(key.startswith("backbone.") for key in weights)
    kind = next((start for key, start in _KINDS if is_dense and key in weights), None)
    if kind is None:
        return []
    arguments, expected = dense_arguments(weights), shapes_of(weights)
    found = []
    for name in sorted(name for name in dense_names() if name.startswith(kind)):
        try:
            with torch.device("meta"):  # shapes alone: the file may claim any count of classes
                net = _made(name, arguments)
        except (RuntimeError, TypeError, ValueError):  # it takes no such head
            continue
        if shapes_of(net.state_dict()) == expected:
            found.append(name)
    return found


def build_dense(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network with values of no meaning, without a download.

    Its anchors are computed when it is made, so that it cannot be made without values.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _made(name, arguments)


def _made(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    from torchvision import models

    net: nn.Module = models.get_model(name, **{"weights_backbone": None, **arguments})
    return net


def dense_publication(name: str, net: nn.Module, sha256: str) -> Publication:
    """What is known of the images and classes of a network, or of one file.

    Args:
        name: of the network.
        net: it.
        sha256: of the file.
    """
    member, is_own, source = own_or_first(name, sha256)
    preprocessing = own_preprocessing(net)
    if preprocessing is None:
        transforms = member.transforms()
        (resize,) = transforms.resize_size
        preprocessing = Preprocessing(
            height=resize,
            width=resize,
            resize=resize,
            interpolation=transforms.interpolation.value,
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            channels=3,
            source=source,
            is_assumed=not is_own,
        )
    return Publication(
        preprocessing=preprocessing,
        labels=tuple(member.meta["categories"]) if is_own else (),
        labels_source="torchvision's published weights" if is_own else "",
        is_torchvisions_own=is_own,
    )


def take_eps(name: str, net: nn.Module, sha256: str) -> None:
    """Makes batch norms what they are in torchvision's own use of one of its files, if it is one.

    Args:
        name: of the network.
        net: it.
        sha256: of the file.
    """
    from torchvision import models

    if name in _WITHOUT_EPS:
        url = models.get_model_weights(name).COCO_V1.url
        if sha256.startswith(hash_digits(url)):
            for part in net.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eps = 0.0


def own_preprocessing(net: nn.Module) -> Preprocessing | None:
    """What is left to be done to images for a network that resizes and normalises them itself.

    So do torchvision's for detection. None for any other network.
    """
    inside: Any = getattr(net, "transform", None)
    if not type(inside).__module__.startswith("torchvision.models.detection."):
        return None
    width, height = inside.fixed_size or (inside.min_size[-1],) * 2
    channels = len(inside.image_mean)
    return Preprocessing(
        height=height,
        width=width,
        resize=min(height, width),
        interpolation="bilinear",
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        channels=channels,
        source="read from the network, which normalises images itself",
        is_assumed=False,
    )
