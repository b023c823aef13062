"""The gradients section: its maps against Captum, its words against its numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, Saliency
from torch import nn

from reportgen.analyses.agreement import occlusion_correlation
from reportgen.analyses.gradient_maps import Map, limit_of, picture, shown_of
from reportgen.analyses.gradients import METHODS, run
from reportgen.analyses.study import Study
from reportgen.probe.ranks import rank_correlation
from reportgen.probe.saliency import guided
from reportgen.report.places import PLACES, place_of
from reportgen.report.records import Panel
from tests.analyses.test_gradcam import SIZE, plain, study_with, told_of_occlusion
from tests.probe.nets import seeded

NAMES = ("gradient", "smoothgrad", "integrated_gradients", "guided_backprop")
BY_NAME = {method.name: method for method in METHODS}


def made(study: Study) -> list[Panel]:
    return list(run(study).panels.values())


def with_arrays(study: Study) -> Study:
    return replace(study, options=replace(study.options, save_arrays=True))


def image_of(study: Study, index: int) -> torch.Tensor:
    return study.images.normalise(study.images.pixels(index))


def close(found: np.ndarray, expected: torch.Tensor) -> None:
    assert found.shape == SIZE and found.dtype == np.float32
    spread = float(expected.max() - expected.min())
    assert spread > 0
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=1e-4 * spread)


def test_the_maps_are_those_of_captum() -> None:
    net = plain()
    study = with_arrays(study_with(net))
    for index, panel in enumerate(made(study)):
        image, target = image_of(study, index)[None], panel.facts["target"]
        assert panel.facts["maps"] == tuple(panel.arrays) == NAMES
        saliency = Saliency(net).attribute(image.clone(), target=target)[0]
        close(panel.arrays["gradient"], saliency.amax(0))
        integrated, gap = IntegratedGradients(net).attribute(
            image.clone(), target=target, n_steps=32, return_convergence_delta=True
        )
        close(panel.arrays["integrated_gradients"], integrated[0].sum(0))
        assert panel.facts["gap"] == pytest.approx(float(gap), abs=1e-5)
        assert panel.facts["attributed"] == pytest.approx(float(integrated.sum()), abs=1e-5)
        slope = GuidedBackprop(net).attribute(image.clone(), target=target)[0]
        close(panel.arrays["guided_backprop"], slope.abs().amax(0))


@pytest.mark.parametrize("name", NAMES)
def test_a_method_gives_the_map_that_is_drawn(name: str) -> None:
    study = with_arrays(study_with(plain()))
    for index, panel in enumerate(made(study)):
        image = image_of(study, index)
        found = BY_NAME[name].map_of(study, study.probe, image, panel.facts["target"])
        np.testing.assert_array_equal(found, panel.arrays[name])
        rival = BY_NAME[name].map_of(
            study, study.probe, image, (panel.facts["target"] + 1) % study.evidence.classes
        )
        assert not np.allclose(rival, found)
        assert BY_NAME[name].section == "gradients"


def test_the_numbers_of_the_panel() -> None:
    net = plain()
    study = with_arrays(study_with(net))
    for index, panel in enumerate(made(study)):
        facts, image = panel.facts, image_of(study, index)
        with torch.no_grad():
            scores = net(torch.stack([image, torch.zeros_like(image)]))[:, facts["target"]]
        assert (facts["image_score"], facts["baseline_score"]) == pytest.approx(scores.tolist())
        difference = facts["image_score"] - facts["baseline_score"]
        assert facts["gap"] == pytest.approx(facts["attributed"] - difference)
        assert facts["relative_gap"] == pytest.approx(abs(facts["gap"] / difference))
        assert facts["sigma"] == pytest.approx(0.15 * float(image.max() - image.min()))
        assert (facts["samples"], facts["noise"], facts["steps"]) == (16, 0.15, 32)
        assert facts["score"] == "logit" and facts["missing"] == facts["reasons"] == ()
        for at, name in enumerate(NAMES[:3]):
            values = panel.arrays[name]
            assert facts["low"][at] == values.min() and facts["high"][at] == values.max()
            ordered = np.sort(np.abs(values).ravel())
            assert ordered[int(0.98 * len(ordered))] <= facts["limit"][at] <= ordered[-1]
            height, width = values.shape
            held = dict.fromkeys(sum(PLACES, ()), 0.0)
            for (row, column), value in np.ndenumerate(np.abs(values)):
                held[place_of(((row + 0.5) / height, (column + 0.5) / width))] += float(value)
            assert held[facts["strongest_places"][at]] == max(held.values())
            share = max(held.values()) / sum(held.values())
            assert facts["strongest_shares"][at] == pytest.approx(share, rel=1e-5)
        assert facts["low"][3] < 0 < facts["high"][3]


def test_the_pictures_are_the_maps_in_65_levels() -> None:
    study = with_arrays(study_with(plain()))
    for index, panel in enumerate(made(study)):
        slope = guided(study.probe, image_of(study, index), panel.facts["target"])
        for name, limit in zip(NAMES, panel.facts["limit"], strict=True):
            is_colour = name == "guided_backprop"
            values = slope.permute(1, 2, 0).numpy() if is_colour else panel.arrays[name]
            share = np.clip(values / limit, -1, 1)
            is_size = name in ("gradient", "smoothgrad")
            look = panel.facts["looks"][panel.facts["maps"].index(name)]
            assert look == ("magnitude" if is_size else "colour" if is_colour else "signed")
            expected = 254 * share if is_size else 127 + 127 * share
            level = panel.blocks[name].pixels.values().astype(np.float64)
            assert level.shape == ((*SIZE, 3) if is_colour else SIZE)
            # Half a level, half a step of the 64 that the scale has, and half a level.
            np.testing.assert_allclose(level, expected, rtol=0, atol=254 / 64 / 2 + 1)
            assert 30 < len(np.unique(level)) <= 65
            assert (np.abs(share) == 1).mean() == pytest.approx(0.01, abs=0.002)


def test_without_save_arrays_no_array_is_kept() -> None:
    study = study_with(plain())
    kept, small = made(with_arrays(study)), made(study)
    for one, other in zip(kept, small, strict=True):
        assert not other.arrays and other.facts == one.facts
        for name in NAMES:
            assert other.blocks[name].pixels == one.blocks[name].pixels


def test_a_large_map_is_averaged_over_areas() -> None:
    values = torch.arange(3 * 8 * 448, dtype=torch.float32).view(3, 8, 448)
    small = shown_of(Map(METHODS[2], values, "signed"))
    assert small.shape == (4, 224)
    expected = values.sum(0).view(4, 2, 224, 2).mean((1, 3)).numpy()
    np.testing.assert_allclose(small, expected, rtol=1e-6)
    coloured = shown_of(Map(METHODS[3], values, "colour"))
    assert coloured.shape == (4, 224, 3)
    np.testing.assert_allclose(coloured[..., 1], values[1].view(4, 2, 224, 2).mean((1, 3)))
    assert shown_of(Map(METHODS[3], values[:1], "colour")).shape == (4, 224)


def test_where_the_colours_end() -> None:
    values = np.arange(101.0)
    assert limit_of(-values) == 99
    nearly_nothing = np.zeros(1000)
    nearly_nothing[3] = -7.0
    assert limit_of(nearly_nothing) == 7


@pytest.mark.parametrize("style", ["in place", "reused", "function"])
def test_networks_that_compute_the_same_have_the_same_pictures(style: str) -> None:
    for one, other in zip(made(study_with(plain())), made(study_with(plain(style))), strict=True):
        assert one.facts == other.facts
        assert [b.pixels for b in one.blocks.values()] == [b.pixels for b in other.blocks.values()]


class Smooth(nn.Module):
    """A network without a ReLU, whose output is times `factor`, or a probability."""

    def __init__(self, factor: float = 1.0, is_probability: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2)
        self.act = nn.SiLU()
        self.fc = nn.Linear(5, 4)
        self.factor, self.is_probability = factor, is_probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.factor * self.fc(self.act(self.conv(x)).mean((2, 3)))
        return scores.softmax(1) if self.is_probability else scores


def smooth(**arguments: Any) -> nn.Module:
    return seeded(lambda: Smooth(**arguments)).float()


def test_where_guided_backpropagation_is_not_defined_one_sentence_says_so() -> None:
    study = study_with(smooth())
    for index, panel in enumerate(made(study)):
        assert panel.facts["maps"] == NAMES[:3] == tuple(panel.blocks)
        assert panel.facts["missing"] == ("Guided backpropagation",)
        assert panel.facts["reasons"] == ("act is SiLU, and the rule is defined for ReLU only.",)
        map_of = BY_NAME["guided_backprop"].map_of
        assert map_of(study, study.probe, image_of(study, index), 0) is None
    assert run(study).findings == ()


def test_where_the_network_ends_in_a_softmax_the_score_is_the_probability() -> None:
    net = smooth(is_probability=True)
    study = with_arrays(study_with(net))
    for index, panel in enumerate(made(study)):
        assert panel.facts["score"] == "probability"
        image, target = image_of(study, index), panel.facts["target"]
        with torch.no_grad():
            assert panel.facts["image_score"] == pytest.approx(float(net(image[None])[0, target]))
        expected = Saliency(net).attribute(image[None].clone(), target=target)[0].amax(0)
        close(panel.arrays["gradient"], expected)


def test_a_gradient_of_zero_is_called_so() -> None:
    outcome = run(study_with(smooth(factor=0.0)))
    for panel in outcome.panels.values():
        assert panel.facts["problem"] == "No gradient reaches the image."
        assert not panel.blocks and not panel.arrays
    assert [finding.kind for finding in outcome.findings] == ["no-gradient"] * 2
    first = outcome.findings[0]
    assert first.text == "photo0.png: no gradient reaches the image for class 0."
    assert first.href == "images/photo0.html#gradients"
    assert run(study_with(smooth(factor=0.0, is_probability=True))).findings == ()


class Rooted(nn.Module):
    """A finite answer with a slope that is not: a square root at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (0 * self.conv(x)).sqrt().mean((2, 3)) + torch.arange(4)


