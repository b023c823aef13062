import math

import numpy as np
import pytest

from reportgen.render.captions import histograms, kernels, weights
from reportgen.report.records import Panel, Section
from tests.render.captions.made import histogram, parameter

CASES = {
    "a middle": (
        [2, 3, 60, 40, 3, 1],
        -3.0,
        3.0,
        "Of 109 values, 90 % or more lie between −1 and 1; 59.6 % are below zero.",
    ),
    "few below zero": (
        [1, 98, 1],
        -1.0,
        2.0,
        "Of 100 values, 90 % or more lie between 0 and 1; 1 % are below zero.",
    ),
    "zero inside a bin": (
        [1, 98, 1],
        -1.5,
        1.5,
        "Of 100 values, 90 % or more lie between −0.5 and 0.5.",
    ),
    "spread": ([5, 5], 0.0, 1.0, "10 values, spread from 0 to 1."),
    "one bin": ([0, 7, 0], 0.0, 3.0, "All 7 values lie between 1 and 2."),
    "one value": ([1], -0.5, 0.5, "The one value lies between −0.5 and 0.5."),
    "none": ([0, 0], 0.0, 1.0, "No value is finite, so there is nothing to see."),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_histogram_has_its_sentence(case):
    counts, low, high, words = CASES[case]
    assert histograms.caption(histogram(counts, low, high)) == words


def test_other_things_are_counted_too():
    assert histograms.caption(histogram([3, 0], 0, 2), "slope").startswith("All 3 slopes lie")


def test_the_middle_holds_nine_in_ten_by_counting():
    values = np.random.default_rng(8).normal(2, 1, 5000)
    counts, edges = np.histogram(values, 50, (-3, 7))
    low, high = histograms.middle(histogram(counts.tolist(), -3.0, 7.0))
    inside = (values >= low) & (values <= high)
    assert 0.9 <= inside.mean() <= 0.95
    assert (values < low).mean() <= 0.05 and (values > high).mean() <= 0.05
    assert min(abs(edges - low)) < 1e-9 > min(abs(edges - high))


def test_what_surely_lies_within_a_limit():
    block = histogram([10, 20, 30, 40], -2.0, 2.0)
    assert histograms.within(block, 1.0) == 0.5
    assert histograms.within(block, 1.9) == 0.5
    assert histograms.within(block, 2.0) == 1.0
    assert histograms.within(block, 0.5) == 0.0


def test_a_parameter_in_place_of_its_picture():
    made = parameter("conv.weight", 0.5, counts=(1, 98, 1))
    assert histograms.alt(made) == (
        "Values of conv.weight, from −1.5 to 1.5: 90 % or more between −0.5 and 0.5"
    )
    assert histograms.alt(parameter("b", 0, ends=(2.0, 2.0))) == "Values of b: all are 2"
    assert histograms.alt(parameter("b", 0, counts=(0, 0))) == "b holds no finite value"


def test_parameters_side_by_side():
    wide = parameter("a.weight", 2.0)
    narrow = parameter("b.weight", 0.5, zeros=0.25)
    broken = parameter("c.weight", math.nan, nonfinite=12, counts=(0,))
    assert weights.caption([wide, narrow, broken]) == (
        "Of 2 tensors, a.weight is spread widest, standard deviation 2, and b.weight least, 0.5. "
        "1 of 2 tensors holds exact zeros: b.weight, 25 %. 1 tensor holds values that are not "
        "finite."
    )
    also = parameter("d.weight", 1.0, zeros=0.5)
    assert "2 of 3 tensors hold exact zeros: most of all d.weight, 50 %." in weights.caption(
        [wide, narrow, also]
    )
    assert weights.caption([wide]) == "1 tensor with a standard deviation of 2."
    assert weights.caption([broken]).startswith("Nothing to see: no parameter")


def test_filters_by_their_norm():
    assert kernels.sizes(np.array([1.0, 3.5, 0.25])) == (
        "Filter 1 has the largest norm, 3.5; the smallest, of filter 2, is 0.25."
    )
    assert kernels.sizes(np.array([1.0, 0.0, 0.0])) == (
        "Filter 0 has the largest norm, 1; 2 of 3 filters are zero."
    )
    assert kernels.sizes(np.zeros(3)) == "Nothing to see: all 3 filters are zero."
    assert kernels.sizes(np.ones(3)) == "All 3 filters have a norm of 1."
    assert kernels.sizes(np.ones(1)) == "The norm of the one filter is 1."
    assert kernels.sizes(np.array([1.0, np.nan])) == kernels.sizes(None) == ""


def test_norms_are_those_of_the_parameter_of_that_name(report):
    parameters = (parameter("a.weight", 1), parameter("a.bias", 1), parameter("b.weight", 1))
    facts = {"sketch_rows": (2, 1, 3)}
    arrays = {"filter_norms": np.arange(6, dtype=np.float32)}
    section = Section("weights", "Weights", "page", Panel(facts, arrays))
    from dataclasses import replace

    made = replace(report, parameters=parameters, sections=(section,))
    found = kernels.norms(made, "b.weight", 3)
    assert found is not None and found.tolist() == [3, 4, 5]
    assert kernels.norms(made, "b.weight", 4) is None
    assert kernels.norms(made, "c.weight", 3) is None
    assert kernels.norms(replace(made, sections=()), "b.weight", 3) is None
    # A tenth of the scale of 5 is the middle one of three bins, which holds 8 of 10 weights.
    assert kernels.pale(made, "b.weight", 5.0) == (
        "At least 80 % of the weights are within ±0.5 and look pale."
    )
    assert kernels.pale(made, "b.weight", 0.0) == kernels.pale(made, "c.weight", 5.0) == ""
    assert kernels.largest(made, "b.weight", 3).startswith("Filter 2 has the largest norm, 5; ")
    assert kernels.largest(made, "c.weight", 3) == ""
