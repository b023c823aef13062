import numpy as np
import pytest

from reportgen.analyses.layer_health import layer_findings, saturation
from reportgen.probe.evidence import CallKey
from tests.analyses.planted import Values, a_call, evidence_of, seen_of, study_of

RNG = np.random.default_rng(6)


def noise(scale: float = 1) -> Values:
    return (RNG.normal(size=(2, 3, 4, 5)) * scale).astype(np.float32)


def found(*layers: tuple, **changes: object) -> list[tuple[str, str, str, str]]:
    evidence = evidence_of(list(layers), pictured=(), **changes)
    return [
        (finding.severity, finding.kind, finding.text, finding.href)
        for finding in layer_findings(study_of(evidence))
    ]


def test_a_sound_network_gives_nothing() -> None:
    values = noise()
    assert found((a_call("conv", values, kind="conv"), values)) == []


def test_the_first_layer_that_is_not_finite_is_named() -> None:
    good, bad = noise(), noise()
    bad[0, 1, 2, 3] = np.inf
    worse = np.full_like(bad, np.nan)
    calls = [(a_call(name, v), v) for name, v in (("a", good), ("b", bad), ("c", worse))]
    ((severity, kind, text, href),) = found(*calls)
    assert (severity, kind, href) == ("error", "non-finite-values", "layers/b.html#c=1")
    assert "b is the first" in text and "1 of 120" in text and "1 layer after it" in text


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("ReLU6", np.minimum(np.abs(noise(8)), 6)),
        ("F.relu6", np.minimum(np.abs(noise(8)), 6)),
        ("Sigmoid", 1 / (1 + np.exp(-noise(8)))),
        ("torch.tanh", np.tanh(noise(4))),
        ("Hardtanh", np.clip(noise(3), -1, 1)),
    ],
)
def test_saturation_is_the_share_at_the_ends(type_: str, values: Values) -> None:
    values = values.astype(np.float32)
    share, _ = saturation(a_call("x", values, type=type_), seen_of(values))
    if "6" in type_:
        literal = [value == 6 for value in values.flat]
    elif type_ == "Sigmoid":
        literal = [value < 1 / 64 or value >= 63 / 64 for value in values.flat]
    else:
        literal = [value < -63 / 64 or value >= 63 / 64 for value in values.flat]
        # The bin that starts at -1 holds -63/64 not, the one that ends at 1 holds 63/64.
    assert 0.2 < share < 1
    assert share == pytest.approx(sum(literal) / values.size)


def test_saturated_layers_are_found_and_unbounded_ones_have_no_ends() -> None:
    flat = np.full((2, 3, 4, 5), 6, dtype=np.float32)
    flat[0, 0] = 1
    assert saturation(a_call("x", flat, type="ReLU"), seen_of(flat)) is None
    ((severity, kind, text, _),) = found((a_call("x", flat, type="ReLU6"), flat))
    assert (severity, kind) == ("warning", "saturated-layers")
    assert "83 % of its values are exactly at 6" in text


def test_layers_that_change_nothing_are_found_but_norms_gates_and_dropout_are_not() -> None:
    values = noise()
    kinds = {"conv": "conv", "bn": "norm", "drop": "other", "act": "activation"}
    calls = [(a_call(name, values, kind=kind), values) for name, kind in kinds.items()]
    gate = a_call("gate", values, type="Hardsigmoid")
    calls.append((gate, values))
    similar = {CallKey(name): 0.995 for name in (*kinds, "gate")}
    similar[CallKey("act")] = 0.98
    ((_, kind, text, href),) = found(*calls, input_similarity=similar)
    assert (kind, href) == ("identity-layers", "layers/conv.html")
    assert "correlation 0.9950" in text


def test_scales_a_thousandfold_apart() -> None:
    small, large, dead = noise(1e-3), noise(2), noise(0)
    calls = [
        (a_call(name, values, kind="conv"), values)
        for name, values in (("small", small), ("large", large), ("dead", dead))
    ]
    ((_, kind, text, href),) = found(*calls)
    assert (kind, href) == ("activation-scale", "layers/large.html")
    ratio = large.astype(np.float64).std() / small.astype(np.float64).std()
    assert f"{ratio:,.0f} times" in text
    assert found(*calls[1:]) == []
