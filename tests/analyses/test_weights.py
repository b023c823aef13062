import torch
from torch import nn

from reportgen.analyses.weights import run
from tests.analyses.planted import evidence_of, study_of


def test_one_row_per_parameter_and_the_totals() -> None:
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(2, 3, (3, 5)), nn.BatchNorm2d(3))
    with torch.no_grad():
        net[0].weight[0, 0] = 0
    panel = run(study_of(evidence_of([]), net)).panels[""]
    rows = panel.blocks["table"].rows
    assert [row[0].text for row in rows] == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
    ]  # fmt: skip
    assert rows[0][0].href == "weights.html#0.weight"
    assert rows[0][1] == "3 x 2 x 3 x 5"
    zeros = sum(int((v == 0).sum()) for v in net.state_dict().values() if v.is_floating_point())
    assert panel.facts == {"parameters": 6, "values": 105, "zeros": zeros, "nonfinite": 0}


def test_sick_and_empty_weights_are_found_but_zero_biases_are_not() -> None:
    net = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))
    with torch.no_grad():
        net[0].weight.view(-1)[:51] = 0
        net[0].bias.zero_()
        net[1].weight.view(-1)[:50] = 0
        net[1].bias[3] = float("inf")
    found = run(study_of(evidence_of([]), net)).findings
    assert [(f.severity, f.kind, f.href) for f in found] == [
        ("error", "non-finite-weights", "weights.html#1.bias"),
        ("warning", "mostly-zero-weights", "weights.html#0.weight"),
    ]
    assert found[0].text == "1.bias holds 1 NaN or infinite value among 10."
    assert found[1].text == "51 % of the 100 values of 0.weight are exactly zero."
