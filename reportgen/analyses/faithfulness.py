"""Does a map point at what the network uses? Pixels are taken away, or put back, in its order."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.analyses.study import Study
from reportgen.probe.deletion import area, fade
from reportgen.probe.occlusion.places import fill_image
from reportgen.report.arrays import FloatArray

STEPS = 10
"Equal steps from the first pixel changed to the last."
RANDOM_MAPS = 2
"As coarse as a method's map, for each image."

_T = {2: 4.302653, 3: 3.182446, 4: 2.776445, 5: 2.570582, 6: 2.446912, 7: 2.364624}
"97.5 % quantile of Student's t by degrees of freedom."


@dataclass(frozen=True, eq=False)
class Faded:
    """The curves of one method on one image: probability of the class, (steps+1,) each."""

    deletion: FloatArray
    insertion: FloatArray
    random_deletion: FloatArray
    "Mean over the random maps."
    random_insertion: FloatArray

    @property
    def advantage(self) -> float:
        """Insertion minus deletion area, less that of random maps: above zero is better."""
        own = area(self.insertion) - area(self.deletion)
        return float(own - area(self.random_insertion) + area(self.random_deletion))


def faded(
    study: Study, index: int, target: int, maps: Mapping[str, FloatArray]
) -> dict[str, Faded]:
    """The curves of maps of one image, and of random maps as coarse, which methods share.

    Deletion goes from the image to its mean colour, insertion from a blurred copy to the image.

    Args:
        study: of the network.
        index: of the image.
        target: index of the class.
        maps: (height width) by the name of the method.
    """
    grains = {name: coarseness(values) for name, values in maps.items()}
    compared = dict(maps)
    for grain in sorted(set(grains.values())):
        for number in range(RANDOM_MAPS):
            name = _random_name(grain, number)
            shape = next(iter(maps.values())).shape
            compared[name] = random_map(shape, grain, _generator(study, index, name))
    # Each by its name, so that its numbers do not depend on which others are tested.
    orders = {
        name: order_of(values, _generator(study, index, f"ties {name}"))
        for name, values in compared.items()
    }
    pixels = study.images.pixels(index)
    image, bare, blurred = (
        study.images.normalise(seen)
        for seen in (
            pixels,
            fill_image(pixels, "mean", study.images.preprocessing.mean),
            fill_image(pixels, "blur", ()),
        )
    )
    every = np.stack(list(orders.values()))
    deletion = dict(zip(orders, fade(study.probe, image, bare, every, STEPS, target), strict=True))
    insertion = dict(
        zip(orders, fade(study.probe, blurred, image, every, STEPS, target), strict=True)
    )
    found = {}
    for name, grain in grains.items():
        random = [_random_name(grain, number) for number in range(RANDOM_MAPS)]
        found[name] = Faded(
            deletion[name],
            insertion[name],
            np.mean([deletion[other] for other in random], axis=0),
            np.mean([insertion[other] for other in random], axis=0),
        )
    return found


def _random_name(grain: int, number: int) -> str:
    return f"random {grain} {number}"


def _generator(study: Study, index: int, purpose: str) -> np.random.Generator:
    words = f"{study.options.seed} {index} {purpose}"
    return np.random.default_rng(zlib.crc32(words.encode()))


def order_of(values: FloatArray, generator: np.random.Generator) -> NDArray[np.int64]:
    """Pixels of a map (height width), the highest first; equals in a random order."""
    flat = values.ravel()
    order: NDArray[np.int64] = np.lexsort((generator.random(flat.size), -flat))
    return order


def coarseness(values: FloatArray) -> int:
    """How far a map (height width) goes on: the longest of 0, 1, 4, 16, 64 ... pixels.

    That is, at which two of its values still correlate by a half, by the mean square of their
    difference: `1 - mean((x - y)^2) / (2 variance)`, averaged over down and across.
    """
    variance = float(values.var())
    found, distance = 0, 1
    while variance > 0 and distance < min(values.shape):
        down = np.square(values[distance:] - values[:-distance]).mean()
        across = np.square(values[:, distance:] - values[:, :-distance]).mean()
        if 1 - (down + across) / (4 * variance) < 0.5:
            break
        found, distance = distance, 4 * distance
    return found


def random_map(shape: tuple[int, ...], grain: int, generator: np.random.Generator) -> FloatArray:
    """Noise (height width) of a given coarseness: normal numbers, blurred by a Gaussian.

    Blurred noise correlates at distance d by exp(-d^2 / (4 sigma^2)). Sigma is chosen so that this
    is a half at twice the grain, which is the middle of `grain` and the next coarser one.
    """
    sigma = grain / np.sqrt(np.log(2))
    radius = int(np.ceil(3 * sigma))
    noise = generator.standard_normal((shape[0] + 2 * radius, shape[1] + 2 * radius))
    if not radius:
        return noise
    weights = np.exp(-np.square(np.arange(-radius, radius + 1) / sigma) / 2)
    down, across = (_banded(weights, size) for size in shape)
    blurred: FloatArray = down @ noise @ across.T
    return blurred


def _banded(weights: FloatArray, size: int) -> FloatArray:
    """(size size+weights-1): each row holds the weights one place further to the right."""
    rows = np.zeros((size, size + len(weights) - 1))
    for place in range(size):
        rows[place, place : place + len(weights)] = weights
    return rows


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean of some values, by Student's t; None for fewer than three."""
    if len(values) < 3:
        return None
    mean = float(np.mean(values))
    half = _T[len(values) - 1] * float(np.std(values, ddof=1)) / float(np.sqrt(len(values)))
    return mean - half, mean + half
