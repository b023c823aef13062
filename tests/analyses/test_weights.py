import numpy as np
import torch
from torch import nn

from reportgen.analyses.weights import run
from reportgen.report.sketch import sketched
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
    totals = {name: panel.facts[name] for name in ("parameters", "values", "zeros", "nonfinite")}
    assert totals == {"parameters": 6, "values": 105, "zeros": zeros, "nonfinite": 0}


def test_weights_of_a_small_network_are_kept_filter_by_filter() -> None:
    torch.manual_seed(5)
    net = nn.Sequential(
        nn.Conv2d(4, 6, (3, 2), groups=2),
        nn.ConvTranspose2d(6, 4, (2, 3), groups=2),
        nn.Linear(7, 3),
    )
    panel = run(study_of(evidence_of([]), net)).panels[""]
    assert panel.facts["sketch_rows"] == (6, 1, 4, 1, 3, 1)
    assert panel.facts["sketch_width"] == 18
    kept = panel.arrays["sketch"]
    assert kept.dtype == panel.arrays["filter_norms"].dtype == np.float32
    first, turned = net[0].weight.detach(), net[1].weight.detach()
    # Output channel c of a transposed convolution reads the inputs of its group, c // 2.
    filters = [turned[3 * (c // 2) : 3 * (c // 2) + 3, c % 2].flatten() for c in range(4)]
    parts = [first.flatten(), net[0].bias, *filters, net[1].bias, net[2].weight.flatten()]
    expected = torch.cat([*parts, net[2].bias]).detach()
    np.testing.assert_array_equal(kept, expected.numpy())
    norms = [float(row.norm()) for row in first] + [float(net[0].bias.detach().norm())]
    norms += [float(row.norm()) for row in filters]
    np.testing.assert_allclose(panel.arrays["filter_norms"][: len(norms)], norms, rtol=1e-6)


def test_weights_of_a_large_network_are_kept_as_sums() -> None:
    torch.manual_seed(6)
    net = nn.Sequential(nn.Linear(600, 500), nn.Linear(500, 20))
    panel = run(study_of(evidence_of([]), net)).panels[""]
    assert panel.facts["sketch_width"] == 32
    assert panel.arrays["sketch"].size == 500 * 32 + 32 + 20 * 32 + 20
    weight = net[0].weight.detach().numpy()
    np.testing.assert_array_equal(
        panel.arrays["sketch"][: 500 * 32].reshape(500, 32), sketched(weight, 32)
    )


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
