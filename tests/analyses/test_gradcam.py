"""Class activation maps against Captum's, torchcam's and CAM itself, and on known photos."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from PIL import Image as Picture
from torch import nn
from torchcam.methods import GradCAM, LayerCAM

from reportgen.analyses.cams import grad_cam, hires_cam, layer_cam
from reportgen.analyses.gradcam import run
from reportgen.analyses.study import Outcome, Study
from reportgen.options import Options
from reportgen.probe.probe import Probe
from reportgen.probe.ranks import rank_correlation
from reportgen.report.blocks import Heatmap
from reportgen.report.records import Panel
from tests.analyses.planted import evidence_of, preparation, study_of
from tests.analyses.test_stages import Shuffled
from tests.probe.nets import seeded

ROOT = Path(__file__).parents[2]
SIZE = (20, 28)


def study_with(
    module: nn.Module,
    size: tuple[int, int] = SIZE,
    pixels: Sequence[torch.Tensor] | None = None,
    true: dict[int, int] | None = None,
    cam_layer: str = "",
    **changes: Any,
) -> Study:
    """A study of a real network on seeded noise, or on given images."""
    prepared = preparation(size=size, **changes)
    given = pixels or torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(3)).unbind()
    probe = Probe(module, "cpu", 4)
    plain = study_of(evidence_of([], [], pictured=()), module, preprocessing=prepared)
    batch = plain.images.normalise(torch.stack(list(given)))
    evidence = probe.collect(batch.split, len(given), range(len(given)))
    labels = tuple(f"class {i}" for i in range(evidence.classes))
    study = study_of(
        evidence, module, labels=labels, true=true, preprocessing=prepared, probe=probe,
        options=Options(Path("model.pth"), (Path("images"),), cam_layer=cam_layer),
    )  # fmt: skip
    object.__setattr__(study.images, "given", tuple(given))
    return study


def panels_of(module: nn.Module, **arguments: Any) -> list[Panel]:
    return list(run(study_with(module, **arguments)).panels.values())


class Plain(nn.Module):
    """Two map sizes, then a linear layer; the ReLUs are modules, functions, in place or reused."""

    def __init__(self, style: str = "module") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.relu1 = nn.ReLU(style != "module")
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.relu2 = self.relu1 if style == "reused" else nn.ReLU(style != "module")
        self.fc = nn.Linear(8 * 10 * 14, 4)
        self.style = style

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.style == "function":
            x = F.relu_(self.conv2(self.pool(F.relu(self.conv1(x)))))
        else:
            x = self.relu2(self.conv2(self.pool(self.relu1(self.conv1(x)))))
        return self.fc(x.flatten(1))


def plain(style: str = "module") -> nn.Module:
    return seeded(lambda: Plain(style)).float()


def test_grad_cam_is_that_of_captum_at_every_layer() -> None:
    net = plain()
    study = study_with(net)
    for index, panel in enumerate(run(study).panels.values()):
        facts = panel.facts
        image = study.images.normalise(study.images.pixels(index))[None]
        shown = {"gradcam": (net.relu2, facts["target"]), "rival": (net.relu2, facts["runner_up"])}
        shown["stage_1"] = (net.relu1, facts["target"])
        for name, (layer, target) in shown.items():
            expected = LayerGradCam(net, layer).attribute(image, target=target)[0, 0]
            expected = expected.detach().numpy()
            assert panel.arrays[name].shape == expected.shape
            spread = float(np.ptp(expected))
            np.testing.assert_allclose(panel.arrays[name], expected, rtol=0, atol=1e-4 * spread)
        assert facts["layers"] == ("relu2",) * 4 + ("relu1",)
        assert panel.arrays["gradcam"].shape == (10, 14)


def torchcam_map(
    method: type[GradCAM], net: nn.Module, layer: str, image: torch.Tensor, target: int
):
    """The map of torchcam, which is cut off at zero, (h w)."""
    with method(net, target_layer=layer, input_shape=tuple(image.shape[1:])) as extractor:
        (found,) = extractor(target, net(image), normalized=False)
    return found[0].numpy()


def compare_with_torchcam(study: Study, net: nn.Module, expected: dict[str, tuple]) -> None:
    """Compares maps of both, which torchcam cuts off at zero.

    Args:
        study: of the network.
        net: without operations in place, which torchcam's hooks do not survive.
        expected: by name of our map: the method of torchcam, the layer and whose score.
    """
    for index, panel in enumerate(run(study).panels.values()):
        image = study.images.normalise(study.images.pixels(index))[None]
        for name, (method, layer, target) in expected.items():
            theirs = torchcam_map(method, net, layer, image, panel.facts[target])
            ours = np.maximum(panel.arrays[name], 0)
            assert ours.shape == theirs.shape and np.ptp(ours) > 0
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.ptp(ours))


def test_grad_cam_and_layer_cam_are_those_of_torchcam() -> None:
    net = plain()
    expected = {
        "gradcam": (GradCAM, "relu2", "target"),
        "rival": (GradCAM, "relu2", "runner_up"),
        "layercam": (LayerCAM, "relu2", "target"),
        "stage_1": (GradCAM, "relu1", "target"),
    }
    compare_with_torchcam(study_with(net), net, expected)


@pytest.mark.parametrize("style", ["in place", "reused", "function"])
def test_networks_that_compute_the_same_have_the_same_maps(style: str) -> None:
    for one, other in zip(panels_of(plain()), panels_of(plain(style)), strict=True):
        assert one.arrays.keys() == other.arrays.keys()
        for name, values in one.arrays.items():
            np.testing.assert_array_equal(other.arrays[name], values)


def test_the_network_may_be_frozen_and_gets_no_gradients() -> None:
    net = plain().requires_grad_(False)
    for one, other in zip(panels_of(plain()), panels_of(net), strict=True):
        np.testing.assert_array_equal(other.arrays["gradcam"], one.arrays["gradcam"])
    assert all(parameter.grad is None for parameter in net.parameters())


class Pooled(nn.Module):
    """Features, their mean over positions, a linear layer: what CAM was made for."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 7, 5)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.relu(self.conv(x)).mean((2, 3)))


