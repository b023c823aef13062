"""How far weights moved, from what reports keep of them: all weights, or sums with random signs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reportgen.compare.records import ParameterChange
from reportgen.errors import OptionError
from reportgen.report.arrays import FloatArray
from reportgen.report.records import Parameter, Report
from reportgen.report.sketch import folded, sketched


@dataclass(frozen=True, eq=False)
class Filters:
    """One parameter filter by filter, as a report keeps it."""

    sums: FloatArray
    "(filters numbers): the weights themselves where there are no more numbers than weights."
    norms: FloatArray
    "(filters,) root of the sum of squares."
    each: int
    "Weights of a filter."

    @property
    def is_exact(self) -> bool:
        """Whether the numbers are the weights themselves."""
        return int(self.sums.shape[1]) == self.each


@dataclass(frozen=True, eq=False)
class Moved:
    """How far the filters of one parameter moved from A to B."""

    change: float | None
    "||B - A|| / ||A|| of the whole parameter; None where A is zero and B is not, or not finite."
    error: float
    "Relative standard error of `change`; 0 where it is exact."
    by_filter: tuple[float | None, ...]
    filter_error: float


def is_weight(name: str, shape: Sequence[int]) -> bool:
    """Whether a parameter is the weight of a convolution or linear layer, as its name says."""
    return name.endswith("weight") and len(shape) > 1


def kept_filters(report: Report) -> Mapping[str, Filters]:
    """Every parameter by name; empty where the report does not hold its weights.

    Raises:
        OptionError: if what it holds of them does not fit its parameters.
    """
    panel = next((s.panel for s in report.sections if s.name == "weights"), None)
    if panel is None or "sketch" not in panel.arrays:
        return {}
    sums, norms = panel.arrays["sketch"], panel.arrays["filter_norms"]
    width, rows = panel.facts["sketch_width"], panel.facts["sketch_rows"]
    found, at, row = {}, 0, 0
    try:
        if not isinstance(width, int) or not isinstance(rows, tuple):
            raise TypeError("a width and the filters of each parameter are expected")
        for parameter, count in zip(report.parameters, map(int, rows), strict=True):
            each = math.prod(parameter.shape) // count
            size = min(each, width)
            part = sums[at : at + count * size].reshape(count, size)
            found[parameter.name] = Filters(part, norms[row : row + count], each)
            at, row = at + count * size, row + count
    except (ArithmeticError, TypeError, ValueError) as error:
        raise OptionError(
            f"the weights kept in the report {report.title} are damaged ({error}); "
            "build the report again"
        ) from None
    return found


def moved(first: Filters, second: Filters) -> Moved | None:
    """How far filters moved; None where their shapes differ."""
    if (len(first.sums), first.each) != (len(second.sums), second.each):
        return None
    width = min(first.sums.shape[1], second.sums.shape[1])
    a, b = (_narrowed(filters, width) for filters in (first, second))
    squares = np.square(b.astype(np.float64) - a).sum(axis=1)
    norms = first.norms.astype(np.float64)
    is_exact = width == first.each
    total = float(squares.sum())
    # A sketch of K sums has the squared distance with a relative variance of 2 / K [thorup2004].
    spread = math.sqrt(2 / width * float(np.square(squares).sum())) if not is_exact else 0.0
    return Moved(
        change=_ratio(math.sqrt(total), float(np.sqrt(np.square(norms).sum()))),
        error=spread / total / 2 if total > 0 else 0.0,
        by_filter=tuple(map(_ratio, np.sqrt(squares).tolist(), norms.tolist())),
        filter_error=0.0 if is_exact else math.sqrt(1 / (2 * width)),
    )


def parameter_change(
    a: Parameter, b: Parameter, kept_a: Mapping[str, Filters], kept_b: Mapping[str, Filters]
) -> ParameterChange:
    """What became of one parameter that both networks have."""
    found = None
    if a.shape == b.shape and a.name in kept_a and b.name in kept_b:
        found = moved(kept_a[a.name], kept_b[b.name])
    return ParameterChange(
        name=a.name,
        shape_a=a.shape,
        shape_b=b.shape,
        norm_a=a.norm,
        norm_b=b.norm,
        zero_a=a.zero_fraction,
        zero_b=b.zero_fraction,
        change=None if found is None else found.change,
        error=0.0 if found is None else found.error,
    )


def _narrowed(filters: Filters, width: int) -> NDArray[np.floating]:
    if filters.sums.shape[1] == width:
        return filters.sums
    return sketched(filters.sums, width) if filters.is_exact else folded(filters.sums, width)


def _ratio(distance: float, norm: float) -> float | None:
    if distance == 0:
        return 0.0
    ratio = distance / norm if norm > 0 else math.inf
    return ratio if math.isfinite(ratio) else None
