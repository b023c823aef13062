import numpy as np
import pytest

from reportgen.render.captions import attention, class_maps
from tests.render.captions.made import heatmap, image

CASES = {
    "a peak": (
        [[0.0, 0.0, 6.0], [1.0, 1.0, 1.0], [-0.5, 0.0, 0.0]],
        "Evidence for tabby is strongest at the upper right, 6 in logit; half of it lies in 1 of "
        "9 positions. 1 of 9 positions is below zero, down to −0.5.",
    ),
    "spread out": (
        [[2.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]],
        "Evidence for tabby is strongest at the upper left, 2 in logit; half of it lies in 4 of 9 "
        "positions.",
    ),
    "flat": (np.full((3, 3), 0.25), "The map shows no place: 0.25 at all 9 positions."),
    "one position": ([[0.25]], "The map shows no place: 0.25 at the one position."),
    "negative": (
        -np.arange(1.0, 10.0).reshape(3, 3),
        "No positive evidence for tabby: no value is above zero, the lowest is −9.",
    ),
    "zero": (
        np.zeros((3, 3)), "No positive evidence for tabby: no value is above zero, all are zero.",
    ),
    "hardly any": (
        [[0.004, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "No positive evidence for tabby: what is above zero comes to 0.004 in logit.",
    ),
    "nothing finite": (
        np.full((3, 3), np.nan), "No value of this map is finite, so there is nothing to see.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_map_has_its_sentence(case):
    values, words = CASES[case]
    block = heatmap(values)
    positive = float(np.clip(np.nan_to_num(block.values), 0, None).sum())
    assert class_maps.caption(block, "tabby", "logit", positive) == words


def test_in_few_words():
    block = heatmap([[0.0, 0.0, 6.0], [1.0, 1.0, 1.0], [-0.5, 0.0, 0.0]])
    assert class_maps.note(block, 9.0) == "peak upper right, 6; half in 1 of 9 positions"
    assert class_maps.note(block, 0.0) == "no positive evidence"
    assert class_maps.note(heatmap(np.ones((3, 3))), 9.0) == "1 everywhere, no place stands out"
    said = class_maps.alt(image(), "class tabby 55 %", "Grad-CAM of features.12", block, 9.0)
    assert said == "Grad-CAM of features.12 for chelsea.png, class tabby 55 %; peak upper right, 6"


def test_two_classes_and_their_places():
    left = heatmap([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    low = heatmap([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    assert class_maps.rivals(left, low, "a", "b") == (
        "The evidence for a peaks at the upper left, that for b at the bottom."
    )
    assert class_maps.rivals(left, left, "a", "b") == "Both peak at the upper left."
    assert class_maps.rivals(left, heatmap(np.zeros((3, 3))), "a", "b") == ""


def test_attention_is_shared_out():
    values = np.full((3, 3), 0.05)
    values[2, 0] = 0.4
    assert attention.caption(heatmap(values)) == (
        "The patch with the largest share, 40 %, lies at the lower left; half of what all patches "
        "get goes to 1 of 9 patches."
    )
    assert attention.note(heatmap(values)) == "peak lower left, 40 %"
    assert attention.alt(image(), "Attention rollout", heatmap(values)) == (
        "Attention rollout for chelsea.png over 3 × 3 patches; peak lower left, 40 %"
    )
    even, none = heatmap(np.full((3, 3), 0.1)), heatmap(np.zeros((3, 3)))
    assert attention.caption(even) == "No place stands out: all 9 patches get 10 % each."
    assert attention.caption(none).startswith("No patch gets any of it")
    assert (attention.note(even), attention.note(none)) == ("10 % everywhere", "no share")
