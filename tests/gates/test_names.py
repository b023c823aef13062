"""The names a gate may ask for: documented, complete, and the numbers that the report holds."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from reportgen.analyses import ANALYSES
from reportgen.gates.comparing import COMPARED_NUMBERS
from reportgen.gates.judge import conditions_in
from reportgen.gates.names import NUMBERS, OWN
from reportgen.gates.sections import OF_IMAGES, OF_LAYERS, OF_THE_NETWORK
from reportgen.report.records import Finding, Prediction, Section
from reportgen.report.store import load_report
from tests.report.sample_report import sample_report
from tests.report.test_schema import documented, part

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gates.md").read_text(encoding="utf-8")
NUMERIC = re.compile(r"(integer|number|boolean)( or null)?")


@pytest.fixture(scope="module")
def report():
    return sample_report()


def value(report, name, glob=""):
    """What one name says, by what it is of; the number alone where it is of the whole."""
    found = dict(NUMBERS[name].read(report, glob))
    return found[""] if found.keys() == {""} else found


def test_every_name_of_its_own_is_documented_and_there_is_no_other():
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (.+) \|$", PAGE, re.MULTILINE)
    written = {name: (unit, words) for name, unit, words in rows}
    own = {name.replace("[]", "[GLOB]"): number for name, number in OWN.items()}
    own |= {f"compare:{name}": number for name, number in COMPARED_NUMBERS.items()}
    assert written == {name: (number.unit, number.words) for name, number in own.items()}


def test_every_example_of_the_page_can_be_judged():
    examples = re.findall(r"`([a-z][^`]*[^`\s](?:[<>]=?|[=!]=)[^`\s]+)`", PAGE)
    assert len(examples) >= 10
    conditions_in([*examples, *re.findall(r'--fail-on "([^"]+)"', PAGE)], comparing=True)


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda analysis: analysis.name)
def test_the_numbers_of_a_section_are_those_of_the_schema(analysis):
    tables = {"layer": OF_LAYERS, "image": OF_IMAGES}
    named = tables.get(analysis.place, OF_THE_NETWORK).get(analysis.name, ())
    types = documented(analysis.name)
    written = {key for key, kind in types.items() if NUMERIC.fullmatch(kind.strip())}
    # Some are told in a sentence.
    for sentence in re.findall(r"^Network: .*(?:\n.+)*", part(analysis.name), re.MULTILINE):
        written |= set(re.findall(r"`(\w+)`", sentence))
    assert set(named) == written


def test_no_other_section_is_named():
    places = {analysis.name: analysis.place for analysis in ANALYSES}
    assert {places[name] for name in OF_LAYERS} == {"layer"}
    assert {places[name] for name in OF_IMAGES} == {"image"}
    assert {places[name] for name in OF_THE_NETWORK} <= {"index", "page"}


def numbers_in(item, start=""):
    """Every number in plain JSON values, as (path, number); lists of records by their `[]`."""
    for key, inner in item.items():
        if isinstance(inner, int | float):
            yield f"{start}{key}", inner
        elif isinstance(inner, dict) and key not in {"blocks", "histogram"}:
            yield from numbers_in(inner, f"{start}{key}.")


def test_every_number_of_a_real_report_has_a_name_that_gives_it(lenet_report):
    document = json.loads((lenet_report / "report.json").read_text(encoding="utf-8"))
    report = load_report(lenet_report)
    panels = {s["name"]: s["panel"] for s in document["sections"] if s["panel"]}
    flat = {key: item for key, item in document.items() if not isinstance(item, list)}
    expected = dict(numbers_in(flat)) | dict(numbers_in(panels))
    for name, number in expected.items():
        assert value(report, name) == number, name
    assert {"model.classes", "dead_filters.images", "weights.values"} <= expected.keys()
    for kind, key in (("layers", "slug"), ("images", "path"), ("parameters", "name")):
        names = {}
        for index, item in enumerate(document[kind]):
            for path, number in numbers_in(item):
                names.setdefault(f"{kind}[].{path}", {})[index] = number
        for name, numbers in names.items():
            found = [reading for _, reading in NUMBERS[name].read(report, "*")]
            assert {i: n for i, n in enumerate(found) if n is not None} == numbers, name
        assert len(names) > 3, key


def test_shares_are_counted_over_what_can_have_them(report):
    relu = replace(report.layers[1], dead_filters=5, near_dead_filters=3, units=10)
    whole = replace(report, layers=(report.layers[0], relu))
    assert value(whole, "dead") == (2 + 5) / (64 + 10)
    assert value(whole, "near_dead") == (0 + 3) / (64 + 10)
    assert value(whole, "constant") == (1 + 1) / (64 + 10)
    assert value(whole, "units") == 74
    assert value(report, "units") == 64
    assert value(report, "dead[]", "*") == {"features.0": 2 / 64, "relu#2": None}
    assert value(whole, "dead[]", "relu") == value(whole, "dead[]", "relu#2") == {"relu#2": 0.5}
    assert value(whole, "dead[]", "relu#1") == {}
    assert value(replace(report, layers=report.layers[1:]), "dead") is None


def test_nothing_is_said_of_units_beside_values_that_are_not_finite(report):
    sick = replace(report.layers[0], nonfinite=3, dead_filters=None)
    whole = replace(report, layers=(sick, report.layers[1]))
    for name in ("dead", "near_dead", "constant"):
        assert math.isnan(value(whole, name))
        assert math.isnan(value(whole, f"{name}[]", "features.0")["features.0"])
    assert value(whole, "nonfinite[]", "*") == {"features.0": 3, "relu#2": None}


def test_what_is_not_finite_is_counted_in_weights_activations_and_answers(report):
    assert value(report, "nonfinite") == 7
    silent = replace(report.images[0], predictions=())
    sick = replace(report.layers[0], nonfinite=30)
    whole = replace(report, images=(silent, report.images[1]), layers=(sick,))
    assert value(whole, "nonfinite") == 7 + 30 + 1
    assert math.isnan(value(whole, "confidence"))


def guesses(*classes):
    return tuple(Prediction(c, str(c), 0.4 - 0.05 * i, 0.0) for i, c in enumerate(classes))


def test_right_answers_are_counted_among_labelled_images(report):
    image = report.images[0]
    images = (
        replace(image, true_index=3, predictions=guesses(9, 8, 7, 6, 3)),
        replace(image, true_index=4, predictions=guesses(9, 8, 7, 6, 5, 4)),
        replace(image, true_index=None, predictions=guesses(3)),
        replace(image, true_index=9, predictions=guesses(9)),
        replace(image, true_index=9, predictions=()),
    )
    assert value(replace(report, images=images), "top5") == 2 / 4
    assert value(replace(report, images=images[2:3]), "top5") is None
    assert value(replace(report, accuracy=0.25), "accuracy") == 0.25
    assert value(report, "accuracy") is None
    assert value(replace(report, images=images[:4]), "confidence") == pytest.approx(0.4)


def test_findings_are_counted_by_severity_and_kind(report):
    found = [("error", "a-b"), ("warning", "a-c"), ("warning", "d"), ("info", "a-b")]
    whole = replace(
        report,
        findings=tuple(Finding(severity, kind, "", "") for severity, kind in found),
        sections=(Section("overview", "Overview", "index"),),
    )
    counts = {name: value(whole, name) for name in OWN if name.startswith("findings")}
    assert counts.pop("findings[]") == 0
    assert counts == {
        "findings": 4,
        "findings.error": 1,
        "findings.warning": 2,
        "findings.info": 1,
    }
    assert [value(whole, "findings[]", glob) for glob in ("a-*", "a-b", "?", "*")] == [3, 2, 1, 4]
    # The sample's second section failed: what it would have found is not known.
    assert value(report, "findings") is None
    assert value(report, "failed") == 1


def test_counts_and_sizes(report):
    whole = replace(report, model=replace(report.model, bytes=2_500_000))
    names = ("images", "skipped", "layers", "parameters", "macs", "size_mb")
    assert [value(whole, name) for name in names] == [2, 1, 2, 1235496, 349_000_000, 2.5]
    assert value(report, "size_mb") is None
