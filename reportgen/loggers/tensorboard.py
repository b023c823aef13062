"""Writes a report as events for TensorBoard, into `runs/` as its own programs do."""

import io
import re
import time
from itertools import pairwise
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from reportgen.loggers.entries import Distribution, Entry, Picture, Scalar, entries
from reportgen.report.records import Report
from reportgen.write import write_file

FOLDER = Path("runs")
_RGB = 3
"TensorBoard's word for pictures in colour; it shows grey ones as well."


def log(report: Report, name: str, step: int | None) -> None:
    """Write a new file of events, whole; what stands in the folder of the run is left alone.

    Raises:
        OutputError: if it cannot be written.
    """
    folder = FOLDER / (re.sub(r"[^\w.-]+", "-", name).strip("-.") or "report")
    seconds, rest = divmod(time.time_ns(), 10**9)
    stream = io.BytesIO()
    records = RecordWriter(stream)
    records.write(Event(wall_time=seconds, file_version="brain.Event:2").SerializeToString())
    for entry in entries(report):
        summary = Summary(value=[_value(entry)])
        event = Event(wall_time=time.time(), step=step or 0, summary=summary)
        records.write(event.SerializeToString())
    # TensorBoard knows its files by this beginning and reads them in the order of their names.
    file = folder / f"events.out.tfevents.{seconds:010d}.{rest:09d}.reportgen"
    write_file(file, stream.getvalue(), parents=True, hint="run it where you may write")


def _value(entry: Entry) -> Summary.Value:
    if isinstance(entry, Scalar):
        return Summary.Value(tag=entry.name, simple_value=entry.value)
    if isinstance(entry, Distribution):
        return Summary.Value(tag=entry.name, histo=_histogram(entry))
    return Summary.Value(tag=entry.name, image=_image(entry))


def _histogram(entry: Distribution) -> HistogramProto:
    """The bins as they are; sums are those of the middles of the bins."""
    counts, edges = entry.histogram.counts, entry.edges
    middles = [(left + right) / 2 for left, right in pairwise(edges)]
    return HistogramProto(
        min=edges[0],
        max=edges[-1],
        num=sum(counts),
        sum=sum(count * middle for count, middle in zip(counts, middles, strict=True)),
        sum_squares=sum(count * middle**2 for count, middle in zip(counts, middles, strict=True)),
        bucket_limit=edges[1:],
        bucket=counts,
    )


def _image(entry: Picture) -> Summary.Image:
    return Summary.Image(
        height=entry.height,
        width=entry.width,
        colorspace=_RGB,
        encoded_image_string=entry.content,
    )