def test_gradients_that_are_not_finite_are_called_so() -> None:
    study = study_with(seeded(Rooted).float())
    outcome = run(study)
    for index, panel in enumerate(outcome.panels.values()):
        assert panel.facts["problem"] == "Some of the gradients are not finite, so there is no map."
        for method in METHODS[:1]:
            assert method.map_of(study, study.probe, image_of(study, index), 0) is None
    assert [finding.kind for finding in outcome.findings] == ["gradient-not-finite"] * 2
    assert outcome.findings[0].text == "photo0.png: the gradient for class 3 is not finite."


def test_agreement_with_occlusion() -> None:
    study = study_with(plain())
    assert all(panel.facts["occlusion_correlation"] is None for panel in made(study))
    generator = np.random.default_rng(0)
    drops = [generator.normal(size=(10, 14)).astype(np.float32) for _ in range(2)]
    told = told_of_occlusion(with_arrays(study), drops)
    for panel, image, drop in zip(made(told), told.image_records, drops, strict=True):
        values = panel.arrays["integrated_gradients"]
        means = values.reshape(10, 2, 14, 2).mean((1, 3))
        expected = rank_correlation(means, drop)
        assert panel.facts["occlusion_correlation"] == pytest.approx(expected, abs=1e-6)
        assert occlusion_correlation(told, image, -values) == pytest.approx(-expected, abs=1e-6)
    nothing = told_of_occlusion(study, drops, has_evidence=False)
    assert all(panel.facts["occlusion_correlation"] is None for panel in made(nothing))


def test_the_words_of_a_picture() -> None:
    study = study_with(plain())
    shown = Map(METHODS[2], torch.full((3, 4, 5), -0.25), "signed")
    block = picture(study.image_records[0], "owl", shown, np.ones((4, 5)), 2.0)
    text = "Integrated gradients for owl, from -0.75 to -0.75, shown up to 2"
    assert block.alt == f"photo0.png: {text}."
    assert block.caption == f"{text}, the 99th percentile of the magnitudes."


def test_the_target_may_be_asked_for() -> None:
    study = study_with(plain())
    asked = replace(study, options=replace(study.options, target="class 3"))
    for panel in made(asked):
        assert (panel.facts["target"], panel.facts["target_source"]) == (3, "--target")


def test_grey_images_have_maps_as_well() -> None:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )

    given = list(torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(1)))
    for panel in panels_with(build, given):
        assert panel.facts["maps"] == NAMES
        assert panel.blocks["guided_backprop"].pixels.path.startswith("img/photo")


def panels_with(build: Callable[[], nn.Module], given: list[torch.Tensor]) -> list[Panel]:
    study = study_with(seeded(build).float(), pixels=given, channels=1, mean=(0.5,), std=(0.2,))
    return made(study)
