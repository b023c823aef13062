"""What a pass over images has seen so far: it can be merged, kept as plain arrays and taken up."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from reportgen.probe.answers import Answers
from reportgen.probe.class_correlation import ClassCorrelation
from reportgen.probe.collector import Collector, Pictures
from reportgen.probe.evidence import CallKey, Evidence, MapPicture, VectorPicture
from reportgen.probe.layout import Arrangement
from reportgen.probe.plain import take_values, values_of
from reportgen.probe.statistics import LayerStatistics
from reportgen.probe.strongest import StrongestImages, map_columns
from reportgen.probe.trace import Trace
from reportgen.report.arrays import Array, Pixels

NO_PICTURE, VECTOR, MAP, MAP_IN_FULL = range(4)
"What is kept of one call for one image."


class Seen:
    """Totals of every observed call, the answers, and the pictures of some images.

    Images are added in order. Of two that were made for the same trace, one may be merged into the
    other, whose images come before: all numbers are then those of one pass, the moments up to the
    rounding of float64.
    """

    def __init__(
        self,
        traced: Trace,
        observed: Mapping[CallKey, Arrangement],
        correlations: Mapping[CallKey, ClassCorrelation],
        pictured: Collection[int],
        answers: Answers,
    ) -> None:
        """Starts empty.

        Args:
            traced: the calls of the network.
            observed: those that are kept, and what the axes of their outputs mean.
            correlations: empty ones.
            pictured: indices of the images whose activations are kept as pictures.
            answers: an empty table.
        """
        self.done = 0
        "Images seen."
        units = {call.key: call.units for call in traced.calls}
        self.totals = {key: LayerStatistics(units[key]) for key in observed}
        self.strongest = {
            key: StrongestImages(units[key], columns)
            for key, arranged in observed.items()
            if (columns := map_columns(arranged))
        }
        self.correlations = correlations
        self.answers = answers
        self.pictures: Pictures = {index: {} for index in sorted(pictured)}

    def add(self, found: Collector) -> None:
        """Adds the images that follow."""
        for key, come in found.parts.items():
            self.totals[key].add(come)
        for key, highest in found.highest.items():
            self.strongest[key].update(highest, found.first)
        for index, pictures in found.pictures.items():
            self.pictures[index].update(pictures)
        for key, means in found.means.items():
            self.correlations[key].update(means.cpu().numpy(), found.logits.numpy())
        self.answers.add(found.logits, found.is_sound)
        self.done += len(found.logits)

    def merge(self, later: "Seen") -> None:
        """Adds what was seen of images that come after all of these."""
        for key, total in self.totals.items():
            total.merge(later.totals[key])
        for key, nine in self.strongest.items():
            nine.merge(later.strongest[key])
        for key, correlation in self.correlations.items():
            correlation.merge(later.correlations[key])
        for index, pictures in later.pictures.items():
            self.pictures[index].update(pictures)
        self.answers.merge(later.answers)
        self.done += later.done

    def values(self) -> Iterator[Array]:
        """Everything as plain arrays."""
        yield np.array([self.done])
        for part in self._parts():
            yield from values_of(part)
        for pictures in self.pictures.values():
            for key in self.totals:
                yield from _values_of_picture(pictures.get(key))

    def take(self, arrays: Iterator[Array]) -> None:
        """Becomes what gave these values; it must have been made in the same way, and be empty.

        Raises:
            ValueError: if it was not.
            StopIteration: if there are too few.
        """
        self.done = int(next(arrays)[0])
        for part in self._parts():
            take_values(part, arrays)
        for pictures in self.pictures.values():
            for key in self.totals:
                if (picture := _picture_of(arrays)) is not None:
                    pictures[key] = picture

    def evidence(self, traced: Trace) -> Evidence:
        """What was seen, in the form in which the sections read it."""
        return Evidence(
            calls=traced.calls,
            layers={key: total.evidence() for key, total in self.totals.items()},
            pictures=self.pictures,
            answers=self.answers.final(),
            classes=traced.classes,
            macs=traced.macs,
            gives_probabilities=self.answers.are_probabilities,
            task=self.answers.task,
            task_source=self.answers.task_source,
            is_deterministic=traced.is_deterministic,
            input_similarity=traced.input_similarity,
            strongest={key: nine.evidence() for key, nine in self.strongest.items()},
            class_correlations={
                key: found.correlation() for key, found in self.correlations.items()
            },
        )

    def _parts(self) -> Iterable[object]:
        yield from self.totals.values()
        yield from self.strongest.values()
        yield from self.correlations.values()
        yield self.answers


def _values_of_picture(picture: MapPicture | VectorPicture | None) -> Iterator[Array]:
    if picture is None:
        yield np.array([NO_PICTURE])
    elif isinstance(picture, VectorPicture):
        yield np.array([VECTOR])
        yield picture.values
    else:
        shown = picture.mean_map
        yield np.array([MAP if picture.full is None else MAP_IN_FULL, shown.height, shown.width])
        yield np.frombuffer(shown.path.encode(), np.uint8)
        yield np.frombuffer(shown.content, np.uint8)
        yield np.array([picture.mean_low, picture.mean_high])
        yield picture.tiles
        yield picture.low
        yield picture.high
        if picture.full is not None:
            yield picture.full


def _picture_of(arrays: Iterator[Array]) -> MapPicture | VectorPicture | None:
    kind, *shape = next(arrays).tolist()
    if kind == NO_PICTURE:
        return None
    if kind == VECTOR:
        return VectorPicture(next(arrays).copy())
    path, content = next(arrays).tobytes().decode(), next(arrays).tobytes()
    mean_low, mean_high = next(arrays).tolist()
    tiles, low, high = (next(arrays).copy() for _ in range(3))
    return MapPicture(
        tiles=tiles,
        low=low,
        high=high,
        mean_map=Pixels(path, shape[0], shape[1], content),
        mean_low=mean_low,
        mean_high=mean_high,
        full=next(arrays).copy() if kind == MAP_IN_FULL else None,
    )
