"""Occlusion as people do it today: Captum's, and the loop of the tutorials."""

from functools import partial
from typing import Any

from benchmarks.table import seconds

PER_EVAL = (1, 4, 8, 16, 49)
"Captum's `perturbations_per_eval` that are tried."


def best_per_eval(net: Any, image: Any) -> int:
    """The fastest number of positions that Captum takes at a time."""
    return min(PER_EVAL, key=lambda count: captum(net, image, count))


def captum(net: Any, image: Any, per_eval: int) -> float:
    """Seconds a position of Captum's `Occlusion`: of 16, or of 49 where so many go at a time."""
    import torch
    from captum.attr import Occlusion

    # What is hidden side by side: a larger window costs as much, and there are fewer.
    side = 32 if per_eval > 16 else 64
    count = (-(-(224 - side) // side) + 1) ** 2
    with torch.no_grad():
        attribute = partial(
            Occlusion(net).attribute,
            image[None],
            sliding_window_shapes=(3, side, side),
            strides=(3, side, side),
            target=0,
            perturbations_per_eval=per_eval,
        )
        # One forward more, of the clean image.
        return seconds(attribute) / (count + 1)


def looped(net: Any, image: Any, window: tuple[int, int], places: Any) -> float:
    """Seconds a position of one forward for each, as tutorials write it."""
    import torch

    def go() -> None:
        with torch.no_grad():
            for row, column in places:
                hidden = image.clone()
                hidden[:, row : row + window[0], column : column + window[1]] = 0
                net(hidden[None]).softmax(1)[0, 0].item()

    return seconds(go) / len(places)
