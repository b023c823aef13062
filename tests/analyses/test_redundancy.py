"""The section on look-alikes and classes: real small networks whose weights are planted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses.heads import head_of, weights_of
from reportgen.analyses.redundancy import run
from reportgen.analyses.study import Outcome, Study
from reportgen.analyses.unit_classes import by_chance, largest
from reportgen.analyses.units import FEWEST_IMAGES, unit_calls
from reportgen.probe.evidence import CallKey
from reportgen.probe.probe import Probe
from reportgen.report.records import Panel
from tests.analyses.planted import evidence_of, preparation, study_of
from tests.probe.nets import seeded

SIZE = (20, 28)


def study_with(module: nn.Module, images: int = 2, pictured: int = 2, size: int = 4) -> Study:
    """A study of a real network on seeded noise."""
    prepared = preparation(size=SIZE)
    generator = torch.Generator().manual_seed(3)
    given = torch.rand(images, 3, *SIZE, generator=generator)
    probe = Probe(module, "cpu", size)
    plain = study_of(evidence_of([], [], pictured=()), module, preprocessing=prepared)
    batch = plain.images.normalise(given)
    correlated = unit_calls if images >= FEWEST_IMAGES else None
    evidence = probe.collect(batch.split, images, range(pictured), correlated=correlated)
    labels = tuple(f"class {i}" for i in range(evidence.classes))
    study = study_of(evidence, module, labels=labels, preprocessing=prepared, probe=probe)
    object.__setattr__(study.images, "given", tuple(given))
    return study


class Net(nn.Module):
    """Two map sizes; the head reads the mean of the last maps, or has a hidden layer before it."""

    def __init__(self, head: str = "linear") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(8, 6, 3, padding=1, groups=2)
        self.depth = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.relu2 = nn.ReLU()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(6, 6)
        self.flat = nn.Linear(6 * 10 * 14, 4)
        self.fc = nn.Linear(6, 4)
        self.wide = nn.Conv2d(12, 4, 1)
        self.head = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.conv1(x))
        before = self.conv2(self.pool(x))
        x = self.relu2(self.depth(before))
        if self.head == "flat":
            return self.flat(self.flatten(x))
        if self.head == "concatenated":
            x = self.wide(self.drop(torch.cat([x, before], 1)))
            return self.mean(x.relu()).flatten(1)
        if self.head == "sum":
            return self.fc(torch.flatten(self.mean(x + before), 1))
        x = self.flatten(self.drop(self.mean(x)))
        return self.fc(self.hidden(x).relu() if self.head == "hidden" else x).softmax(1)


def net(head: str = "linear") -> Net:
    made = seeded(lambda: Net(head)).float()
    assert isinstance(made, Net)
    return made


def panels(study: Study) -> dict[str, Panel]:
    return dict(run(study).panels)


def test_planted_copies_are_counted_named_and_found() -> None:
    module = net()
    with torch.no_grad():
        module.conv1.weight[5] = module.conv1.weight[2]
        module.conv1.weight[6] = 2 * module.conv1.weight[1]
        module.conv2.weight[4] = module.conv2.weight[3]
        module.fc.weight[3] = -module.fc.weight[0]
    outcome = run(study_with(module))
    facts = outcome.panels["conv1"].facts
    assert (facts["copies"], facts["near"], facts["pairs"], facts["weights_each"]) == (2, 2, 2, 27)
    assert {*zip(facts["pair_first"], facts["pair_second"], strict=True)} == {(2, 5), (1, 6)}
    assert facts["pair_cosine"] == (1.0, 1.0)
    assert outcome.panels["fc"].facts["copies"] == outcome.panels["fc"].facts["near"] == 0
    table = outcome.panels["conv1"].blocks["units"]
    assert {row[0] for row in table.rows[:4]} == {1, 2, 5, 6}
    assert [row[2] for row in table.rows[:4]] == [1.0] * 4
    assert sorted(row[0] for row in table.rows) == list(range(8))
    assert [(f.severity, f.kind) for f in outcome.findings] == [
        ("warning", "duplicate-filters"), ("warning", "duplicate-filters"),
        ("info", "near-duplicate-filters"),
    ]  # fmt: skip
    first, second, near = outcome.findings
    assert first.text == "conv1: 2 of 8 filters have the same weights as another one: 2 and 5."
    assert first.href == "layers/conv1.html#c=2"
    assert second.text.endswith(
        "conv2: 2 of 6 filters have the same weights as another one: 3 and 4."
    )
    assert near.text.startswith("2 of 18 filters have a near twin") and "conv1: 2 of 8" in near.text


def test_a_network_without_look_alikes_has_no_finding() -> None:
    assert run(study_with(net())).findings == ()


def test_the_nearest_filter_of_a_group_is_in_the_group() -> None:
    panel = panels(study_with(net()))["conv2"]
    weight = net().conv2.weight.detach().double().flatten(1)
    for unit, twin in enumerate(panel.arrays["twin"].tolist()):
        others = [other for other in range(6) if other != unit and other // 3 == unit // 3]
        cosines = [float(torch.cosine_similarity(weight[unit], weight[o], 0)) for o in others]
        assert twin == others[int(np.argmax(cosines))]
        assert panel.arrays["cosine"][unit] == pytest.approx(max(cosines), abs=1e-6)


def test_depthwise_filters_are_not_compared() -> None:
    panel = panels(study_with(net()))["depth"]
    assert panel.facts["weights_problem"].startswith(
        "Each filter reads an input channel of its own"
    )
    assert "twin" not in panel.arrays and "alike" in panel.arrays
    assert [column.name for column in panel.blocks["units"].columns][:2] == [
        "Unit", "Nearest by answers",
    ]  # fmt: skip


def test_a_layer_with_as_many_units_as_classes_is_not_called_by_them() -> None:
    module = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)
        )
    ).float()
    made = panels(study_with(module))
    assert "Class" not in [column.name for column in made["0"].blocks["units"].columns]
    assert "Class" in [column.name for column in made["4"].blocks["units"].columns]


def test_answers_are_those_of_the_pictured_images() -> None:
    module = net()
    study = study_with(module, images=5, pictured=3)
    panel = panels(study)["relu1"]
    with torch.no_grad():
        images = torch.stack([study.images.normalise(study.images.pixels(i)) for i in range(3)])
        values = module.conv1(images).relu().transpose(0, 1).flatten(1).double().numpy()
    expected = np.corrcoef(values)
    np.fill_diagonal(expected, -1)
    np.testing.assert_allclose(panel.arrays["correlation"], expected.max(1), atol=1e-5)
    assert panel.arrays["alike"].tolist() == expected.argmax(1).tolist()
    assert panel.facts["answers_values"] == 3 * 20 * 28 and panel.facts["answers_images"] == 3
    pair = {panel.facts["answers_first"], panel.facts["answers_second"]}
    assert pair == {*np.unravel_index(expected.argmax(), expected.shape)}
    assert panel.facts["answers_correlation"] == pytest.approx(expected.max(), abs=1e-5)


def test_the_head_says_what_units_speak_for() -> None:
    module = net()
    with torch.no_grad():
        module.fc.weight[:, 1] = torch.tensor([0.25, -4.0, 3.0, -0.5])
    study = study_with(module)
    panel = panels(study)["relu2"]
    assert (panel.facts["classes_by"], panel.facts["classes_head"]) == ("weight", "fc")
    weight = module.fc.weight.detach().numpy()
    assert panel.arrays["for_class"].tolist() == weight.argmax(0).tolist()
    assert panel.arrays["against_class"].tolist() == weight.argmin(0).tolist()
    np.testing.assert_array_equal(panel.arrays["for_value"], weight.max(0))
    np.testing.assert_array_equal(panel.arrays["against_value"], weight.min(0))
    (row,) = [row for row in panel.blocks["units"].rows if row[0] == 1]
    assert row[-4:] == ("class 2", 3.0, "class 1", -4.0)


def test_a_concatenation_gives_each_layer_its_own_weights() -> None:
    module = net("concatenated")
    with torch.no_grad():
        module.wide.weight[2, 6 + 4] = 9.0
        module.wide.weight[1, 4] = -9.0
    study = study_with(module)
    head = head_of(module, study.evidence.calls, 4)
    assert head is not None and head.call.key == CallKey("wide")
    found = weights_of(head, study.evidence.calls)
    weight = module.wide.weight.detach().numpy()[:, :, 0, 0]
    np.testing.assert_array_equal(found[CallKey("relu2")], weight[:, :6])
    np.testing.assert_array_equal(found[CallKey("conv2")], weight[:, 6:])
    made = panels(study)
    assert (made["conv2"].arrays["for_class"][4], made["conv2"].arrays["for_value"][4]) == (2, 9)
    assert made["relu2"].arrays["against_class"][4] == 1
    assert made["relu2"].arrays["for_value"][4] < 9


@pytest.mark.parametrize("head", ["hidden", "flat", "sum"])
def test_where_the_head_does_not_weigh_units_few_images_say_so(head: str) -> None:
    study = study_with(net(head))
    facts = panels(study)["relu2"].facts
    assert facts["classes_by"] == "" and "for_class" not in panels(study)["relu2"].arrays
    assert facts["classes_problem"] == (
        "2 images are too few for a correlation with classes; 20 or more are needed."
    )


def test_what_a_hidden_layer_gives_is_weighed_by_the_head() -> None:
    module = net("hidden")
    panel = panels(study_with(module))["F.relu"]
    assert panel.facts["classes_by"] == "weight"
    weights = [row[2] for row in panel.blocks["units"].rows]
    assert weights == sorted(weights, reverse=True) and len(weights) == 6
    assert panel.arrays["for_class"].tolist() == module.fc.weight.argmax(0).tolist()


@pytest.mark.parametrize("size", [1, 7])
def test_with_many_images_units_correlate_with_classes(size: int) -> None:
    module = net("hidden")
    study = study_with(module, images=23, size=size)
    facts, arrays = panels(study)["relu1"].facts, panels(study)["relu1"].arrays
    assert facts["classes_by"] == "correlation" and facts["classes_images"] == 23
    with torch.no_grad():
        images = torch.stack([study.images.normalise(study.images.pixels(i)) for i in range(23)])
        means = module.conv1(images).relu().mean((2, 3)).double().numpy()
        logits = module(images).double().numpy()
    expected = np.corrcoef(means.T, logits.T)[:8, 8:]
    np.testing.assert_allclose(arrays["for_value"], expected.max(1), atol=1e-4)
    np.testing.assert_allclose(arrays["against_value"], expected.min(1), atol=1e-4)
    assert arrays["for_class"].tolist() == expected.argmax(1).tolist()
    least = facts["classes_chance"]
    for row in panels(study)["relu1"].blocks["units"].rows:
        strongest, weakest = expected[row[0]].max(), expected[row[0]].min()
        assert (row[-4] is not None) == (row[-3] is not None) == (strongest > least)
        assert (row[-2] is not None) == (row[-1] is not None) == (weakest < -least)


def test_chance_is_what_unrelated_units_give() -> None:
    images, classes, trials = 25, 10, 2000
    rng = np.random.default_rng(0)
    beyond = 0
    for _ in range(trials):
        unit, scores = rng.normal(size=images), rng.normal(size=(images, classes))
        correlation = np.corrcoef(unit, scores.T)[0, 1:]
        beyond += bool(np.abs(correlation).max() > by_chance(images, classes))
    assert 0.03 < beyond / trials < 0.07


def test_the_largest_of_a_row_with_nothing_known() -> None:
    table = np.array([[0.5, np.nan, -2.0], [np.nan, np.nan, np.nan]])
    index, value = largest(table)
    assert index.tolist() == [0, -1]
    assert value[0] == 0.5 and np.isnan(value[1])


def test_the_table_leads_to_the_maps_where_there_are_some() -> None:
    study = study_with(net())
    (alone,) = {c.leads_to for c in panels(study)["conv1"].blocks["units"].columns}
    assert alone == ""
    shown = panels(replace(study, earlier={"activations": Outcome()}))["conv1"].blocks["units"]
    assert [c.name for c in shown.columns if c.leads_to] == [
        "Unit", "Nearest by weights", "Nearest by answers",
    ]  # fmt: skip


def test_the_units_of_the_head_are_called_by_their_classes() -> None:
    table = panels(study_with(net()))["fc"].blocks["units"]
    names = [column.name for column in table.columns]
    assert names[:4] == ["Unit", "Class", "Nearest by weights", "Its class"]
    assert all(row[1] == f"class {row[0]}" and row[3] == f"class {row[2]}" for row in table.rows)


def test_layers_of_very_many_units_are_not_correlated() -> None:
    module = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(3, 2049, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2049, 4)
        )
    ).float()
    panel = panels(study_with(module))["0"]
    assert panel.facts["answers_problem"].startswith("The 2,049 units are too many")
    assert "alike" not in panel.arrays and "twin" in panel.arrays


@pytest.mark.parametrize(
    "change", [lambda m: m.conv1.weight.zero_(), lambda m: m.conv1.weight.fill_(torch.nan)]
)
def test_filters_without_direction(change: Callable[[Net], object]) -> None:
    module = net()
    with torch.no_grad():
        change(module)
    outcome = run(study_with(module))
    facts = outcome.panels["conv1"].facts
    assert (facts["copies"], facts["near"], facts["pair_first"]) == (0, 0, ())
    assert facts["median_cosine"] is None
    assert outcome.findings == ()
    assert facts["answers_problem"] == "No two units vary on these images."


def test_squeezenet_weighs_the_concatenated_units_of_its_last_fire_module() -> None:
    import torchvision

    weights = Path(__file__).parents[2] / "sample_models/squeezenet1_1.pth"
    module = torchvision.models.squeezenet1_1()
    module.load_state_dict(torch.load(weights, weights_only=True))
    module.eval()
    probe = Probe(module, "cpu")
    image = torch.rand(3, 64, 72, generator=torch.Generator().manual_seed(0))
    calls = probe.trace(image).calls
    head = head_of(module, calls, 1000)
    assert head is not None and str(head.call.key) == "classifier.1"
    found = weights_of(head, calls)
    # The second half of the channels belongs to the second call. Its unit 7 is raised everywhere,
    # and the head's answers go up by its weights.
    key = CallKey("features.12.expand3x3_activation")
    assert found[CallKey("features.12.expand1x1_activation")].shape == (1000, 256)
    raised = {}
    for amount in (0.0, 1.0):
        seen: list[torch.Tensor] = []
        with torch.no_grad():
            hooks = [
                module.get_submodule(key.path).register_forward_hook(
                    lambda _, __, out, amount=amount: out.clone().index_fill(
                        1, torch.tensor([7]), amount
                    )
                ),
                module.classifier[1].register_forward_hook(
                    lambda _, __, out, seen=seen: seen.append(out.clone())
                ),
            ]
            module(image[None])
            for hook in hooks:
                hook.remove()
        raised[amount] = seen[0][0, :, 1, 1].double().numpy()
    np.testing.assert_allclose(raised[1.0] - raised[0.0], found[key][:, 7], atol=1e-4)
