"""Networks that do not choose one class of several: what of them is compared, and what is not."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reportgen.compare.compared import compared
from reportgen.compare.given import given_reports
from reportgen.compare.images import image_changes
from reportgen.gates.judge import conditions_in, judged
from reportgen.render.comparison import comparison_pages
from reportgen.summary import comparison_summary
from tests.compare.conftest import NoPress
from tests.compare.tiny import HEIGHT, LABELS, WIDTH, checkpoints, network_input, tiny
from tests.conftest import left_with
from tests.tasks import colours

OF_ANSWERS = ("answers_changed", "answers_changed_share", "answers_broken", "answers_corrected")
OF_ANSWERS += ("accuracy_a", "accuracy_b", "accuracy_drop")


@pytest.fixture(scope="module")
def states():
    """`a`, and the same with higher scores of the second class alone."""
    first, second = checkpoints()["a"], {k: v.clone() for k, v in checkpoints()["a"].items()}
    second["line.bias"][1] += 2
    return first, second


@pytest.fixture(scope="module")
def given(make, states, root):
    """The two reports of a task, as `compare` reads them."""

    def made(*tasks):
        folders = [
            make(f"{task}{n}", state, "--task", task)
            for n, (task, state) in enumerate(zip(tasks, states, strict=True))
        ]
        return given_reports(folders, root / "out")

    return made


@pytest.fixture(scope="module")
def scores(states, root):
    """By network: the scores of each image, by its path."""
    paths = sorted((root / "images").rglob("*.png"))
    return [
        {
            path.relative_to(root / "images").as_posix(): tiny(state)(network_input(path))[0]
            for path in paths
        }
        for state in states
    ]


@pytest.fixture(scope="module")
def values(given):
    reports = given("regress", "regress")
    return reports, compared(reports, version="0")


@pytest.fixture(scope="module")
def several(given):
    return compared(given("multilabel", "multilabel"), version="0")


@pytest.fixture(scope="module")
def mixed(given):
    reports = given("classify", "regress")
    return reports, compared(reports, version="0")


@pytest.fixture(scope="module")
def boxes(root):
    """The comparison of two detection networks."""
    folders = []
    for name in ("finder", "other-finder"):
        state = colours.Finder().state_dict()
        state["copy.weight"] *= 1 if name == "finder" else 0.5
        torch.save(state, root / f"{name}.pth")
        words = [root / f"{name}.pth", root / "images", "-q", "-o", root / name]
        words += ["--arch", f"{Path(colours.__file__)}:Finder", "--input-size", HEIGHT, WIDTH]
        words += ["--mean", *"000", "--std", *"111", "--sections", "answers,weights,activations"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reportgen.pipeline.Press", NoPress)
            assert left_with("build", *words) == 0
        folders.append(root / name)
    return compared(given_reports(folders, root / "out"), version="0")


def pages(made):
    return {
        path: content.decode()
        for path, content in comparison_pages(made)
        if path.endswith((".html", ".csv"))
    }


def test_values_are_shown_and_not_counted_as_answers(values, scores):
    _, values = values
    assert {name: values.metrics[name] for name in OF_ANSWERS} == dict.fromkeys(OF_ANSWERS)
    assert values.differences == ()
    assert len(values.images) == 9
    for image in values.images:
        for said, of in ((image.said_a, scores[0]), (image.said_b, scores[1])):
            expected = of[image.path].tolist()
            assert [one.logit for one in said] == pytest.approx(expected, abs=1e-5)
    # The second value alone is another one: that of the first output is the same.
    assert {image.answer_a == image.answer_b for image in values.images} == {True}
    assert values.verdict.startswith("Values of 9 of the 9 images that both saw changed. ")
    made = pages(values)
    assert "9 images that both saw; the networks give values." in made["images.html"]
    assert "Values and their evidence" in made["index.html"]
    assert 'Image,True class,"Values, A","Values, B",Outcome' in made["data/images.csv"]
    for path, text in made.items():
        if path != "about.html":
            for wrong in ("not finite", "finite in neither", "Answers changed", "same answer"):
                assert wrong not in text, path
    assert "other values" in made["images.html"]
    assert "Answers changed" not in dict(comparison_summary(values).tiles)


def test_gates_on_answers_say_why_there_are_none(values, mixed):
    for reports, made in (values, mixed):
        conditions = conditions_in(
            ["compare:answers_changed>0", "compare:accuracy_drop>1%"], comparing=True
        )
        gates = judged(conditions, reports[1].report, made.metrics)
        assert [(gate.outcome, gate.words) for gate in gates] == [
            ("unknown", "it takes two networks that answer with classes, in the same way")
        ] * 2


def test_two_tasks_are_said_and_nothing_is_compared_across_them(mixed):
    _, made = mixed
    assert {name: made.metrics[name] for name in OF_ANSWERS} == dict.fromkeys(OF_ANSWERS)
    assert made.differences == (
        "classify0 gives one class of several and regress1 values, so answers and maps are not "
        "compared.",
    )
    assert "not-alike" in {finding.kind for finding in made.findings}
    said = "The networks give one class of several (classify0) and values (regress1), so answers "
    assert made.verdict == f"{said}are not compared. No weight moved."
    assert {one.spearman for image in made.images for one in image.maps} == {None}
    assert "not compared" in pages(made)["images.html"]
    assert [subject.task for subject in made.subjects] == ["classify", "regress"]


def test_an_answer_of_several_classes_is_the_set_of_them(several, scores):
    # Above one half where the score is above zero.
    sets = [{path: set((of > 0).nonzero().flatten().tolist()) for path, of in all_of.items()}
            for all_of in scores]  # fmt: skip
    firsts = [{path: int(of.argmax()) for path, of in all_of.items()} for all_of in scores]
    changed = {path for path in sets[0] if sets[0][path] != sets[1][path]}
    is_hidden = {path for path in changed if firsts[0][path] == firsts[1][path]}
    assert is_hidden and changed != set(sets[0])
    for image in several.images:
        assert image.outcome == ("changed" if image.path in changed else "same")
        assert {one.index for one in image.said_b} == sets[1][image.path]
    assert several.metrics["answers_changed"] == len(changed)
    (found,) = (one.text for one in several.findings if one.kind == "answers-changed")
    path, before, after = re.match(r"(.*?): (.*) became (.*?)(?:;|\.$)", found).groups()
    for words, of in ((before, sets[0]), (after, sets[1])):
        names = {LABELS[index] for index in of[path]}
        assert set(words.split(", ")) == (names or {"no class"})
    text = pages(several)["images.html"]
    assert f"{len(changed)} answers of the 9 images" in text


def test_boxes_are_not_called_not_finite(boxes):
    assert {name: boxes.metrics[name] for name in OF_ANSWERS} == dict.fromkeys(OF_ANSWERS)
    assert [subject.nonfinite for subject in boxes.subjects] == [0, 0]
    assert "not-finite" not in {finding.kind for finding in boxes.findings}
    assert boxes.metrics["weight_change"] == pytest.approx(0.5)
    assert boxes.verdict.startswith("Both networks give boxes, which are not compared.")
    for path, text in pages(boxes).items():
        if path != "about.html":
            assert "not finite" not in text and "finite in neither" not in text, path
    assert "the networks give boxes, which are not compared." in pages(boxes)["images.html"]


def test_a_timeline_of_two_tasks_has_no_film(make, states, root):
    names = ("classify", "multilabel", "classify")
    folders = [make(f"line-{n}", states[0], "--task", task) for n, task in enumerate(names)]
    made = compared(given_reports(folders, root / "out"), version="0")
    assert made.timeline.film is None and "different kinds" in made.timeline.film_problem
    assert "There is no film strip. The networks give" in pages(made)["timeline.html"]


def test_the_answer_of_a_single_score_is_whether_its_class_is_said(given):
    def single(one, chances):
        images = tuple(
            replace(
                image, predictions=(replace(image.predictions[0], index=0, probability=chance),)
            )
            for image, chance in zip(one.report.images, chances, strict=False)
        )
        model = replace(one.report.model, task="classify", classes=1)
        return replace(one, report=replace(one.report, model=model, images=images))

    a, b = given("multilabel", "multilabel")
    made = image_changes(single(a, (0.9, 0.9, 0.2)), single(b, (0.6, 0.4, 0.1)), same_input=True)
    outcomes = {image.path: image.outcome for image in made}
    paths = [image.path for image in a.report.images[:3]]
    assert [outcomes[path] for path in paths] == ["same", "changed", "same"]
