"""What hiding does, in sentences that are known beforehand."""

import numpy as np
import pytest

from reportgen.render.captions import occlusion
from tests.render.captions.made import heatmap, image

NAN = float("nan")

CASES = {
    "one place": (
        [[0.412, 0.01, 0.0], [0.02, 0.05, 0.0], [0.0, 0.0, 0.0]],
        "The probability of tabby falls most, by 41.2 points, when the upper left is hidden; "
        "elsewhere by 5 points at most. No other position costs even half of that.",
    ),
    "two places": (
        [[0.4, 0.3, 0.0], [0.0, 0.36, 0.0], [-0.02, 0.0, 0.0]],
        "The probability of tabby falls most, by 40 points, when the upper left is hidden, and "
        "nearly as much, 36 points, when the centre is hidden. 3 of 9 positions cost half of "
        "that or more. Hiding the lower left raises it by up to 2 points.",
    ),
    "a tie": (
        [[0.5, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]],
        "The probability of tabby falls most, by 50 points, when the upper left is hidden, and "
        "as much when the right is hidden. 2 of 9 positions cost half of that or more.",
    ),
    "only there": (
        [[0.0, 0.02, 0.0], [-0.005, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "The probability of tabby falls most, by 2 points, when the top is hidden; hiding any "
        "other part does not lower it. No other position costs even half of that.",
    ),
    "everywhere": (
        np.full((3, 3), 0.3),
        "The probability of tabby falls most, by 30 points, when the upper left is hidden, and "
        "as much when the top is hidden. All 9 positions cost half of that or more.",
    ),
    "nothing": (
        np.full((3, 3), 0.0004),
        "Nothing to see: hiding a part changes the probability of tabby by 0.04 points at most.",
    ),
    "next to nothing": (
        np.full((3, 3), -3e-7),
        "Nothing to see: hiding a part changes the probability of tabby by less than 0.01 points.",
    ),
    "zero": (
        np.zeros((3, 3)),
        "Nothing to see: whatever is hidden, the probability of tabby stays the same.",
    ),
    "negative": (
        [[-0.1, -0.2, -0.3], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "Hiding no part lowers the probability of tabby. Hiding the upper right raises it by up "
        "to 30 points.",
    ),
    "hardly": (
        [[-0.1, 0.005, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "Hiding a part lowers the probability of tabby by 0.5 points at most. Hiding the upper "
        "left raises it by up to 10 points.",
    ),
    "not finite": (
        [[NAN, 0.2, 0.0], [0.0, 0.0, 0.0], [0.0, NAN, 0.0]],
        "The probability of tabby falls most, by 20 points, when the top is hidden; hiding any "
        "other part does not lower it. No other position costs even half of that. 2 positions "
        "without a finite score: left out.",
    ),
    "nothing finite": (
        np.full((3, 3), NAN),
        "No position gives a finite score, so there is nothing to see.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_map_has_its_sentence(case):
    values, words = CASES[case]
    # float32 has 41.2 as 41.200000...: three digits are said.
    assert occlusion.caption(heatmap(values), "tabby") == words


def test_logits_have_no_points():
    block = heatmap([[5.25, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], unit="logit")
    assert occlusion.caption(block, "tabby").startswith(
        "The logit of tabby falls most, by 5.25, when the upper left is hidden; elsewhere by 1 at"
    )


def test_one_position():
    block = heatmap([[0.25]], size=(20, 30))
    assert (
        occlusion.caption(block, "x") == "Hiding the one position lowers the probability of x "
        "by 25 points."
    )


def test_where_all_windows_lie_in_one_part_there_is_no_elsewhere():
    block = heatmap([[0.25, 0.2]], size=(60, 90), window=(60, 40), stride=(60, 5))
    said = occlusion.caption(block, "x")
    assert "elsewhere" not in said and "when the left is hidden. All 2 positions" in said


def test_a_fall_and_a_rise_in_one_part():
    block = heatmap([[0.4, -0.3, 0.0]], window=(60, 40), stride=(60, 1))
    assert occlusion.caption(block, "x") == (
        "The probability of x falls most, by 40 points, when the left is hidden. No other position "
        "costs even half of that. Another position there raises it by 30 points."
    )


def test_flips_name_the_class_that_wins_most_often():
    seen = image(labels=((3, "tabby", 0.5), (7, "lynx", 0.2)))
    assert occlusion.flips(seen, np.full((2, 3), 3)) == "No position changes the answer."
    one = np.array([[3, 7, 3], [3, 3, -1]])
    assert occlusion.flips(seen, one) == (
        "At 1 of 6 positions, dotted and outlined, the answer becomes lynx."
    )
    several = np.array([[3, 7, 285], [3, 285, 285]])
    assert occlusion.flips(seen, several) == (
        "At 4 of 6 positions, dotted and outlined, the answer becomes another class, most often "
        "class 285 (3 of them)."
    )
    assert "At all 6 positions, dotted and outlined, the answer becomes lynx." in occlusion.flips(
        seen, np.full((2, 3), 7)
    )


def test_the_words_in_place_of_the_picture():
    named = "class tabby 55 %"
    block = heatmap([[0.412, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert occlusion.alt(image(), named, block) == (
        "Occlusion map of chelsea.png, class tabby 55 %: the probability falls most, by 41.2 "
        "points, upper left"
    )
    assert occlusion.note(heatmap(np.zeros((3, 3)))) == "the probability falls nowhere"
    assert occlusion.note(heatmap(np.full((3, 3), 1e-3))) == (
        "the probability falls by 0.1 points at most"
    )
    assert occlusion.note(heatmap(np.full((3, 3), NAN))) == "no finite value"
