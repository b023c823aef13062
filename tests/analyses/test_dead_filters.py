from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses import dead_filters
from reportgen.analyses.dead_filters import run
from reportgen.analyses.removal import Removal
from reportgen.analyses.study import Outcome
from reportgen.probe.evidence import CallKey
from reportgen.report.records import Panel
from tests.analyses.planted import Values, a_call, evidence_of, study_of

RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The evidence is made by hand, with no network behind it; see `test_removal`."""
    monkeypatch.setattr(dead_filters, "removal", lambda study: Removal())


def healthy(n: int = 2, units: int = 8) -> Values:
    return RNG.uniform(0.1, 1, (n, units, 3, 4)).astype(np.float32)


def outcome_of(*layers: tuple, module: nn.Module | None = None, **changes: Any) -> Outcome:
    return run(study_of(evidence_of(list(layers), **changes), module))


def panel_of(*layers: tuple, module: nn.Module | None = None, **changes: Any) -> Panel:
    return outcome_of(*layers, module=module, **changes).panels[""]


def test_a_filter_of_zero_weights_and_bias_minus_one_is_dead() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
    with torch.no_grad():
        net[0].weight[2] = 0
        net[0].bias[2] = -1
        net[0].bias[[0, 1, 3]] = 5
        before = net[0](torch.rand(3, 2, 6, 7))
    after = before.relu().numpy()
    conv = a_call("0", before.numpy(), kind="conv", rectifies=False)
    relu = a_call("1", after, inputs=(conv.key,))
    panel = panel_of((conv, before.numpy()), (relu, after), module=net)
    assert (panel.facts["units"], panel.facts["dead"], panel.facts["zero_weights"]) == (4, 1, 0)
    (row,) = panel.blocks["units"].rows
    assert (row[0].text, row[0].href) == ("1 / 2", "layers/1.html#c=2")
    assert row[1:] == ("dead", "0", 0, 0.0, 0.0)


def test_zero_weights_are_told_apart_from_dead() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU())
    with torch.no_grad():
        net[0].weight[1] = 0
        net[0].bias[1] = 0
        net[0].weight[3] = 0
        net[0].bias[3] = 0.5  # a constant, not without weights
        net[0].bias[[0, 2]] = 5
        before = net[0](torch.rand(3, 2, 6, 7)).numpy()
    conv = a_call("0", before, kind="conv", rectifies=False)
    relu = a_call("1", np.maximum(before, 0), inputs=(conv.key,))
    outcome = outcome_of((conv, before), (relu, np.maximum(before, 0)), module=net)
    facts = outcome.panels[""].facts
    assert (facts["dead"], facts["constant"], facts["zero_weights"]) == (1, 1, 1)
    kinds = [(row[0].text, row[1]) for row in outcome.panels[""].blocks["units"].rows]
    assert kinds == [("1 / 1", "zero weights"), ("1 / 3", "constant")]
    texts = {finding.kind: finding.text for finding in outcome.findings}
    assert texts["zero-weight-filters"] == "0: 1 of 4 filters has only zero weights."
    assert "unit 3 gives 0.5" in texts["constant-units"]


def test_planted_units_are_counted_by_kind() -> None:
    values = healthy(300)
    values[:, 1] = 0
    values[:, 5] = 0
    values[7, 5, 2, 3] = 0.25
    values[:, 6] = 0.75
    panel = panel_of((a_call("relu", values), values), pictured=())
    facts = panel.facts
    counts = [facts[name] for name in ("images", "units", "dead", "near_dead", "constant")]
    assert counts == [300, 8, 1, 1, 1]
    assert facts["firing_bound"] == 0.01
    (row,) = panel.blocks["layers"].rows
    assert row[2:] == (8, 1, 1 / 8, 1, 1, 0, 0)
    rows = panel.blocks["units"].rows
    assert [(row[1], row[3]) for row in rows] == [("dead", 0), ("near-dead", 1), ("constant", 300)]


def test_silent_units_per_image_and_on_all() -> None:
    values = healthy(3)
    values[0, 1] = values[0, 2] = 0
    values[1, 1] = values[1, 4] = values[1, 5] = 0
    values[2, 1] = -1
    vector = RNG.uniform(0.1, 1, (3, 5)).astype(np.float32)
    vector[0, 3] = vector[2, 3] = 0
    plain = a_call("conv", values, kind="conv", rectifies=False)
    layers = [(plain, values), (a_call("relu", values), values), (a_call("fc", vector), vector)]
    table = panel_of(*layers, pictured=(0, 2)).blocks["images"]
    assert [column.name for column in table.columns] == [
        "Layer", "Units", "photo0", "photo2", "On all", "Which",
    ]  # fmt: skip
    assert [row[1:] for row in table.rows] == [(8, 2, 1, 1, "1"), (5, 1, 1, 1, "3")]


def test_smooth_activations_have_no_dead_units_but_constant_ones() -> None:
    values = RNG.normal(size=(3, 4, 3, 4)).astype(np.float32)
    values[:, 2] = -1e-9
    panel = panel_of((a_call("act", values, type="GELU", rectifies=False), values))
    (row,) = panel.blocks["layers"].rows
    assert row[3:7] == (None, None, None, 1)
    assert (panel.facts["units"], panel.facts["dead"], panel.facts["constant"]) == (0, 0, 1)


def test_constant_filters_with_no_activation_after_them_have_a_row() -> None:
    sound, still = healthy(), healthy()
    still[:, 3] = 2
    calls = [
        a_call(name, v, kind="conv", rectifies=False) for name, v in (("a", sound), ("b", still))
    ]
    panel = panel_of((calls[0], sound), (calls[1], still))
    assert [row[0].text for row in panel.blocks["layers"].rows] == ["b"]
    assert panel.facts["constant"] == 1


def test_findings_grow_with_the_share() -> None:
    layers = []
    for name, dead in (("few", 1), ("some", 2), ("most", 21)):
        values = healthy(2, 40)
        values[:, :dead] = 0
        layers.append((a_call(name, values), values))
    vector = np.zeros((2, 4), dtype=np.float32)
    vector[0, 0] = 1
    layers.append((a_call("fc", vector), vector))
    found = [f for f in outcome_of(*layers).findings if f.kind == "dead-filters"]
    # A layer without maps had each unit looked at twice only: one step milder.
    assert [(f.severity, f.text.split(":")[0]) for f in found] == [
        ("error", "most"),
        ("warning", "fc"),
    ]
    assert "21 of 40 units (52 %) never fire on these 2 images." in found[0].text
    assert found[0].href == "layers/most.html#c=0"


def test_few_images_are_a_weak_basis() -> None:
    values = healthy(29)
    assert outcome_of((a_call("relu", values), values)).findings == ()
    values[:, 0] = 0
    kinds = [f.kind for f in outcome_of((a_call("relu", values), values)).findings]
    assert kinds == ["dead-filters", "few-images"]
    more = np.concatenate([values, values[:1]])
    kinds = [f.kind for f in outcome_of((a_call("relu", more), more)).findings]
    assert kinds == ["dead-filters"]


def test_nothing_is_claimed_of_units_that_are_not_finite() -> None:
    values = healthy()
    values[:, 0] = 0
    values[0, 0, 1, 1] = np.nan
    panel = panel_of((a_call("relu", values), values), pictured=())
    assert panel.facts["dead"] == 0
    assert panel.blocks["units"].rows == ()
    assert panel.blocks["layers"].rows[0][-1] == 1


def test_a_second_call_finds_the_filters_of_the_first() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3))
    with torch.no_grad():
        net[0].weight[1] = 0
        net[0].bias[1] = 0
    values = healthy(2, 3)
    values[:, 1] = 0
    first = a_call("0", values, kind="conv", rectifies=False)
    again = a_call("0", values, key=CallKey("0", 2), kind="conv", rectifies=False)
    relu = a_call("relu", values, inputs=(again.key,))
    panel = panel_of((first, values), (again, values), (relu, values), module=net)
    assert panel.facts["zero_weights"] == 1
    kinds = {row[0].text: row[1] for row in panel.blocks["units"].rows}
    assert kinds["relu / 1"] == "zero weights"
