"""Where each unit answers strongest: nine images, found while all images stream by."""

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.evidence import Strongest
from reportgen.probe.layout import Arrangement

KEPT = 9
"Images a unit."

BLOCK = 1 << 15
"Values searched at a time: few enough for the cache."


class StrongestImages:
    """The nine images on which each unit of one call is strongest, each by its strongest position.

    Larger values come first; of equal ones the image with the lower index, and within an image the
    first position. So neither batches nor their order matter. Values that are not finite are left
    out. A position is looked for only where the image enters the nine.
    """

    def __init__(self, units: int, columns: int) -> None:
        """Starts empty.

        Args:
            units: of the call.
            columns: of its maps; positions are counted row by row.
        """
        self._columns = columns
        self._value = np.full((units, KEPT), -np.inf)
        self._image = np.full((units, KEPT), -1, np.int64)
        self._position = np.full((units, KEPT), -1, np.int64)
        self._least, self._least_image = self._value[:, -1].copy(), self._image[:, -1].copy()

    def further(self) -> "StrongestImages":
        """An empty one for further images, which passes over what could not enter these nine."""
        empty = StrongestImages(len(self._value), self._columns)
        empty._least, empty._least_image = self._value[:, -1].copy(), self._image[:, -1].copy()
        return empty

    def update(self, values: torch.Tensor, highest: torch.Tensor, first: int) -> None:
        """Adds some images.

        Args:
            values: (images units positions)
            highest: the highest finite value of each, (images units); -inf where there is none.
            first: index of the first image; the others follow.
        """
        best = highest.cpu().numpy()
        units = np.flatnonzero((best >= self._least).any(0) & (best > -np.inf).any(0))
        if not units.size:
            return
        candidates = best[:, units].T
        order = np.argsort(-candidates, axis=1, kind="stable")[:, :KEPT]
        value = np.take_along_axis(candidates, order, 1).astype(np.float64)
        image = first + order
        least, least_image = self._least[units, None], self._least_image[units, None]
        enters = (value > least) | ((value == least) & (image < least_image))
        enters &= value > -np.inf
        rows = (order * values.shape[1] + units[:, None])[enters]
        position = np.full(order.shape, -1, np.int64)
        position[enters] = _positions(values.flatten(0, 1), rows, value[enters])
        value[~enters], image[~enters] = -np.inf, -1
        self._add(units, value, image, position)

    def merge(self, other: "StrongestImages") -> None:
        """Adds what was seen of other images."""
        units = np.flatnonzero(other._value[:, 0] > -np.inf)
        self._add(units, other._value[units], other._image[units], other._position[units])

    def evidence(self) -> Strongest:
        """What was seen so far."""
        is_there = self._image >= 0
        row, column = np.divmod(self._position, self._columns)
        return Strongest(
            image=self._image.astype(np.int32),
            row=np.where(is_there, row, -1).astype(np.int32),
            column=np.where(is_there, column, -1).astype(np.int32),
            value=np.where(is_there, self._value, np.nan).astype(np.float32),
        )

    def _add(
        self,
        units: NDArray[np.int64],
        value: NDArray[np.float64],
        image: NDArray[np.int64],
        position: NDArray[np.int64],
    ) -> None:
        """Keeps the best nine of what is there and of what comes, for some units.

        Args:
            units: whose, (n,); the others are of shape (n k), larger values first.
            value: -inf where there is nothing.
            image: of equal values the lower first.
            position: in the map.
        """
        held = (self._value, self._image, self._position)
        come = (value, image, position)
        if (self._value[units, 0] == -np.inf).all():
            for kept, new in zip(held, come, strict=True):
                kept[units, : new.shape[1]] = new
            return
        joined = [
            np.concatenate([kept[units], new], axis=1) for kept, new in zip(held, come, strict=True)
        ]
        if joined[1][:, :KEPT].max() < np.where(image < 0, np.inf, image).min():
            # The usual order: what comes is of later images, so that of equals it stays behind.
            order = np.argsort(-joined[0], axis=1, kind="stable")[:, :KEPT]
        else:
            order = np.lexsort((joined[1], -joined[0]), axis=1)[:, :KEPT]
        for kept, both in zip(held, joined, strict=True):
            kept[units] = np.take_along_axis(both, order, 1)


def map_columns(arranged: Arrangement) -> int:
    """Columns of the maps of a call; 0 where it gives none."""
    axes = 3 if arranged.tokens is None else 2
    if arranged.grid is None or arranged.channel_axis is None or len(arranged.shape) != axes:
        return 0
    return arranged.grid[1]


def _positions(
    rows: torch.Tensor, chosen: NDArray[np.int64], highest: NDArray[np.float64]
) -> NDArray[np.int64]:
    """First position of the highest finite value in each of the chosen rows.

    Args:
        rows: (rows positions)
        chosen: indices of rows.
        highest: value of each.
    """
    if rows.dtype not in (torch.float32, torch.float64):
        rows = rows.float()
    if rows.device.type != "cpu":
        rows = rows.index_select(0, torch.from_numpy(chosen).to(rows.device)).cpu()
        chosen = np.arange(len(chosen))
    values = rows.numpy()
    at = np.empty(len(chosen), np.int64)
    reached = np.empty(len(chosen))
    step = max(1, BLOCK // values.shape[1])
    block = np.empty((step, values.shape[1]), values.dtype)
    places = np.arange(step)
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        # One long row is searched where it lies; short ones are copied together, into the cache.
        first = part[0]
        if step == 1:
            near = values[first : first + 1]
        else:
            near = values.take(part, 0, block[: len(part)], "clip")
        at[start : start + step] = found = near.argmax(1)
        reached[start : start + step] = near[places[: len(part)], found]
    # Where something that is not finite stands above it.
    for wrong in np.flatnonzero(reached != highest):
        row = values[chosen[wrong]]
        at[wrong] = np.where(np.isfinite(row), row, -np.inf).argmax()
    return at
