"""Small data with known answers for the tests of captions."""

from collections.abc import Sequence

import numpy as np

from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Atlas, Heatmap, Histogram, Photo, Strip
from reportgen.report.records import Image, Layer, Panel, Parameter, Prediction

PIXELS = Pixels("img/x.png", 1, 1)


def heatmap(
    values: object,
    *,
    unit: str = "probability",
    size: tuple[int, int] = (60, 90),
    window: tuple[int, int] = (20, 30),
    stride: tuple[int, int] = (20, 30),
    middles: tuple[tuple[float, float], tuple[float, float]] | None = None,
) -> Heatmap:
    """By default nine windows side by side on a picture of 60 x 90 pixels."""
    over = Photo(Pixels("img/seen.png", *size), "", "")
    return Heatmap(
        np.asarray(values, np.float32), "", unit, True, over, "old alt", "old caption",
        window=window, stride=stride, middles=middles,
    )  # fmt: skip


def image(
    path: str = "chelsea.png", labels: Sequence[tuple[int, str, float]] = ((3, "tabby", 0.55),)
) -> Image:
    guesses = tuple(Prediction(index, label, p, 0.0) for index, label, p in labels)
    return Image(path.split(".")[0], path, "", 451, 300, None, None, guesses, True)


def layer(units: int, *, nonfinite: int | None = 0, **panels: Panel) -> Layer:
    return Layer(
        "features.3", "features.3", 1, "ReLU", "activation", (), (units, 4, 6), 0, 0, None, units,
        0.0, 0.0, 1.0, 0, 0, 0, nonfinite=nonfinite, panels=panels,
    )  # fmt: skip


def atlas(low: Sequence[float], high: Sequence[float], labels: tuple[str, ...] = ()) -> Atlas:
    order = tuple(int(at) for at in np.argsort(-np.nan_to_num(high, nan=-np.inf), kind="stable"))
    return Atlas(
        PIXELS, 2, len(low), 2, 3, 4, 6, np.asarray(low, np.float32),
        np.asarray(high, np.float32), labels, order, False, "", "",
    )  # fmt: skip


def strip(values: Sequence[float]) -> Strip:
    array = np.asarray(values, np.float32)
    order = np.argsort(-np.nan_to_num(array, nan=-np.inf), kind="stable")
    return Strip(PIXELS, array, tuple((int(at), float(array[at])) for at in order), "", "")


def histogram(counts: Sequence[int], low: float, high: float) -> Histogram:
    return Histogram(tuple(counts), low, high, "", "")


def parameter(
    name: str,
    std: float,
    *,
    zeros: float = 0.0,
    nonfinite: int = 0,
    counts: Sequence[int] = (1, 8, 1),
    ends: tuple[float, float] = (-1.5, 1.5),
) -> Parameter:
    low, high = ends
    made = histogram(counts, low, high)
    return Parameter(name, (3, 4), 0.0, std, low, high, 1.0, zeros, nonfinite, made)