def test_grad_cam_is_cam_up_to_a_constant_where_the_head_is_pool_and_linear() -> None:
    net = seeded(Pooled).float()
    study = study_with(net)
    for index, panel in enumerate(run(study).panels.values()):
        with torch.no_grad():
            features = net.conv(study.images.normalise(study.images.pixels(index))[None]).relu()[0]
            weights = net.fc.weight[panel.facts["target"]]
            cam = torch.einsum("u,uhw->hw", weights, features).numpy()
        positions = cam.size
        for name in ("gradcam", "hirescam"):
            np.testing.assert_allclose(panel.arrays[name] * positions, cam, atol=1e-5)


def test_maps_by_hand() -> None:
    values = np.array([[[1.0, 2.0, 0.0]], [[3.0, 0.0, 1.0]]])
    gradient = np.array([[[1.0, -1.0, 3.0]], [[-2.0, 0.0, -1.0]]])
    np.testing.assert_allclose(grad_cam(values, gradient), [[1 - 3, 2, -1]])
    np.testing.assert_allclose(layer_cam(values, gradient), [[1, 0, 0]])
    np.testing.assert_allclose(hires_cam(values, gradient), [[1 - 6, -2, -1]])


class Last(nn.Module):
    """Channels-last features behind a channels-first convolution, as in ConvNeXt."""

    def __init__(self, is_last: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, stride=4)
        self.mix = nn.Linear(6, 5)
        self.act = nn.GELU()
        self.fc = nn.Linear(5, 4)
        self.is_last = is_last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        if self.is_last:
            return self.fc(self.act(self.mix(x.permute(0, 2, 3, 1))).square().mean((1, 2)))
        mixed = F.conv2d(x, self.mix.weight[:, :, None, None], self.mix.bias)
        return self.fc(self.act(mixed).square().mean((2, 3)))


