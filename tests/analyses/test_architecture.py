import numpy as np
from torch import nn

from reportgen.analyses.architecture import run
from reportgen.probe.evidence import CallKey
from reportgen.report.records import ReceptiveField
from tests.analyses.planted import a_call, evidence_of, study_of


def test_one_row_per_call_in_execution_order() -> None:
    values = np.ones((1, 4, 5, 7), dtype=np.float32)
    field = ReceptiveField((3, 5), (2, 1), (-1, -2), False)
    conv = a_call(
        "conv",
        values,
        type="Conv2d",
        kind="conv",
        parameters=112,
        macs=3780,
        receptive_field=field,
    )
    relu = a_call("relu", values, key=CallKey("relu", 2), inputs=(conv.key,))
    study = study_of(evidence_of([(conv, values), (relu, values)]), nn.Conv2d(3, 4, 3))
    panel = run(study).panels[""]
    assert panel.facts == {"parameters": 112, "macs": 349_152_000, "calls": 2}
    first, second = panel.blocks["table"].rows
    assert (first[0].text, first[0].href) == ("conv", "layers/conv.html")
    assert first[1:] == (
        "Conv2d", "conv", "input", "4 x 5 x 7", 112, 3780, "3 x 5", "2 x 1", "0, 0",
    )  # fmt: skip
    assert (second[0].text, second[3]) == ("relu#2", "conv")
    assert second[7:] == (None, None, None)
