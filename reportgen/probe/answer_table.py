"""The answers of many images in arrays that are made once."""

import numpy as np
from numpy.typing import NDArray

from reportgen.probe.evidence import Answer


class AnswerTable:
    """Answers, one a row."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Room for answers, of (images, classes) at most."""
        self._classes = np.zeros(shape, np.int64)
        self._probabilities, self._logits = np.zeros(shape), np.zeros(shape)
        self._known = np.zeros(shape[0], np.int64)
        "How many classes an answer names: none where an output is not finite."

    def put(
        self,
        rows: NDArray[np.int64],
        classes: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        logits: NDArray[np.float64],
    ) -> None:
        """Writes the answers of some images (b n)."""
        known = classes.shape[1]
        self._known[rows] = known
        self._classes[rows, :known] = classes
        self._probabilities[rows, :known] = probabilities
        self._logits[rows, :known] = logits

    def append(self, row: int, other: "AnswerTable", count: int) -> None:
        """Copies the first rows of another to here, from a row on."""
        for name, values in vars(self).items():
            values[row : row + count] = vars(other)[name][:count]

    def row(self, row: int) -> Answer:
        """Reads the answer of one image."""
        known = self._known[row]
        return Answer(
            self._classes[row, :known],
            self._probabilities[row, :known],
            self._logits[row, :known],
        )
