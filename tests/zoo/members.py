"""The networks of the zoo: how each is built, at which size it is run, and what is published."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from reportgen.load import torchvision_nets

Size: TypeAlias = tuple[int, int]
Task: TypeAlias = Literal["classify", "segment", "detect"]

SMALL: Size = (64, 96)
"What a network is given that takes any size: (height, width)."


@dataclass(frozen=True)
class Member:
    """One architecture."""

    library: Literal["torchvision", "timm"]
    name: str
    family: str
    native: Size
    "(height, width) of the published numbers."
    parameters: float
    "As published; in millions with two decimals for timm."
    gmacs: float
    "As published, in billions."
    size: Size = SMALL
    "(height, width) that the report is made at."
    arguments: Mapping[str, Any] = field(default_factory=dict)
    "With which the network takes that size."
    note: str = ""
    "Why the published multiplications are others, where they are."
    task: Task = "classify"
    told: Mapping[str, Any] = field(default_factory=dict)
    "What the constructor is told at any size."
    is_frozen: bool = False
    "Whether the batch norms of the backbone have no parameters where it is published."

    @property
    def label(self) -> str:
        """`timm:beit_base_patch16_224`: a name for files and for `--arch`."""
        return f"{self.library}:{self.name}"

    @property
    def millions(self) -> float:
        """Parameters, in millions."""
        return self.parameters / (1e6 if self.library == "torchvision" else 1)

    def small(self) -> nn.Module:
        """The network with seeded random values, as the report is made of it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _maker(self)(**self.told, **self.arguments).eval()

    def published(self) -> nn.Module:
        """The network at its published size: shapes without values, but for detection."""
        if self.task == "detect":  # which cannot look for objects without values
            # What is published is of an image in which nothing is found, by these nothing proposed.
            is_small = self.name.startswith("fasterrcnn_mobilenet")
            has_more = self.name.startswith(("maskrcnn", "keypointrcnn"))
            limits = {"rpn_score_thresh": 1.0} if is_small else {}
            # The newer Mask R-CNN is published with the masks of as many objects as it gives.
            limits |= {"box_score_thresh": 0.0 if "_v2" in self.name else 1.0} if has_more else {}
            net = _maker(self)(**self.told, **limits).eval()
            return _frozen(net) if self.is_frozen else net
        if self.library == "torchvision":
            return torchvision_nets.build(self.name, self.told).eval()
        try:
            with torch.device("meta"):
                return _maker(self)().eval()
        except (NotImplementedError, RuntimeError):  # a constructor that reads values
            return _maker(self)().to("meta").eval()


def _maker(member: Member) -> Callable[..., nn.Module]:
    if member.library == "timm":
        import timm

        return lambda **arguments: timm.create_model(member.name, **arguments)
    from torchvision import models

    is_slow = member.name in torchvision_nets.REORDERS_COLOURS
    more = {"init_weights": False} if is_slow else {}
    return lambda **arguments: models.get_model(member.name, **more, **arguments)


def _frozen(net: nn.Module) -> nn.Module:
    """A network of detection with the batch norms that it has where its backbone was trained."""
    from torchvision.ops import FrozenBatchNorm2d

    for part in list(net.backbone.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, FrozenBatchNorm2d(child.num_features))
    return net


def members() -> tuple[Member, ...]:
    """All of them: torchvision's, then timm's families."""
    return (*_of_torchvision(), *_for_places(), *_OF_TIMM)


@cache
def _firsts() -> frozenset[str]:
    smallest = {m.family: m for m in sorted(members(), key=lambda m: -m.millions)}
    return frozenset(member.label for member in smallest.values())


def is_first(member: Member) -> bool:
    """Whether it is the smallest of its family."""
    return member.label in _firsts()


_FIXED: dict[str, tuple[Size, dict[str, Any]]] = {
    "vit_h_14": ((56, 56), {"image_size": 56}),
    "vit_": ((64, 64), {"image_size": 64}),
    "maxvit": ((224, 224), {}),
    "inception": ((96, 128), {}),
}
"By the beginning of a name: a size that suits networks that do not take any, and how it is told."


def _of_torchvision() -> Iterator[Member]:
    from torchvision import models

    for name in torchvision_nets.classifiers():
        weights = [w for w in models.get_model_weights(name) if w.meta["categories"]]
        plainest = min(weights, key=lambda weight: weight.transforms().crop_size[0])
        side = plainest.transforms().crop_size[0]
        size, arguments = next(
            (_FIXED[start] for start in _FIXED if name.startswith(start)), (SMALL, {})
        )
        yield Member(
            library="torchvision",
            name=name,
            family=name.split("_")[0].rstrip("0123456789"),
            native=(side, side),
            parameters=plainest.meta["num_params"],
            gmacs=plainest.meta["_ops"],
            size=size,
            arguments=arguments,
            # Its auxiliary heads are thrown away where it is published.
            told={"aux_logits": False} if name == "googlenet" else {},
        )


_BOXES: dict[str, Size] = {
    "ssd300": (300, 300),
    "ssdlite": (320, 320),
    "fasterrcnn_mobilenet_v3_large_320": (320, 320),
}
"By the beginning of a name: the size to which a network for detection brings all images itself."


