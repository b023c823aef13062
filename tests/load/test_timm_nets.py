"""What is said of timm's networks, whole sentences and whole records."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import nn
from torchvision.models._meta import _IMAGENET_CATEGORIES

from reportgen.errors import ModelError, OptionError
from reportgen.load import timm_nets, timm_network
from reportgen.load.checkpoint import read_checkpoint
from reportgen.load.request import BY_FLAG, BY_TIMM, Request
from reportgen.load.timm_network import recognised_timm, with_metadata
from reportgen.load.timm_network import timm_network as network_of
from reportgen.load.torchvision_nets import Publication
from reportgen.report.records import Preprocessing
from tests.load.test_timm import net, saved

timm = pytest.importorskip("timm")


def refusal(work: Any, *given: Any) -> str:
    with pytest.raises((ModelError, OptionError)) as caught:
        work(*given)
    return str(caught.value)


def test_what_needs_timm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    timm_nets.require_timm("--arch timm:x")
    monkeypatch.setattr(timm_nets, "find_spec", lambda name: None if name == "timm" else 1)
    assert refusal(timm_nets.require_timm, "--arch timm:x") == (
        "--arch timm:x needs the package timm: pip install 'torch-reportgen[timm]'."
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Test_Vitt", "did you mean test_vit or test_vit4 or test_vit3?"),
        ("zzzzzz", "timm has no such network."),
        ("test_vit.mine", "timm has no weights 'mine' of test_vit; it has r160_in1k."),
    ],
)
def test_a_network_that_timm_does_not_have_is_told(name: str, words: str) -> None:
    assert refusal(timm_nets.metadata, name, "asked") == f"asked: {words}"


def test_a_network_may_have_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_nets, "tags", lambda name: [])
    assert refusal(timm_nets.metadata, "test_vit.x", "asked") == (
        "asked: timm has no weights 'x' of test_vit; it has none."
    )


def test_the_first_eight_sets_of_weights_are_named() -> None:
    message = refusal(timm_nets.metadata, "resnet50.mine", "asked")
    known = timm_nets.tags("resnet50")
    assert len(known) > 8 and all(name.startswith("resnet50.") for name in known)
    first = ", ".join(name.removeprefix("resnet50.") for name in known[:8])
    assert message == f"asked: timm has no weights 'mine' of resnet50; it has {first}."


def test_what_timm_says_of_a_network_is_plain() -> None:
    known = timm_nets.metadata("test_vit", "asked")
    assert known == timm_nets.metadata("test_vit.r160_in1k", "asked")
    told = {name: known[name] for name in ("architecture", "tag", "input_size", "classifier")}
    assert told == {
        "architecture": "test_vit",
        "tag": "r160_in1k",
        "input_size": (3, 160, 160),
        "classifier": "head",
    }


@pytest.mark.parametrize("word", ["pretrained", "checkpoint_path", "pretrained_cfg"])
def test_other_weights_are_never_read(word: str) -> None:
    assert refusal(timm_nets.build, "test_vit", {word: "x", "num_classes": 3}) == (
        f"--arch-args: `{word}` would read other weights than the file's."
    )


def test_arguments_that_a_constructor_refuses_are_told() -> None:
    assert refusal(timm_nets.build, "test_resnet.r160_in1k", {"wings": 2}) == (
        "--arch-args do not suit test_resnet.r160_in1k: ResNet.__init__() got an unexpected "
        "keyword argument 'wings'"
    )
    assert timm_nets.build("test_resnet.r160_in1k", {"num_classes": 3}).num_classes == 3


def test_sizes_are_those_of_the_head_and_the_first_convolution() -> None:
    known = {"classifier": "head", "first_conv": "stem"}
    grey = {"head.weight": torch.ones(7, 2), "stem.weight": torch.ones(4, 1, 3, 3)}
    assert timm_nets.sizes_in(grey, known) == {"num_classes": 7, "in_chans": 1}
    several = {"classifier": ("head", "other"), "first_conv": ["stem", "x"]}
    assert timm_nets.sizes_in(grey, several) == {"num_classes": 7, "in_chans": 1}
    colours = {**grey, "stem.weight": torch.ones(4, 3, 3, 3)}
    assert timm_nets.sizes_in(colours, known) == {"num_classes": 7}
    flat = {**grey, "stem.weight": torch.ones(4, 1, 3)}
    assert timm_nets.sizes_in(flat, known) == {"num_classes": 7}
    assert timm_nets.sizes_in({}, known) == timm_nets.sizes_in(grey, {}) == {"num_classes": 0}
    assert timm_nets.sizes_in(grey, {"classifier": ()}) == {"num_classes": 0}


KNOWN = {
    **{"input_size": (3, 10, 20), "crop_pct": 0.8, "mean": (0.1, 0.2, 0.6)},
    **{"std": (0.1, 0.2, 0.3), "num_classes": 1000, "interpolation": "bilinear"},
}
EXPECTED = Preprocessing(
    height=10,
    width=20,
    resize=12,
    interpolation="bilinear",
    mean=(0.1, 0.2, 0.6),
    std=(0.1, 0.2, 0.3),
    channels=3,
    source="timm",
    is_assumed=False,
)


def prepared(known: dict[str, Any], channels: int = 3, **more: Any) -> Publication:
    usual: dict[str, Any] = {"classes": 1000, "size": None, "source": "timm", "is_assumed": False}
    return timm_nets.publication(known, channels=channels, **usual | more)


def changed(**given: Any) -> Preprocessing:
    return Preprocessing(**{**vars(EXPECTED), **given})


def test_what_is_published_is_taken_whole() -> None:
    names = tuple(_IMAGENET_CATEGORIES)
    assert prepared(KNOWN) == Publication(EXPECTED, names, "timm", False)
    assert prepared(KNOWN, is_assumed=True) == Publication(changed(is_assumed=True), (), "", False)
    assert prepared(KNOWN, classes=999) == Publication(EXPECTED, (), "", False)


@pytest.mark.parametrize(
    ("known", "more", "expected"),
    [
        ({"input_size": (10, 20)}, {}, EXPECTED),
        ({"crop_pct": None}, {}, changed(resize=11)),
        ({"crop_pct": 1}, {}, changed(resize=10)),
        ({"interpolation": None}, {}, changed(interpolation="bicubic")),
        *(
            ({"interpolation": name}, {}, changed(interpolation=name))
            for name in ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
        ),
        ({}, {"size": (30, 16)}, changed(height=30, width=16, resize=20)),
        ({"input_size": (3, 1, 1)}, {}, changed(height=1, width=1, resize=1)),
        ({"crop_mode": "squash", "crop_pct": 1.0}, {}, changed(resize=None)),
        (
            {"crop_mode": "squash"},
            {},
            changed(
                resize=None,
                source="timm, but for the crop: timm squeezes and crops images, here they are "
                "squeezed whole",
            ),
        ),
        (
            {"crop_mode": "border", "crop_pct": 1.0},
            {},
            changed(
                resize=None,
                source="timm, but for the crop: timm fits with a border images, here they are "
                "squeezed whole",
            ),
        ),
        (
            {"mean": (0.1, 0.2), "std": (0.3, 0.4)},
            {"channels": 2},
            changed(mean=(0.1, 0.2), std=(0.3, 0.4), channels=2),
        ),
        (
            {"mean": (0.1,), "std": (0.3,)},
            {"channels": 1},
            changed(mean=(0.1,), std=(0.3,), channels=1),
        ),
    ],
    ids=str,
)
def test_how_timm_prepares_images(
    known: dict[str, Any], more: dict[str, Any], expected: Preprocessing
) -> None:
    assert prepared({**KNOWN, **known}, **more).preprocessing == expected


def test_grey_is_the_mean_of_colours() -> None:
    found = prepared({**KNOWN, "mean": (0.0, 0.25, 0.5), "std": (0.5, 0.5, 0.5)}, 1).preprocessing
    assert found == changed(
        mean=(0.25,),
        std=(0.5,),
        channels=1,
        source="timm, with the mean of the three colours for its one channel",
    )


@pytest.mark.parametrize(
    "known",
    [
        *({"mean": (0.1,) * 2}, {"std": (0.1,) * 2}, {"mean": (0.1,) * 4, "std": (0.1,) * 4}),
        *({"crop_pct": 1.01}, {"crop_pct": -0.1}, {"std": (0.1, 0.2, 0.0)}, {"std": (0.1, -1, 1)}),
        *({"input_size": (3, 0, 5)}, {"input_size": (3, 5, -1)}, {"input_size": None}),
        *({"mean": "abc"}, {"interpolation": "random"}, {"crop_pct": "much"}),
    ],
    ids=str,
)
def test_what_timm_cannot_mean_is_no_preprocessing(known: dict[str, Any]) -> None:
    assert prepared({**KNOWN, **known}).preprocessing is None


def test_a_missing_number_is_no_preprocessing() -> None:
    for name in ("mean", "std", "input_size"):
        assert prepared({key: KNOWN[key] for key in KNOWN if key != name}).preprocessing is None


def request(file: Path, **arguments: Any) -> Request:
    with file.open("rb") as stream:
        return Request(file.name, "", read_checkpoint(file, stream), "", arguments)


def test_a_network_by_name_is_told_in_full(tmp_path: Path) -> None:
    asked = request(saved(net("test_resnet", num_classes=3, in_chans=1), tmp_path))
    found = network_of(asked, "test_resnet")
    assert (found.architecture, found.source, found.notes) == ("test_resnet", BY_FLAG, ())
    assert found.arguments == {"num_classes": 3, "in_chans": 1}
    assert found.input == (1, None)
    assert found.publication is not None and found.publication.preprocessing is not None
    assert found.publication.preprocessing.source == (
        "published with timm's weights for test_resnet; assumed for this file, with the mean of "
        "the three colours for its one channel"
    )
    assert found.publication.preprocessing.is_assumed
    stated = network_of(asked, "test_resnet.r160_in1k", BY_TIMM)
    assert stated.source == BY_TIMM and stated.publication is not None
    assert stated.publication.preprocessing is not None
    assert stated.publication.preprocessing.source.startswith(
        "published with timm's weights test_resnet.r160_in1k; as stated, with"
    )
    assert not stated.publication.preprocessing.is_assumed


def test_a_network_of_features_says_so(tmp_path: Path) -> None:
    asked = request(saved(net("test_convnext", num_classes=0), tmp_path))
    assert network_of(asked, "test_convnext").notes == (
        "test_convnext ends without a classifier: its outputs are features, and where classes are "
        "spoken of, they are numbers of features.",
    )


def test_the_size_of_a_transformer_is_in_its_positions(tmp_path: Path) -> None:
    file = saved(net("test_vit", num_classes=3, img_size=96), tmp_path)
    found = network_of(request(file), "test_vit")
    assert found.arguments == {"num_classes": 3, "img_size": 96}
    assert found.input == (3, (96, 96))
    assert refusal(network_of, request(file, img_size=64), "test_vit").startswith(
        "weights.pth does not fit timm's test_vit: pos_embed is 1x37x64 where 1x17x64 is expected"
    )


def test_settings_of_a_file_give_way_to_arguments(tmp_path: Path) -> None:
    file = saved(net("test_resnet", num_classes=3), tmp_path)
    known = timm_nets.metadata("test_resnet", "asked")
    given: dict[str, Any] = {"source": "by us", "said": "said", "is_assumed": False}
    settings = {"drop_rate": 0.25, "global_pool": "max"}
    asked = request(file, drop_rate=0.5)
    found = with_metadata(asked, "test_resnet", known, **given, settings=settings)
    assert found.arguments == {"num_classes": 3, "drop_rate": 0.5, "global_pool": "max"}
    assert (found.source, found.module.drop_rate) == ("by us", 0.5)
    assert found.publication is not None and found.publication.preprocessing is not None
    assert found.publication.preprocessing.source == "said"


def test_weights_that_do_not_fit_are_told_with_the_least_difference(tmp_path: Path) -> None:
    weights = {f"module.{n}": v for n, v in net("test_resnet", num_classes=3).state_dict().items()}
    weights["module.fc.bias"] = torch.ones(5)
    torch.save(weights, tmp_path / "m.pth")
    assert refusal(network_of, request(tmp_path / "m.pth"), "test_resnet") == (
        "m.pth does not fit timm's test_resnet: fc.bias is 5 where 3 is expected. Other arguments "
        "of its constructor go into --arch-args."
    )


def test_other_modules_around_weights_are_told(tmp_path: Path) -> None:
    module = net("test_resnet", num_classes=3)
    module.act1 = nn.GELU()
    torch.save(module, tmp_path / "whole.pth")
    asked = request(tmp_path / "whole.pth")
    differ = "act1 is GELU in the file, ReLU in torchvision's"
    assert network_of(asked, "test_resnet").notes == (
        f"The file's own modules differ from timm's test_resnet: {differ}.",
    )
    assert refusal(network_of, asked, "test_resnet", BY_TIMM) == (
        f"whole.pth has the weights of timm's test_resnet, but another network around them: "
        f"{differ}. If it is your own network, give its code: --arch FILE.py:NAME."
    )


@pytest.mark.parametrize(
    ("count", "listed"),
    [(2, "n0, n1"), (8, "n0, n1, n2, n3, n4, n5, n6, n7")],
)
def test_networks_that_share_weights_are_named(count: int, listed: str) -> None:
    asked = cast(Any, SimpleNamespace(file="m.pth"))
    start = "m.pth has weights that several networks of timm share, which may give other answers "
    end = "say which with --arch timm:n0."
    assert refusal(recognised_timm, asked, [f"n{i}" for i in range(count)]) == (
        f"{start}with them ({listed}); {end}"
    )
    many = refusal(recognised_timm, asked, [f"n{i}" for i in range(10)])
    assert many == f"{start}with them (n0, n1, n2, n3, n4, n5, n6, n7 and 2 more); {end}"


def test_one_network_is_built_or_needs_timm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request(saved(net("test_resnet", num_classes=3), tmp_path))
    assert recognised_timm(asked, ["test_resnet"]).source == BY_TIMM
    monkeypatch.setattr(timm_nets, "find_spec", lambda name: None)
    assert refusal(recognised_timm, asked, ["test_resnet"]) == (
        "weights.pth holds timm's test_resnet, which needs the package timm: pip install "
        "'torch-reportgen[timm]'."
    )


def test_what_is_built_takes_no_random_numbers() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = timm_network._quietly_built("test_resnet", {})
    assert torch.equal(torch.rand(3), expected)
    again = timm_network._quietly_built("test_resnet", {}).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.state_dict().items())
