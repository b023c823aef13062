"""The tests of attribution methods, on methods whose worth is known."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reportgen.analyses import gradients, trust
from reportgen.analyses.faithfulness import Faded
from reportgen.analyses.gradcam import METHODS as CAMS
from reportgen.analyses.gradcam import run as run_cams
from reportgen.analyses.methods import Method
from reportgen.analyses.occlusion import METHODS as OCCLUSION
from reportgen.analyses.occlusion import coarse_map
from reportgen.analyses.occlusion import run as run_occlusion
from reportgen.analyses.sanity import levels_of
from reportgen.analyses.study import Outcome, Study
from reportgen.analyses.trust_verdicts import Trial, trust_findings
from reportgen.figures.placing import smooth
from reportgen.load.images import image_set
from reportgen.load.model import load_model
from reportgen.options import Options
from reportgen.probe.occlusion.occlude import occlusion
from reportgen.probe.occlusion.places import fill_image
from reportgen.probe.probe import Probe
from reportgen.probe.randomise import randomised
from reportgen.probe.ranks import rank_correlation
from reportgen.report.records import Preprocessing
from tests.analyses.planted import study_of

SAMPLES = Path(__file__).parents[2] / "sample_models"


@pytest.fixture(scope="module")
def study() -> Study:
    """LeNet and four of its images."""
    loaded = load_model(SAMPLES / "lenet.pth", arch=f"{SAMPLES / 'lenet.py'}:LeNet")
    prepared = Preprocessing(28, 28, None, "bilinear", (0.286,), (0.353,), 1, "flag", False)
    files = sorted((SAMPLES / "fashion_mnist").rglob("*.png"))[::5]
    images = image_set(files, prepared)
    probe = Probe(loaded.module, "cpu", 16)
    evidence = probe.collect(images.batches, len(files), range(len(files)))
    labels = [str(i) for i in range(10)]
    made = study_of(
        evidence, loaded.module, labels=labels, preprocessing=prepared, probe=probe,
        options=Options(Path("m"), (Path("i"),), occlusion_window=(7, 7), occlusion_stride=(7, 7)),
    )  # fmt: skip
    return replace(made, images=images)


def edges(_: Study, __: Probe, image: torch.Tensor, ___: int) -> np.ndarray:
    """How much each pixel differs from its neighbours, whatever the network."""
    down, across = np.gradient(image.sum(0).numpy())
    return np.hypot(down, across)


def gradient(_: Study, probe: Probe, image: torch.Tensor, target: int) -> np.ndarray:
    with probe.lent(image) as (module, moved), torch.inference_mode(False), torch.enable_grad():
        leaf = moved.clone().requires_grad_()
        (slope,) = torch.autograd.grad(module(leaf[None])[0, target], leaf)
    return slope.abs().sum(0).numpy()


def methods(*functions: Any) -> tuple[Method, ...]:
    return tuple(Method(f.__name__, f.__name__, "gradcam", f, 1) for f in functions)


def outcome_of(study: Study, monkeypatch: pytest.MonkeyPatch, given: Sequence[Method]) -> Outcome:
    monkeypatch.setattr(trust, "METHODS", tuple(given))
    return trust.run(study)


def row(outcome: Outcome, name: str) -> dict[str, Any]:
    """The facts of one method."""
    facts = outcome.panels[""].facts
    at = facts["methods"].index(name)
    several = {k: v for k, v in facts.items() if isinstance(v, tuple)}
    return {k: v[at] for k, v in several.items() if len(v) == len(facts["methods"])}


def test_a_map_of_the_image_alone_is_not_learned_and_a_gradient_is(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = outcome_of(study, monkeypatch, methods(edges, gradient))
    drawn, learned = row(outcome, "edges"), row(outcome, "gradient")
    assert drawn["verdicts"] == "does not depend on what was learned"
    assert drawn["kinds"] == "unlearned" and drawn["unlearned"] == pytest.approx(1)
    assert learned["kinds"] != "unlearned" and learned["unlearned"] < 0.5
    assert learned["verdicts"].endswith("changes with the weights")
    kinds = {finding.kind: finding for finding in outcome.findings}
    assert kinds["map-not-learned"].severity == "warning"
    assert kinds["map-not-learned"].href == "trust.html#edges"


def test_a_map_that_only_flips_its_sign_is_not_learned(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flipping(_: Study, probe: Probe, image: torch.Tensor, __: int) -> np.ndarray:
        sign = 1 if probe is study.probe else -1
        return sign * image[0].numpy()

    found = row(outcome_of(study, monkeypatch, methods(flipping)), "flipping")
    assert found["kinds"] == "unlearned" and found["unlearned"] == pytest.approx(1)


def test_correlations_are_those_with_networks_that_forgot(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = outcome_of(study, monkeypatch, methods(gradient)).panels[""]
    assert panel.facts["levels"] == ("last layer", "last 3 layers", "all 5 layers")
    for number, level in enumerate(levels_of(study)):
        copy = randomised(study.probe, level.paths, study.options.seed)
        found = []
        for index in range(trust.FORGOTTEN):
            image = study.images.normalise(study.images.pixels(index))
            target = study.image_records[index].predictions[0].index
            maps = [gradient(study, probe, image, target) for probe in (study.probe, copy)]
            found.append(rank_correlation(*maps))
        assert panel.arrays["likeness"][0, number] == pytest.approx(np.mean(found))
        # This map has no sign.
        assert panel.arrays["absolute_likeness"][0, number] == pytest.approx(np.mean(found))


def test_the_maps_that_pages_show_are_the_ones_outcome_of(study: Study) -> None:
    made = {"occlusion": run_occlusion(study), "gradcam": run_cams(study)}
    told = replace(study, earlier=made)
    (hiding,) = OCCLUSION
    drops = made["occlusion"].panels[study.image_records[1].slug].arrays["array"]
    # Windows of 7 that stand side by side on 28 pixels.
    np.testing.assert_allclose(hiding.shown(told, 1), np.kron(drops, np.ones((7, 7))), atol=1e-7)
    assert hiding.shown(study, 1) is None
    image = study.images.normalise(study.images.pixels(1))
    target = study.image_records[1].predictions[0].index
    for method in CAMS:
        values = method.map_of(study, study.probe, image, target)
        raw = made["gradcam"].panels[study.image_records[1].slug].arrays[method.name]
        middles = made["gradcam"].panels[study.image_records[1].slug].blocks[method.name].middles
        drawn = smooth(raw, middles, (28, 28))
        np.testing.assert_allclose(values, drawn, atol=1e-5 * np.ptp(drawn))
    only = trust.run(replace(study, earlier={"gradcam": made["gradcam"]}))
    assert set(only.panels[""].facts["methods"]) == {method.name for method in CAMS}


def test_agreement_among_fills_is_the_mean_of_three_correlations(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = row(outcome_of(study, monkeypatch, OCCLUSION), "occlusion")["fill_agreement"]
    every = []
    for index in range(trust.FORGOTTEN):
        pixels = study.images.pixels(index)
        target = study.image_records[index].predictions[0].index
        maps = [
            occlusion(
                study.probe, pixels, study.images.normalise,
                fill_image(pixels, fill, (0.286,)), (5, 5), (5, 5), target,
            ).probability_drop
            for fill in ("mean", "black", "blur")
        ]  # fmt: skip
        full = [np.kron(drops, np.ones((5, 5)))[:28, :28] for drops in maps]
        every += [rank_correlation(full[a], full[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
        image = study.images.normalise(pixels)
        np.testing.assert_allclose(
            coarse_map(study, study.probe, image, target, "black"), full[1], atol=1e-5
        )
    assert found == pytest.approx(np.mean(every), abs=0.02)


def test_two_runs_give_the_same_and_the_network_is_left_as_it_was(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(outcome: Outcome) -> str:
        panel = outcome.panels[""]
        words = json.dumps([dict(panel.facts), str(panel.blocks)]).encode()
        return hashlib.sha256(
            words + b"".join(array.tobytes() for array in panel.arrays.values())
        ).hexdigest()

    module = study.loaded.module
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.get_rng_state()
    given = (*methods(edges, gradient), *CAMS)
    first = digest(outcome_of(study, monkeypatch, given))
    torch.manual_seed(99)
    assert digest(outcome_of(study, monkeypatch, given)) == first
    torch.set_rng_state(state)
    seeded = replace(study, options=replace(study.options, seed=1))
    assert digest(outcome_of(seeded, monkeypatch, given)) != first
    assert all(torch.equal(before[name], v) for name, v in module.state_dict().items())


def test_a_method_without_a_map_is_named_as_such(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> None:
        return None

    def broken(_: Study, __: Probe, image: torch.Tensor, ___: int) -> np.ndarray:
        return np.full(image.shape[1:], np.nan)

    outcome = outcome_of(study, monkeypatch, methods(nothing, edges, broken))
    facts = outcome.panels[""].facts
    assert facts["methods"] == ("edges",) and facts["without"] == ("nothing", "broken")
    none = outcome_of(study, monkeypatch, methods(nothing))
    assert none.panels[""].facts["methods"] == () and none.findings == ()


def a_trial(advantages: Sequence[float], left: float = 0.1) -> Trial:
    """A method that beats random maps by so much on each image."""
    faded = tuple(
        Faded(np.full(3, 0.5), np.full(3, 0.5 + a), np.full(3, 0.5), np.full(3, 0.5))
        for a in advantages
    )
    return Trial(methods(edges)[0], faded, np.array([0.9, left]), np.array([0.9, left]), None)


@pytest.mark.parametrize(
    ("advantages", "left", "kind"),
    [
        ([0.2, 0.3, 0.25, 0.2], 0.1, "good"),
        ([0.2, 0.3, 0.25, 0.2], 0.5, "unlearned"),
        ([0.2, 0.3, 0.25, 0.2], float("nan"), "good"),
        ([0.5, -0.4, 0.1, 0.2], 0.1, "doubt"),
        ([-0.2, -0.3, -0.25], -0.9, "doubt"),
        ([0.2, 0.3], 0.1, "unknown"),
    ],
)
def test_what_the_tests_come_to(advantages: list[float], left: float, kind: str) -> None:
    trial = a_trial(advantages, left)
    assert trial.kind == kind
    assert trial.advantage == pytest.approx(np.mean(advantages))
    assert ("changes with the weights" in trial.verdict) == (left < 0.5)
    assert ("worse" in trial.verdict) == (max(advantages) < 0)


def test_maps_of_an_earlier_section_are_those_that_would_be_made(study: Study) -> None:
    made = gradients.run(study)
    slugs = [image.slug for image in study.image_records]
    assert list(made.maps) == slugs
    for index, slug in enumerate(slugs):
        assert made.maps[slug].keys() == {method.name for method in gradients.METHODS}
        image = study.images.normalise(study.images.pixels(index))
        target = study.image_records[index].predictions[0].index
        for method in gradients.METHODS:
            again = method.map_of(study, study.probe, image, target)
            np.testing.assert_array_equal(made.maps[slug][method.name], again)
    without = replace(study, earlier={"gradients": Outcome(made.panels)})
    panels = [
        trust.run(replace(study, earlier=e)).panels[""]
        for e in ({"gradients": made}, without.earlier)
    ]
    assert panels[0].facts == panels[1].facts and panels[0].facts["methods"]


@pytest.mark.parametrize(
    ("advantages", "said"),
    [
        ([0.5, -0.4, 0.1, 0.2], None),
        ([0.2, -0.3, -0.2, 0.1], "no better than random maps on these 4 images: advantage -0.05, "),
        ([-0.2, -0.3, -0.25], "worse than random maps on these 3 images: advantage -0.25, "),
        ([-0.2, -0.3], None),
    ],
)
def test_only_an_advantage_that_is_none_is_a_finding(
    advantages: list[float], said: str | None
) -> None:
    found = trust_findings([a_trial(advantages)])
    assert len(found) == (said is not None)
    assert said is None or said in found[0].text
