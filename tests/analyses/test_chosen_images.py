"""The images that get a page: a rule that can be told from the answers alone."""

import numpy as np
import pytest

from reportgen.analyses.chosen_images import chosen_images, rule
from reportgen.probe.evidence import Answer


def answer(said=None, sure=0.0):
    """One that gives class `said` so much; without a class it is not finite."""
    classes = [] if said is None else [said, said + 1]
    return Answer(
        np.array(classes, np.int64),
        np.array([sure, 0.0][: len(classes)]),
        np.zeros(len(classes), np.float32),
    )


#          0   1   2   3   4   5    6   7   8   9   10  11
TRUTH = [1, 1, 1, 1, 0, 0, None, 2, 2, 2, 2, 2]
SAID = [1, 1, 0, 1, 2, 0, 1, 2, 2, 1, 2, 0]
SURE = [0.5, 0.9, 0.7, 0.99, 0.8, 0.2, 0.95, 0.6, 0.3, 0.8, 0.99, 0.1]
ANSWERS = [answer(said, sure) for said, sure in zip(SAID, SURE, strict=True)]


def kinds(chosen):
    marks = ("class.", "spaced", "mistakes", "least", "most", "fill")
    return {index: next(m for m in marks if m in why) for index, why in chosen.items()}


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, {4: "class."}),
        (2, {0: "class.", 4: "class."}),
        # Of the mistakes 2, 4, 9 and 11 the highest are 4, a page already, and 9; 11 is in doubt.
        (6, {0: "class.", 4: "class.", 7: "class.", 9: "mistakes", 11: "least", 3: "most"}),
        (
            9,
            # The second images of classes 0 and 1; then in turn.
            {4: "class.", 0: "class.", 7: "class.", 5: "class.", 1: "class."}
            | {9: "mistakes", 11: "least", 3: "most", 2: "mistakes"},
        ),
    ],
)
def test_classes_mistakes_doubts_and_certainties_have_pages(most, expected):
    if most == 2:
        expected = {4: "class.", 9: "mistakes"}  # half of two is one class
    chosen = chosen_images(ANSWERS, TRUTH, most)
    assert kinds(chosen) == expected
    assert list(chosen) == sorted(chosen)


def test_a_page_says_the_number_that_it_was_chosen_for():
    chosen = chosen_images(ANSWERS, TRUTH, 6)
    assert chosen[9] == "Chosen for a page as one of the worst mistakes: 80.0%."
    assert chosen[11] == "Chosen for a page as one of the least confident answers: 10.0%."


def test_without_classes_half_is_evenly_spaced():
    chosen = chosen_images(ANSWERS, [None] * 12, 6)
    assert kinds(chosen) == {
        0: "spaced", 4: "spaced", 8: "spaced", 11: "least", 3: "most", 5: "least",
    }  # fmt: skip


def test_more_classes_than_pages_are_evenly_spaced():
    truth = [index // 2 for index in range(40)]
    answers = [answer(true, 0.5) for true in truth]
    chosen = kinds(chosen_images(answers, truth, 8))
    assert [index for index, kind in chosen.items() if kind == "class."] == [0, 10, 20, 30]
    # All alike: the first that are left, in turn.
    assert chosen == {0: "class.", 10: "class.", 20: "class.", 30: "class."} | {
        1: "least", 2: "most", 3: "least", 4: "most",
    }  # fmt: skip


def test_images_without_an_answer_come_last():
    answers = [answer(), answer(0, 0.4), answer(), answer(), answer(1, 0.6), answer()]
    assert kinds(chosen_images(answers, [None] * 6, 5)) == {
        0: "spaced", 1: "least", 2: "spaced", 4: "spaced", 3: "fill",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_there_are_as_many_pages_as_were_asked_for(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 60))
    truth = [None if rng.random() < 0.3 else int(rng.integers(0, 7)) for _ in range(count)]
    answers = [
        answer() if rng.random() < 0.2 else answer(int(rng.integers(0, 7)), float(rng.random()))
        for _ in range(count)
    ]
    for most in range(1, count):
        chosen = chosen_images(answers, truth, most)
        assert len(chosen) == most
        assert all(0 <= index < count for index in chosen)
        assert chosen == chosen_images(answers, truth, most)


def test_the_rule_is_said_with_its_numbers():
    said = rule(ANSWERS, TRUTH, 5)
    assert "5 of 12 images have a page" in said
    assert "3 are spread over the 3 classes" in said and "worst mistake" in said
    assert "mistake" not in rule(ANSWERS, [None] * 12, 5)
