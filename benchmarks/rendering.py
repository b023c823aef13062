"""What pictures cost, against the ways in which a script with matplotlib would draw the same."""

import io
from collections.abc import Callable, Iterator

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.table import Row, compared, run
from reportgen.figures.heatmap import heatmap_figure
from reportgen.figures.mosaic import best_columns, levels, mosaic
from reportgen.figures.svg import histogram_svg
from reportgen.report.arrays import FloatArray, Pixels
from reportgen.report.blocks import Heatmap, Histogram

FORMATS = ("pdf", "svg", "png")


def maps_like_activations(channels: int, side: int) -> FloatArray:
    """Smooth noise, a part of it cut off at zero as by a ReLU, (channels side side) float32."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((channels, side + 4, side + 4)).astype(np.float32)
    smooth = sum(noise[:, i : i + side, j : j + side] for i in range(5) for j in range(5))
    return np.maximum(smooth / 5, 0)


def atlas(maps: FloatArray) -> bytes:
    """Every channel on its own scale, in one PNG, as the pages of layers show it."""
    tiles, _, _ = levels(maps)
    return Pixels.of(mosaic(tiles, best_columns(*maps.shape)), "atlas", gap=True).content


def subplots(maps: FloatArray) -> bytes:
    """One subplot a channel, 20 x 20 inches: the usual loop of a tutorial."""
    side = int(np.ceil(len(maps) ** 0.5))
    figure = plt.figure(figsize=(20, 20))
    for place, values in enumerate(maps, 1):
        axes = figure.add_subplot(side, side, place)
        axes.imshow(values)
        axes.axis("off")
    return _closed(figure)


def one_imshow(maps: FloatArray) -> bytes:
    """The channels put together by numpy, then drawn by one `imshow`."""
    side = int(np.ceil(len(maps) ** 0.5))
    height, width = maps.shape[1:]
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    grid = np.zeros((side * side, height, width), np.float32)
    grid[: len(maps)] = (maps - low) / np.maximum(high - low, 1e-12)
    whole = grid.reshape(side, side, height, width).swapaxes(1, 2).reshape(side * height, -1)
    figure = plt.figure(figsize=(20, 20))
    axes = figure.add_subplot()
    axes.imshow(whole)
    axes.axis("off")
    return _closed(figure)


def histogram_by_bins(values: FloatArray) -> bytes:
    """A histogram of 50 bins as inline SVG."""
    counts, edges = np.histogram(values, bins=50)
    shown = Histogram(tuple(counts.tolist()), float(edges[0]), float(edges[-1]), "", "")
    return histogram_svg(shown, "weights").encode()


def histogram_by_pyplot(values: FloatArray) -> bytes:
    """The same by `plt.hist`."""
    figure = plt.figure()
    plt.hist(values, bins=50)
    return _closed(figure)


def figure_by_us(block: Heatmap) -> bytes:
    """A map for print in three formats."""
    return b"".join(heatmap_figure(block, FORMATS).values())


def figure_by_pyplot(block: Heatmap) -> bytes:
    """The same map by `imshow` with a colour bar, in the same formats."""
    figure, axes = plt.subplots()
    figure.colorbar(axes.imshow(block.values, cmap="RdBu_r"))
    return _closed(figure, FORMATS)


def _closed(figure: plt.Figure, formats: tuple[str, ...] = ("png",)) -> bytes:
    buffer = io.BytesIO()
    for form in formats:
        figure.savefig(buffer, format=form)
    plt.close(figure)
    return buffer.getvalue()


def rows(quick: bool) -> Iterator[Row | str]:
    """One row for each picture and each way to draw it otherwise."""
    rounds = 2 if quick else 5
    for channels in (64,) if quick else (64, 256):
        maps = maps_like_activations(channels, 56)
        what = f"atlas of {channels} x 56 x 56"
        yield row(
            what, lambda m=maps: atlas(m), lambda m=maps: subplots(m), "a subplot each", 75, rounds
        )
        yield row(
            what, lambda m=maps: atlas(m), lambda m=maps: one_imshow(m), "one imshow", 10, rounds
        )
    values = np.random.default_rng(1).standard_normal(36_864).astype(np.float32)
    yield row(
        "histogram of 36,864 weights",
        lambda: histogram_by_bins(values),
        lambda: histogram_by_pyplot(values),
        "plt.hist",
        50,
        rounds,
    )
    block = Heatmap(
        values=np.random.default_rng(2).standard_normal((13, 13)).astype(np.float32),
        title="tabby: drop in probability",
        unit="probability",
        signed=True,
        over=None,
        alt="",
        caption="",
        window=(32, 32),
        stride=(16, 16),
        for_print=True,
    )
    yield row(
        "map for print, PDF, SVG and PNG",
        lambda: figure_by_us(block),
        lambda: figure_by_pyplot(block),
        "imshow with a colour bar",
        None,
        rounds,
    )


def row(
    what: str,
    ours: Callable[[], bytes],
    theirs: Callable[[], bytes],
    name: str,
    at_least: float | None,
    rounds: int,
) -> Row:
    """How many times quicker ours is, with the bytes of both."""
    found = compared(ours, theirs, rounds)
    return Row(
        what,
        f"{1000 * found.ours:.3g} ms, {len(ours()) / 1000:.0f} kB",
        f"{name}, {1000 * found.theirs:.3g} ms, {len(theirs()) / 1000:.0f} kB",
        found.faster,
        at_least=at_least,
    )


if __name__ == "__main__":
    run(rows)
