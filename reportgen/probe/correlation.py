"""Which units of a layer answer alike: correlation over every position of the pictured images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from reportgen.probe.evidence import Call, CallKey
from reportgen.probe.maps import by_image, by_unit, on_grid
from reportgen.probe.probe import Probe
from reportgen.probe.watch import FunctionCall, Observer, Watch
from reportgen.report.arrays import Array, FloatArray

MOST_UNITS = 2048
"Layers with more units are left out: the table of all pairs grows with their square."
MOST_PAIRS = 1 << 25
"Pairs of units, over all layers, that one forward pass keeps: 256 MB of float64."


@dataclass(frozen=True, eq=False)
class Alike:
    """The unit of the same layer that answers most like each unit."""

    unit: Array
    "(units,) int64; -1 where a unit gives one value everywhere, so that nothing correlates."
    correlation: FloatArray
    "(units,) float64, Pearson's; NaN where there is no such unit."
    values: int
    "Values of each unit that it was computed from: images times positions."
    dimensions: float
    """Participation ratio of the units' covariance: (sum of eigenvalues)^2 / sum of their squares,
    from 1 where all go together to the number of units [gao2017]; NaN where none varies."""


class Moments:
    """Sums of products of all pairs of units, in any split of the values [chan1983]."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._products = self._low = self._high = torch.empty(0)

    def update(self, values: torch.Tensor) -> None:
        """Adds values (units n) of every unit."""
        # Apple's GPUs have no float64.
        values = (values.cpu() if values.device.type == "mps" else values).double()
        added = values.shape[1]
        low, high = values.aminmax(dim=1)
        mean = values.mean(dim=1)
        centred = values - mean[:, None]
        products = centred @ centred.T
        if self.count:
            apart = mean - self._mean
            total = self.count + added
            products += self._products + torch.outer(apart, apart) * (self.count * added / total)
            mean = self._mean + apart * (added / total)
            low, high = torch.minimum(low, self._low), torch.maximum(high, self._high)
        self.count += added
        self._mean, self._products, self._low, self._high = mean, products, low, high

    def alike(self) -> Alike:
        """The most correlated other unit of each; the first of equals."""
        spread = self._products.diagonal().sqrt()
        correlation = self._products / torch.outer(spread, spread)
        # Rounding gives a constant unit a spread of its own, so its range decides.
        is_constant = self._low == self._high
        correlation[is_constant] = correlation[:, is_constant] = float("nan")
        correlation.fill_diagonal_(float("nan"))
        best, unit = correlation.nan_to_num(nan=-torch.inf).max(dim=1)
        is_known = best > -torch.inf
        return Alike(
            torch.where(is_known, unit, -1).cpu().numpy(),
            torch.where(is_known, best.clamp(-1, 1), torch.nan).cpu().numpy(),
            self.count,
            self.dimensions(),
        )

    def dimensions(self) -> float:
        """The participation ratio, from the trace and the squares: no eigenvalue is computed."""
        # Rounding gives a constant unit a spread of its own.
        varies = (self._low != self._high).cpu().numpy()
        products = self._products.cpu().numpy()[np.ix_(varies, varies)]
        squares = float(np.square(products).sum())
        return float(np.trace(products) ** 2 / squares) if squares else float("nan")


def most_alike(
    probe: Probe,
    images: Callable[[], Iterable[torch.Tensor]],
    calls: Sequence[Call],
    progress: Callable[[], None] = lambda: None,
) -> Mapping[CallKey, Alike]:
    """For each unit of each call, the other one that correlates most with it.

    One forward pass of each image for each `MOST_PAIRS` pairs of units.

    Args:
        probe: of the network.
        images: gives the images in order, normalised (c h w).
        calls: with a channel axis, and no more than `MOST_UNITS` units each.
        progress: told of every image done.

    Raises:
        ResourceError: if the memory is too small.
    """
    found: dict[CallKey, Alike] = {}
    for some in _groups(calls):
        observer = _Pairs(some)
        for image in images():
            with probe.lent(image[None]) as (module, moved), Watch(module, observer):
                # A copy: some networks write to their input.
                module(moved.clone())
            progress()
        found |= {key: moments.alike() for key, moments in observer.moments.items()}
    return found


def passes(calls: Sequence[Call]) -> int:
    """How many forward passes of each image `most_alike` takes for these calls."""
    return sum(1 for _ in _groups(calls))


def _groups(calls: Sequence[Call]) -> Iterator[tuple[Call, ...]]:
    """The calls in groups whose pairs of units fit the memory together."""
    group: list[Call] = []
    for call in calls:
        if group and sum(c.units**2 for c in group) + call.units**2 > MOST_PAIRS:
            yield tuple(group)
            group = []
        group.append(call)
    if group:
        yield tuple(group)


class _Pairs(Observer):
    """Takes in what some calls give, one image a forward pass."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.moments = {call.key: Moments() for call in calls}
        self._calls = {call.key: call for call in calls}

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Reduces an output at once: the network may overwrite it later."""
        call = self._calls.get(key)
        if call is None or call.channel_axis is None:
            return
        arranged = call.arrangement
        values = by_unit(by_image(output.detach(), arranged, 1), arranged)
        self.moments[key].update(on_grid(values, arranged)[0])