def _for_places() -> Iterator[Member]:
    """torchvision's networks for segmentation and detection."""
    from torchvision import models

    for module, task in ((models.segmentation, "segment"), (models.detection, "detect")):
        for name in models.list_models(module=module):
            published = next(iter(models.get_model_weights(name))).meta
            told: dict[str, Any] = {"weights_backbone": None}
            arguments: dict[str, Any] = {}
            native = (520, 520)
            if task == "segment" and not name.startswith("lraspp"):
                told["aux_loss"] = True
            if task == "detect":
                native = next((_BOXES[b] for b in _BOXES if name.startswith(b)), (800, 800))
                if not name.startswith("ssd"):
                    arguments = {"min_size": SMALL[0], "max_size": SMALL[1]}
                if "rcnn" in name:  # of noise a hundred objects are found, and 512 maps of each
                    arguments |= {"rpn_post_nms_top_n_test": 40, "box_detections_per_img": 4}
            yield Member(
                library="torchvision",
                name=name,
                family=name.split("_")[0],
                native=native,
                parameters=published["num_params"],
                gmacs=published["_ops"],
                arguments=arguments,
                task=task,  # type: ignore[arg-type]
                told=told,
                is_frozen=task == "detect" and not name.startswith("ssd") and "_v2" not in name,
            )


def _timm(
    name: str, family: str, parameters: float, gmacs: float, native: int = 224, **more: Any
) -> Member:
    size = more.pop("size", SMALL)
    note = more.pop("note", "")
    return Member("timm", name, family, (native, native), parameters, gmacs, size, more, note)


_FUSED = "published without the products of attention, which run fused there"

# Millions of parameters and billions of multiplications from timm's benchmark tables
# (results/benchmark-infer-amp-nhwc-pt210-cu121-rtx3090.csv and -nchw-pt291-cu128-4090.csv).
_OF_TIMM = (
    _timm("vit_tiny_patch16_224", "ViT", 5.72, 1.08, img_size=SMALL, note=_FUSED),
    _timm("deit_tiny_distilled_patch16_224", "DeiT", 5.91, 1.09, img_size=SMALL, note=_FUSED),
    _timm("beit_base_patch16_224", "BEiT", 86.53, 17.58, img_size=SMALL),
    _timm("eva02_tiny_patch14_224", "EVA-02", 5.50, 1.70, img_size=(56, 84), size=(56, 84)),
    _timm("vit_base_patch32_clip_224", "CLIP (ViT)", 88.22, 4.37, img_size=SMALL, note=_FUSED),
    _timm("resnet50_clip", "CLIP (ResNet)", 38.32, 6.14, size=(224, 224)),
    _timm(
        "vit_small_patch14_dinov2",
        "DINOv2",
        22.06,
        29.46,
        518,
        img_size=(56, 84),
        size=(56, 84),
        note=_FUSED,
    ),
    _timm("cait_xxs24_224", "CaiT", 11.96, 2.53, img_size=SMALL),
    _timm("swin_tiny_patch4_window7_224", "Swin", 28.29, 4.51, img_size=SMALL),
    _timm("swinv2_tiny_window8_256", "Swin v2", 28.35, 5.96, 256, img_size=SMALL),
    _timm("maxvit_rmlp_pico_rw_256", "MaxViT", 7.52, 1.69, 256, img_size=SMALL, note=_FUSED),
    _timm("coatnet_pico_rw_224", "CoAtNet", 10.85, 1.96, img_size=SMALL),
    _timm("convnext_atto", "ConvNeXt", 3.70, 0.55),
    _timm("convnextv2_atto", "ConvNeXt v2", 3.71, 0.55),
    _timm("regnety_002", "RegNet", 3.16, 0.20),
    _timm("efficientnet_b0", "EfficientNet", 5.29, 0.40),
    _timm("tf_efficientnetv2_b0", "EfficientNet v2", 7.14, 0.54, 192),
    _timm("mobilenetv4_conv_small", "MobileNet v4", 3.77, 0.19),
    _timm("mobilevit_xxs", "MobileViT", 1.27, 0.34, 256, note=_FUSED),
    _timm("ghostnet_100", "GhostNet", 5.18, 0.15),
    _timm("mixer_s32_224", "MLP-Mixer", 19.10, 1.00, img_size=SMALL),
    _timm("resmlp_12_224", "ResMLP", 15.35, 3.01, img_size=SMALL),
    _timm("gmlp_s16_224", "gMLP", 19.42, 4.42, img_size=SMALL),
    _timm("resnetv2_50", "ResNet v2", 25.55, 4.11),
    _timm("eca_nfnet_l0", "NFNet", 24.14, 4.35),
    _timm("res2net50_26w_4s", "Res2Net", 25.70, 4.28),
    _timm("levit_128s", "LeViT", 7.78, 0.31, size=(224, 224)),
    _timm("pit_ti_224", "PiT", 4.85, 0.50, size=(224, 224), note=_FUSED),
    _timm("xcit_nano_12_p16_224", "XCiT", 3.05, 0.56),
    _timm("crossvit_9_240", "CrossViT", 8.55, 1.55, 240, size=(240, 240), note=_FUSED),
    _timm("twins_pcpvt_small", "Twins", 24.11, 3.68, img_size=SMALL),
    _timm("pvt_v2_b0", "PVT v2", 3.67, 0.53, note=_FUSED),
    _timm("poolformer_s12", "PoolFormer", 11.92, 1.82),
    _timm("efficientformer_l1", "EfficientFormer", 12.29, 1.30, size=(224, 224)),
    _timm("edgenext_xx_small", "EdgeNeXt", 1.33, 0.26, 256),
    _timm("mambaout_femto", "MambaOut", 7.30, 1.16),
    _timm("hrnet_w18_small", "HRNet", 13.19, 1.61),
    _timm("dla34", "DLA", 15.74, 3.07),
    _timm("dpn68", "DPN", 12.61, 2.35),
    _timm("repvgg_a0", "RepVGG", 9.11, 1.52),
    _timm("davit_tiny", "DaViT", 28.36, 4.47),
    _timm("hiera_tiny_224", "Hiera", 27.91, 4.91, size=(224, 224)),
)
