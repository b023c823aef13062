import numpy as np
import pytest
from torch import nn

from reportgen.analyses.overview import run, verdict
from reportgen.report.records import Finding, ReceptiveField
from tests.analyses.planted import a_call, an_answer, evidence_of, study_of

RNG = np.random.default_rng(9)


def test_curves_hold_one_value_per_layer() -> None:
    conv = RNG.normal(size=(2, 4, 3, 5)).astype(np.float32)
    relu = np.maximum(conv, 0)
    relu[:, 1] = 0
    field = ReceptiveField((7, 11), (2, 2), (-3, -3), False)
    calls = [
        a_call("conv", conv, kind="conv", rectifies=False, receptive_field=field),
        a_call("relu", relu),
    ]
    study = study_of(evidence_of(list(zip(calls, [conv, relu], strict=True))))
    block = run(study).panels[""].blocks["curves"]
    curves = {curve.name: curve.values for curve in block.curves}
    assert block.layers == ("conv", "relu")
    shown = float((relu == 0).mean())
    assert f"Zeros reach {100 * shown:.0f} % at most." in block.alt
    assert curves["Zeros"] == (None, pytest.approx(shown))
    assert curves["Dead filters"] == (None, 0.25)
    assert curves["Receptive field"] == (11, None)
    assert curves["Activation scale"] == (None, pytest.approx(relu.astype(np.float64).std()))


def test_without_a_nonlinearity_the_curves_are_those_of_every_layer() -> None:
    values = RNG.normal(size=(2, 4, 3, 5)).astype(np.float32)
    values[0] = 0
    call = a_call("conv", values, kind="conv", rectifies=False)
    curves = run(study_of(evidence_of([(call, values)]))).panels[""].blocks["curves"].curves
    assert curves[0].values == (0.5,)
    assert curves[2].values == pytest.approx((values.astype(np.float64).std(),))


def test_the_verdict_names_size_trouble_and_dead_filters() -> None:
    values = RNG.uniform(0.1, 1, (6, 10, 2, 3)).astype(np.float32)
    values[:, :3] = 0
    study = study_of(evidence_of([(a_call("relu", values), values)]), nn.Linear(1000, 1235))
    found = [Finding("warning", "x", "", ""), Finding("info", "x", "", "")]
    assert verdict(study, found) == (
        "tiny, 1.24 M parameters, 349.2 MMAC, 6 images: 1 warning; "
        "3 of 10 rectified filters never fire on these 6 images."
    )
    found += [Finding("error", "x", "", "")] * 2
    assert ": 2 errors and 1 warning; 3 of" in verdict(study, found)


def test_the_verdict_without_trouble_or_without_a_rectifier() -> None:
    values = RNG.uniform(0.1, 1, (1, 10, 2, 3)).astype(np.float32)
    study = study_of(evidence_of([(a_call("relu", values), values)], macs=0), nn.Linear(3, 4))
    assert verdict(study, ()) == (
        "tiny, 16 parameters, 0 MAC, 1 image: nothing to warn of; "
        "each of the 10 rectified filters fires on this image."
    )
    bare = study_of(evidence_of([], [an_answer([1.0, 0.0])]), nn.Linear(3, 4))
    assert verdict(bare, ()).endswith("1 image: nothing to warn of.")