def test_channels_last_gives_the_map_of_channels_first() -> None:
    first, last = (panels_of(seeded(lambda v=v: Last(v)).float()) for v in (False, True))
    for one, other in zip(first, last, strict=True):
        assert other.arrays["gradcam"].shape == (5, 7)
        assert other.facts["layers"][0] == "act"
        for name, values in one.arrays.items():
            np.testing.assert_allclose(other.arrays[name], values, atol=1e-6)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 28, 4)), "No layer gives feature"),
        (Shuffled, "The network goes on with tokens"),
    ],
)
def test_without_maps_one_sentence_says_why(build: Callable[[], nn.Module], why: str) -> None:
    for panel in panels_of(seeded(build).float()):
        assert panel.facts["problem"].startswith(why) and panel.facts["problem"].endswith(".")
        assert not panel.blocks and not panel.arrays


def test_the_rival_is_the_strongest_other_class() -> None:
    study = study_with(plain(), true={0: 3})
    first, second = run(study).panels.values()
    assert (first.facts["target"], first.facts["target_source"]) == (3, "true class")
    for panel, image in zip((first, second), study.image_records, strict=True):
        others = [p.index for p in image.predictions if p.index != panel.facts["target"]]
        assert panel.facts["runner_up"] == others[0]
    assert first.blocks["gradcam"].maximum == first.blocks["rival"].maximum


def with_head(weight: float) -> nn.Module:
    """Features above zero, all of which raise (or lower, or leave) the score of the first class."""
    net = seeded(Pooled).float()
    with torch.no_grad():
        net.fc.weight.fill_(0)
        net.fc.weight[0] = weight
        net.fc.bias.copy_(torch.tensor([100.0, 0.0, -1.0, -2.0]))
    return net


@pytest.mark.parametrize("weight", [-1.0, 0.0, 1e-4])
def test_without_positive_evidence_the_map_stays_pale_and_a_finding_says_so(weight: float) -> None:
    study = study_with(with_head(weight))
    outcome = run(study)
    for panel in outcome.panels.values():
        assert panel.facts["has_evidence"] is False
        block = panel.blocks["gradcam"]
        assert "no positive evidence" in block.alt
        assert block.maximum >= 0.1 and block.values.max() <= 0.1 * block.maximum
    assert [finding.kind for finding in outcome.findings] == ["gradcam-no-evidence"] * 2
    assert outcome.findings[0].href == "images/photo0.html#gradcam"
    sure = run(study_with(nn.Sequential(with_head(weight), nn.Softmax(1))))
    assert sure.findings == () and not any(p.facts["has_evidence"] for p in sure.panels.values())
    shown = run(study_with(with_head(1.0)))
    assert all(panel.facts["has_evidence"] for panel in shown.panels.values())
    assert shown.findings == ()


def told_of_occlusion(study: Study, drops: list[np.ndarray], has_evidence: bool = True) -> Study:
    """The study after an occlusion section that found these drops, 10 x 14 windows of 2 x 2."""
    panels = {
        image.slug: Panel(
            {"has_evidence": has_evidence},
            blocks={
                "probability": Heatmap(
                    grid, "", "probability", True, None, "a", "c", window=(2, 2), stride=(2, 2)
                )
            },
        )
        for image, grid in zip(study.image_records, drops, strict=True)
    }
    return replace(study, earlier={"occlusion": Outcome(panels)})


def test_agreement_with_occlusion_is_a_rank_correlation() -> None:
    study = study_with(plain())
    alone = run(study)
    maps = [panel.arrays["gradcam"] for panel in alone.panels.values()]
    assert all(p.facts["occlusion_correlation"] is None for p in alone.panels.values())
    same = run(told_of_occlusion(study, maps))
    opposed = run(told_of_occlusion(study, [-values for values in maps]))
    for one, other in zip(same.panels.values(), opposed.panels.values(), strict=True):
        # Interpolated between cells and averaged again, it is nearly the map itself.
        assert one.facts["occlusion_correlation"] > 0.85
        correlation = one.facts["occlusion_correlation"]
        assert other.facts["occlusion_correlation"] == pytest.approx(-correlation, abs=1e-9)
    assert same.findings == ()
    assert [f.kind for f in opposed.findings] == ["gradcam-occlusion-disagree"] * 2
    assert "rank correlation -0." in opposed.findings[0].text
    nothing = run(told_of_occlusion(study, maps, has_evidence=False)).panels.values()
    assert all(panel.facts["occlusion_correlation"] is None for panel in nothing)


