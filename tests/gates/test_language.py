"""NAME OP VALUE: what is read, what is refused, and which side of a value trips."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.errors import OptionError
from reportgen.gates.language import OPERATORS, Condition, condition_in


@pytest.mark.parametrize(
    ("text", "name", "which", "operator", "value", "is_percent"),
    [
        ("dead>5%", "dead", "", ">", 0.05, True),
        ("  accuracy  <=  .9 ", "accuracy", "", "<=", 0.9, False),
        ("dead[features.*]>=10%", "dead[]", "features.*", ">=", 0.1, True),
        ("images[a b/é=1].width>+3.", "images[].width", "a b/é=1", ">", 3.0, False),
        ("compare:accuracy_drop>0.01", "compare:accuracy_drop", "", ">", 0.01, False),
        ("findings.error!=0", "findings.error", "", "!=", 0.0, False),
        ("layers[a]>1][b].std<-1e3", "layers[].std", "a]>1][b", "<", -1000.0, False),
        ("top5<12.3%", "top5", "", "<", 0.123, True),
    ],
)
def test_a_condition_is_read(text, name, which, operator, value, is_percent):
    found = condition_in(text)
    assert found == Condition(text.strip(), name, which, operator, value, is_percent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dead",
        "dead>",
        ">5%",
        "dead=5%",
        "dead=>5%",
        "dead>>5",
        "dead>5%%",
        "dead>5 percent",
        "dead>1,000",
        "dead>nan",
        "dead>inf",
        "dead>0x10",
        "dead>1_000",
        "dead>٣",
        "dead >5; accuracy<0.9",
        "dead[]>5%",
        "dead[a>5%",
        "Dead>5%",
        "dead..layers>1",
        "compare:>1",
        "dead>5%\naccuracy<1",
        "__import__('os')>1",
    ],
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(OptionError, match="is no condition: write NAME OP VALUE"):
        condition_in(text)


def test_a_number_too_large_is_refused():
    with pytest.raises(OptionError, match="too large"):
        condition_in("macs>1e999")


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(0, 6))
def test_a_percentage_is_the_float_nearest_to_its_hundredth(digits, decimals):
    text = f"{digits / 10**decimals:.{decimals}f}"
    assert condition_in(f"dead>{text}%").value == float(Fraction(text) / 100)


@pytest.mark.parametrize("sign", sorted(OPERATORS))
@settings(deadline=None, derandomize=True)
@given(value=st.floats(-2, 2), bound=st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
def test_it_holds_as_python_compares(sign, value, bound):
    condition = condition_in(f"x{sign}{bound}")
    assert condition.holds(value) is eval(f"{value!r} {sign} {bound!r}")


@pytest.mark.parametrize("sign", sorted(OPERATORS))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_what_is_not_finite_always_fails(sign, value):
    assert condition_in(f"x{sign}0.5").holds(value)
