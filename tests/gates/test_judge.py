"""What conditions come to: refused beforehand, passed, tripped, or not known and so failed."""

import math
from dataclasses import replace

import pytest

from reportgen.errors import OptionError
from reportgen.gates.judge import (
    conditions_in,
    failure,
    judged,
    judged_in_time,
    refuse_unlabelled,
    refuse_unmade,
)
from reportgen.report.records import Gate, Rule
from tests.report.sample_report import sample_report


@pytest.fixture(scope="module")
def report():
    return sample_report()


def gate(report, text, compared=None):
    (found,) = judged(conditions_in([text], comparing=compared is not None), report, compared)
    assert found.condition == text
    return found


def layered(report, *dead, units=1000):
    layers = (
        replace(report.layers[0], name=f"conv{i}", dead_filters=n, units=units)
        for i, n in enumerate(dead)
    )
    return replace(report, layers=tuple(layers))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ded>5%", "there is no ded; the nearest is dead;"),
        ("acuracy<0.9", "there is no acuracy; the nearest is accuracy;"),
        ("layers[*].stdd>1", "there is no layers[GLOB].stdd; the nearest is layers[GLOB].std;"),
        ("dead_filters.zero_weigths>0", "the nearest is dead_filters.zero_weights;"),
        ("accuracy[conv1]<1", "there is no accuracy[GLOB]; the nearest is accuracy;"),
        ("layers.std>1", "there is no layers.std; the nearest is layers[GLOB].std;"),
        ("model.sha256>1", "there is no model.sha256"),
        ("layers[*].panels>1", "there is no layers[GLOB].panels"),
        ("model.__class__>1", "there is no model.__class__"),
        ("qqqqqqqqqqqq>1", "there is no qqqqqqqqqqqq; docs/gates.md lists all."),
        ("images>5%", "images is a count, which is not given in percent"),
        ("model.preprocessing.is_assumed==100%", "is 0 or 1, which is not given in percent"),
        ("dead>5", "dead is a share, from 0 to 1 or from 0% to 100%"),
        ("accuracy<-0.1", "accuracy is a share"),
        ("dead[conv1]>101%", "dead[GLOB] is a share"),
        ("compare:accuracy_drop>1%", "one report is not a comparison"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_its_text(text, sentence):
    with pytest.raises(OptionError) as told:
        conditions_in(["dead>5%", text])
    assert str(told.value).startswith(f'--fail-on "{text}": ')
    assert sentence in str(told.value)


def test_names_of_a_comparison_are_known_where_there_is_one():
    conditions_in(["compare:accuracy_drop>-1%", "dead>5%"], comparing=True)
    for text, sentence in (
        ("compare:acuracy_drop>0", "the nearest is compare:accuracy_drop;"),
        ("compare:accuracy_drop>5", "is a difference of shares, from -1 to 1"),
        ("compare:units_died>5%", "is a count, which is not given in percent"),
    ):
        with pytest.raises(OptionError, match=sentence):
            conditions_in([text], comparing=True)


def test_sections_that_are_not_made_are_refused():
    conditions = conditions_in(["dead_filters.zero_weights>0", "dead>0"])
    refuse_unmade(conditions, ["dead_filters"], [])
    with pytest.raises(OptionError, match="the section dead_filters is not made"):
        refuse_unmade(conditions, ["weights"], [])
    found = conditions_in(["findings[dead-*]>0"])
    refuse_unmade(found, [], ["few-images", "dead-filters"])
    with pytest.raises(OptionError, match="no section that is made finds such a thing"):
        refuse_unmade(found, [], ["few-images"])
    with pytest.raises(OptionError, match=r"such a thing; the nearest is dead-filters\."):
        refuse_unmade(conditions_in(["findings[ded-filters]>0"]), [], ["dead-filters", "few"])


@pytest.mark.parametrize("name", ["accuracy", "top5"])
def test_true_classes_are_asked_for_where_they_are_needed(name):
    refuse_unlabelled(conditions_in(["dead>0", "confidence<0.5"]))
    with pytest.raises(OptionError, match=f'"{name}<0.5": the class of no image is known'):
        refuse_unlabelled(conditions_in([f"{name}<0.5"]))


@pytest.mark.parametrize(
    ("text", "outcome", "value", "words"),
    [
        ("dead>3.125%", "passed", 0.03125, "3.12 %"),
        ("dead>=3.125%", "tripped", 0.03125, "3.125 %"),
        ("dead>3.1%", "tripped", 0.03125, "3.12 %"),
        ("parameters>1e6", "tripped", 1235496.0, "1,235,496"),
        ("model.preprocessing.is_assumed==1", "passed", 0.0, "0"),
        ("failed!=0", "tripped", 1.0, "1"),
        ("parameters[*].min<-0.5", "tripped", -1.0, "features.0.weight: −1"),
        ("parameters[*].mean<1", "tripped", None, "features.0.weight: not finite"),
        ("layers[*].zero_fraction>20%", "tripped", 0.25, "features.0: 25 %"),
        ("accuracy<0.9", "unknown", None, "the class of no image is known"),
        ("findings>0", "unknown", None, "the section kernels could not be made, so its"),
        ("dead[conv9]>0", "unknown", None, "no layer is called conv9"),
        ("layers[featuers.0].std>0", "unknown", None, "featuers.0; the nearest is features.0"),
        ("parameters[bias].std>0", "unknown", None, "no parameter is called bias"),
        ("images[dog.png].width>0", "unknown", None, "no image is called dog.png"),
        ("dead[relu]>0", "unknown", None, "not defined for relu#2, but for features.0"),
        ("weights.zeros>0", "unknown", None, "the report holds no such number"),
        ("layers[*].kernels.clipped>0", "unknown", None, "the section kernels could not be made"),
    ],
)
def test_one_gate(report, text, outcome, value, words):
    found = gate(report, text)
    assert (found.outcome, found.value) == (outcome, value)
    assert words in found.words


def test_digits_are_enough_to_see_which_side_a_share_lies_on(report):
    found = gate(layered(report, 50_001, units=1_000_000), "dead>5%")
    assert (found.outcome, found.words) == ("tripped", "5.0001 %")
    found = gate(layered(report, 49_996, units=1_000_000), "dead<5%")
    assert (found.outcome, found.words) == ("tripped", "4.9996 %")


def test_any_of_several_trips_and_the_worst_come_first(report):
    whole = layered(report, 10, 300, None, 200, 400, 250, 20)
    found = gate(whole, "dead[conv*]>10%")
    assert (found.outcome, found.value) == ("tripped", 0.4)
    assert found.words == "conv4: 40 %, conv1: 30 %, conv5: 25 % and 1 more"
    found = gate(whole, "dead[conv*]>50%")
    assert (found.outcome, found.words) == ("passed", "conv4: 40 %, the closest of 6")
    found = gate(whole, "dead[conv*]<1%")
    assert (found.outcome, found.words) == ("passed", "conv0: 1 %, the closest of 6")
    assert gate(whole, "dead[conv*]!=1%").words.startswith("conv4: 40 %")
    assert gate(whole, "dead[conv*]==20.5%").words == "conv3: 20 %, the closest of 6"


def test_a_layer_without_the_number_is_told_which_layers_have_it(report):
    dead = layered(report, None, 3, None, 0)
    (gate,) = judged(conditions_in(["dead[conv0]>1%"]), dead)
    assert gate.outcome == "unknown"
    assert gate.words == "it is not defined for conv0, but for conv1, conv3"
    (gate,) = judged(conditions_in(["dead[conv*]>1%"]), layered(report, None, None))
    assert gate.words == "it is not defined for conv0, conv1"


def test_numbers_of_a_comparison(report):
    found = gate(report, "compare:accuracy_drop>1%", {"accuracy_drop": 0.0123})
    assert (found.outcome, found.words) == ("tripped", "1.23 %")
    found = gate(report, "compare:accuracy_drop>0.01", {"accuracy_drop": -0.5})
    assert (found.outcome, found.words) == ("passed", "−0.5")
    found = gate(report, "compare:accuracy_drop>0.01", {"accuracy_drop": math.nan})
    assert (found.outcome, found.words) == ("tripped", "not finite")
    found = gate(report, "compare:accuracy_drop>0.01", {"accuracy_drop": None})
    assert (found.outcome, found.words) == ("unknown", "it is not defined for these reports")
    asked = conditions_in(["dead>0", "compare:accuracy_drop>0.01"], comparing=True)
    with pytest.raises(OptionError, match=r'"compare:accuracy_drop>0\.01": it is not defined'):
        judged_in_time(asked, report, {"accuracy_drop": None})
    assert [made.condition for made in judged_in_time(asked[:1], report)] == ["dead>0"]


def test_a_misspelt_kind_of_finding_is_refused_of_a_saved_report_too(report):
    made = replace(report, rules=(Rule("dead-filters", "Warning."),))
    with pytest.raises(OptionError, match="finds such a thing; the nearest is dead-filters"):
        judged_in_time(conditions_in(["findings[deadd-filters]>0"]), made)


def test_a_failure_names_every_gate_that_did_not_pass():
    gates = [
        Gate("dead>5%", "tripped", 0.07, "7 %"),
        Gate("images<1", "passed", 6.0, "6"),
        Gate("accuracy<0.9", "unknown", None, "the class of no image is known"),
    ]
    told = failure(gates)
    assert told is not None and told.exit_code == 1
    assert str(told).splitlines() == [
        "2 of 3 gates failed:",
        "  dead>5%  (7 %)",
        "  accuracy<0.9  (the class of no image is known)",
    ]
    assert failure(gates[1:2]) is None
    assert failure([]) is None
    assert str(failure(gates[:1])).splitlines()[0] == "The gate failed:"
    hostile = Gate("dead>5%", "tripped", 0.07, "\x1b[31mconv\n1: 7 %")
    assert str(failure([hostile])).splitlines()[1:] == ["  dead>5%  (\ufffd[31mconv\ufffd1: 7 %)"]
