import numpy as np
import pytest

from reportgen.compare.records import Film, ImageChange, MapChange
from reportgen.render.captions import compared
from tests.render.captions.made import heatmap


def made(method: str, **blocks: object) -> MapChange:
    title = {"occlusion": "Occlusion", "gradcam": "Grad-CAM"}[method]
    return MapChange(method, title, "tabby", "", None, None, **blocks)


IMAGE = ImageChange(
    "a", "a.png", "", None, None, None, (), (), "same", None, None, "a", "a", (), None
)  # fmt: skip

DIFFERENCES = {
    "both ways": (
        [[0.2, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -0.1]],
        "Hiding the upper left costs B up to 20 points more; hiding the lower right up to 10 "
        "points less than A.",
    ),
    "more": (
        [[0.2, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "Hiding the upper left costs B up to 20 points more than A.",
    ),
    "less": (
        [[-0.2, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        "Hiding the upper left costs B up to 20 points less than A.",
    ),
    "hardly": (np.full((3, 3), 0.002), "Nothing to see: they differ by 0.2 points at most."),
    "none": (np.zeros((3, 3)), "Nothing to see: the two maps are the same."),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_differences(case):
    values, words = DIFFERENCES[case]
    assert compared.difference(heatmap(values), "A", "B") == words


def test_more_and_less_in_one_part():
    block = heatmap([[0.4, -0.3, 0.0]], window=(60, 40), stride=(60, 1))
    assert compared.difference(block, "A", "B") == (
        "Hiding the left costs B up to 40 points more than A at one position, up to 30 points less "
        "at another."
    )


def test_each_method_has_its_own_words():
    values = [[0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    hidden, cam = heatmap(values), heatmap(values, unit="Grad-CAM, logit")
    assert compared.caption(made("occlusion"), hidden).startswith("The probability of tabby falls")
    assert compared.caption(made("gradcam"), cam) == (
        "Evidence for tabby is strongest at the upper left, 0.5 in logit; half of it lies in 1 of "
        "9 positions."
    )
    assert compared.alt(IMAGE, made("occlusion"), hidden, "B") == (
        "Occlusion map of a.png, report B, class tabby: the probability falls most, by 50 "
        "points, upper left"
    )
    assert compared.alt(IMAGE, made("gradcam"), cam, "A") == (
        "Grad-CAM map of a.png, report A, class tabby: peak upper left, 0.5; half in 1 of 9 "
        "positions"
    )
    assert compared.alt(IMAGE, made("occlusion"), hidden, "B less A") == (
        "Occlusion map of a.png, report B less A, class tabby: from 0 points, top, to 50 "
        "points, upper left"
    )


def test_a_film_frame_by_frame():
    frames = (heatmap([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),)
    film = Film("a.png", "tabby", False, (), (0.6,), frames)
    assert compared.frame_note(film, 0) == "falls most, by 50 points, upper left"
    assert compared.frame_alt(film, 0, "C") == (
        "Occlusion map of a.png, report C, class tabby: the probability falls most, by 50 "
        "points, upper left"
    )
