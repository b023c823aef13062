"""The answers of many images in arrays that are made once."""

import numpy as np

from reportgen.probe.evidence import Answer


class AnswerTable:
    """Answers, one a row."""

    def __init__(self, shape: tuple[int, int]) -> None:
        """Room for answers, of (images, classes) at most."""
        self._classes = np.zeros(shape, np.int64)
        self._probabilities, self._logits = np.zeros(shape), np.zeros(shape)
        self._known = np.zeros(shape[0], np.int64)
        "How many classes an answer names: none where an output is not finite."

    def put(self, row: int, given: Answer) -> None:
        """Writes the answer of one image."""
        known = len(given.classes)
        self._known[row] = known
        self._classes[row, :known] = given.classes
        self._probabilities[row, :known] = given.probabilities
        self._logits[row, :known] = given.logits

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
