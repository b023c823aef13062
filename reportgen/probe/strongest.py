"""Where each unit answers strongest: nine images, found while all images stream by."""

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen.probe.evidence import Strongest
from reportgen.probe.layout import Arrangement
from reportgen.probe.reduction import Highest, compiled

KEPT = 9
"Images a unit."


class StrongestImages:
    """The nine images on which each unit of one call is strongest, each by its strongest position.

    Larger values come first; of equal ones the image with the lower index, and within an image the
    first position. So neither batches nor their order matter. Values that are not finite are left
    out.
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

    def update(self, highest: Highest, first: int) -> None:
        """Adds some images.

        Args:
            highest: what is highest in them, which may lie on a device.
            first: index of the first image; the others follow.
        """
        values, places = highest.values.cpu(), highest.places.cpu()
        if values.dtype == torch.float32 and (code := compiled()):
            nine = (self._value, self._image, self._position)
            code.enter_nine(Highest(values, places), first, nine)
        else:
            self._enter(values.numpy(), places.numpy(), first)

    def merge(self, other: "StrongestImages") -> None:
        """Adds what was seen of other images."""
        if code := compiled():
            mine, come = ((seen._value, seen._image, seen._position) for seen in (self, other))
            code.merge_nine(mine, come)
            return
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

    def _enter(self, best: NDArray[np.floating], places: NDArray[np.int64], first: int) -> None:
        """Adds what enters the nine.

        Args:
            best: highest finite value (images units).
            places: the position of each.
            first: index of the first image.
        """
        units = np.flatnonzero((best >= self._value[:, -1]).any(0) & (best > -np.inf).any(0))
        if not units.size:
            return
        candidates = best[:, units].T
        order = np.argsort(-candidates, axis=1, kind="stable")[:, :KEPT]
        value = np.take_along_axis(candidates, order, 1).astype(np.float64)
        is_there = value > -np.inf
        image = np.where(is_there, first + order, -1)
        position = np.where(is_there, np.take_along_axis(places[:, units].T, order, 1), -1)
        self._add(units, value, image, position)

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
