"""What each layer answers: its maps for the pictured images, and its values over all images."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from reportgen.analyses.activation_pictures import (
    ALL_PIXELS,
    DEEP_PIXELS,
    atlas,
    least_pixels,
    most_varied,
    pictured_calls,
    pixels_each,
    shown_pixels,
    strip,
)
from reportgen.analyses.deadness import unit_states
from reportgen.analyses.findings import counted
from reportgen.analyses.layer_health import RULES, layer_findings
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.units import is_deep, rows_shown, unit_layers
from reportgen.probe.evidence import (
    Call,
    CallKey,
    Evidence,
    LayerEvidence,
    MapPicture,
    VectorPicture,
)
from reportgen.report.arrays import Array
from reportgen.report.blocks import Block, Column, Histogram, Table
from reportgen.report.records import Fact, Image, Layer, Panel

SHOWN = 64
"Units whose statistics stand in the page; the CSV has all."

COLUMNS = (
    Column("Unit", hint="Channel, counted from 0."),
    Column("Mean"),
    Column("Std", hint="With n in the denominator."),
    Column("Min"),
    Column("Max"),
    Column("Above zero", "share", "Share of values above zero."),
    Column("Zeros", "share", "Share of values that are exactly zero."),
    Column("Fired on", "images", "Images on which the unit is above zero somewhere."),
    Column("State", hint="dead, near-dead or constant, as defined on the page of dead filters."),
)


def run(study: Study) -> Outcome:
    """One panel per call that was observed."""
    evidence = study.evidence
    costs = {
        call.key: sum(map(least_pixels, _maps(evidence, call.key)))
        for call in evidence.calls
        if _maps(evidence, call.key)
    }
    units = {call.key for call in unit_layers(study)}
    rectified = {call.key for call in evidence.calls if call.rectifies}
    room = DEEP_PIXELS if is_deep(len(evidence.calls)) else ALL_PIXELS
    chosen = pictured_calls(costs, (units, rectified), room)
    pixels = pixels_each([shown_pixels(p) for key in chosen for p in _maps(evidence, key)], room)
    panels = {}
    for call, layer in zip(evidence.calls, study.layer_records, strict=True):
        seen = evidence.layers.get(call.key)
        if seen is not None:
            is_left_out = call.key in costs and call.key not in chosen
            pictures = {
                study.image_records[index]: shown[call.key]
                for index, shown in sorted(evidence.pictures.items())
                if call.key in shown and not is_left_out
            }
            made = _panel(call, layer, seen, pictures, pixels, len(evidence.calls))
            if is_left_out:
                text = f"Feature maps stand on the pages of {len(chosen)} of {len(costs)} layers, "
                text += "to keep the report small: those after a nonlinearity come first. With "
                text += f"--layers {layer.title} they stand here."
                made = replace(made, facts={**made.facts, "layout": "map", "left_out": text})
            panels[layer.slug] = made
    return Outcome(panels, layer_findings(study))


def _maps(evidence: Evidence, key: CallKey) -> list[MapPicture]:
    """What is kept of a call's maps, one for each pictured image."""
    kept = (shown.get(key) for _, shown in sorted(evidence.pictures.items()))
    return [picture for picture in kept if isinstance(picture, MapPicture)]


def _panel(
    call: Call,
    layer: Layer,
    seen: LayerEvidence,
    pictures: Mapping[Image, MapPicture | VectorPicture],
    pixels: int,
    layers: int,
) -> Panel:
    blocks: dict[str, Block] = {}
    arrays: dict[str, Array] = {}
    is_averaged = False
    units = most_varied(seen)
    for image, picture in pictures.items():
        if isinstance(picture, MapPicture):
            shown = atlas(call, layer, image, picture, units, pixels)
            tile = (shown.tile_height, shown.tile_width)
            is_averaged |= tile != (shown.full_height, shown.full_width)
            blocks[f"image:{image.slug}"] = shown
            if picture.full is not None:
                arrays[f"map.{image.slug}"] = picture.full
        else:
            blocks[f"image:{image.slug}"] = strip(layer, image, picture)
    blocks["histogram"] = histogram(seen)
    blocks["statistics"] = _statistics(call, seen, layers)
    facts: dict[str, Fact] = {
        "images": seen.images,
        "positions": seen.positions,
        "other_tokens": 0 if call.tokens is None else seen.positions - math.prod(call.grid or ()),
        "is_averaged": is_averaged,
        # A map of one pixel is a vector, as after global pooling.
        "layout": "map" if any(isinstance(p, MapPicture) for p in pictures.values()) else "vector",
        "pictured": tuple(image.slug for image in pictures),
        "shown_units": len(units),
    }
    if call.slices > 1:
        facts["slices"] = call.slices
    return Panel(facts=facts, arrays=arrays, blocks=blocks)


def histogram(seen: LayerEvidence) -> Histogram:
    """The values of all units, positions and images, without the empty bins at both ends."""
    binned = seen.histogram
    used = np.flatnonzero(binned.counts)
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (128, 129)
    width = 2.0**binned.exponent
    counts = tuple(int(count) for count in binned.counts[first:last])
    caption = f"All {sum(counts):,} finite values over {counted(seen.images, 'image')}."
    return Histogram(counts, (first - 128) * width, (last - 128) * width, "", caption)


def _statistics(call: Call, seen: LayerEvidence, layers: int) -> Table:
    values = max(seen.images * seen.positions, 1)
    columns = (
        range(len(seen.mean)),
        _seven_digits(seen.mean),
        _seven_digits(np.sqrt(seen.variance)),
        _seven_digits(seen.minimum),
        _seven_digits(seen.maximum),
        _seven_digits(seen.positive / values),
        _seven_digits(seen.zeros / values),
        seen.fired.tolist(),
        unit_states(call, seen).words(),
    )
    caption = f"Each unit over {counted(seen.images, 'image')}, "
    caption += f"{counted(seen.positions, 'value')} an image."
    rows = tuple(zip(*columns, strict=True))
    return Table(caption, COLUMNS, rows, rows_shown(len(rows), SHOWN, layers), is_deep(layers))


def _seven_digits(values: Array) -> list[float]:
    """As much as a float32 holds: a table of a large network is half as long for it."""
    return [float(f"{value:.7g}") for value in values.tolist()]


ANALYSIS = Analysis(
    name="activations",
    title="Activations",
    place="layer",
    run=run,
    rules=RULES,
)
