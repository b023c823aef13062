"""A figure for print that is made for a paper alone: what it draws, and the numbers behind it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from reportgen.report.archive import written_archive
from reportgen.report.arrays import Array
from reportgen.report.tables import csv_text


class Plate(Protocol):
    """One kind of figure with its data; small enough to be sent to a process."""

    def figure(self, formats: Sequence[str], width: float) -> dict[str, bytes]:
        """Its files by format, `width` inches wide. The same data give the same bytes."""

    def data(self) -> Mapping[str, Array]:
        """What is drawn, as named arrays."""


def data_file(arrays: Mapping[str, Array]) -> tuple[str, bytes]:
    """The numbers behind a figure: a CSV where they are columns of one length, else an `.npz`.

    Returns:
        The format, `csv` or `npz`, and the content.
    """
    columns = [np.asarray(array) for array in arrays.values()]
    if all(column.ndim == 1 and len(column) == len(columns[0]) for column in columns):
        return "csv", csv_text(tuple(arrays), zip(*(c.tolist() for c in columns), strict=True))
    return "npz", written_archive(arrays)