def test_rank_correlation_by_hand() -> None:
    first = np.array([[1.0, 2.0, 2.0], [5.0, -1.0, 9.0]])
    second = np.array([[0.0, 3.0, 1.0], [7.0, 7.0, 8.0]])

    def rank(values: np.ndarray) -> list[float]:
        flat = values.ravel().tolist()
        return [
            sum(other < value for other in flat) + (sum(other == value for other in flat) - 1) / 2
            for value in flat
        ]

    expected = np.corrcoef(rank(first), rank(second))[0, 1]
    assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(first, np.exp(first)) == pytest.approx(1.0)
    assert rank_correlation(first, np.zeros_like(first)) is None


def squeezenet() -> nn.Module:
    import torchvision

    net = torchvision.models.squeezenet1_1()
    weights = torch.load(ROOT / "sample_models/squeezenet1_1.pth", weights_only=True)
    net.load_state_dict(weights)
    return net.eval()


def photo(name: str) -> torch.Tensor:
    """The middle of a sample photo, (3 224 224) in [0, 1]."""
    picture = Picture.open(ROOT / "sample_models/photos" / name).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side)).resize((224, 224))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
TIGER_CAT, ESPRESSO = 282, 967


@pytest.mark.slow
def test_maps_of_a_trained_network_are_those_of_torchcam() -> None:
    photos = [photo(name)[:, :192] for name in ("chelsea.png", "coffee.png")]
    layer = "features.10.expand3x3"
    net = squeezenet()
    study = study_with(net, (192, 224), photos, cam_layer=layer, **IMAGENET)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    expected = {"gradcam": (GradCAM, layer, "target"), "layercam": (LayerCAM, layer, "target")}
    compare_with_torchcam(study, net, expected)


@pytest.mark.slow
def test_the_peak_lies_on_the_cat() -> None:
    study = study_with(
        squeezenet(), (224, 224), [photo("chelsea.png")], true={0: TIGER_CAT}, **IMAGENET
    )
    (panel,) = run(study).panels.values()
    assert panel.facts["layers"][0] == "classifier.0"
    (top, left), (bottom, right) = panel.blocks["gradcam"].middles
    down = top + (bottom - top) * panel.facts["peak_row"] / 12
    across = left + (right - left) * panel.facts["peak_column"] / 12
    # The face of the cat fills the middle of the photo, from ear to chin.
    assert 10 <= down <= 190 and 10 <= across <= 215
    assert panel.facts["has_evidence"]


@pytest.mark.slow
@pytest.mark.parametrize("axis", [2, 1], ids=["side by side", "stacked"])
@pytest.mark.parametrize("is_cat_first", [True, False])
def test_each_class_has_its_peak_in_its_own_half(axis: int, is_cat_first: bool) -> None:
    cat, coffee = photo("chelsea.png"), photo("coffee.png")
    both = torch.cat([cat, coffee] if is_cat_first else [coffee, cat], dim=axis)
    size = (both.shape[1], both.shape[2])
    for target in (TIGER_CAT, ESPRESSO):
        study = study_with(squeezenet(), size=size, pixels=[both], true={0: target}, **IMAGENET)
        (panel,) = run(study).panels.values()
        block = panel.blocks["gradcam"]
        place = panel.facts["peak_column" if axis == 2 else "peak_row"]
        first, last = (ends[axis - 1] for ends in block.middles)
        pixel = first + (last - first) * place / (block.values.shape[axis - 1] - 1)
        assert (pixel < 224) == ((target == TIGER_CAT) == is_cat_first)
