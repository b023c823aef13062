"""What the units of a layer look for: the patches of images on which each is strongest."""

from collections.abc import Sequence

import numpy as np

from reportgen.analyses.answers import image_link
from reportgen.analyses.patch_pictures import Shown, pictures
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.units import WIDEST, is_deep, rows_shown, unit_layers, used_units
from reportgen.probe.deconvnet import unprojected
from reportgen.probe.evidence import Call, CallKey, Strongest
from reportgen.probe.strongest import KEPT
from reportgen.report.arrays import Array
from reportgen.report.blocks import Block, Cell, Column, Link, Table
from reportgen.report.records import Fact, Image, Layer, Panel

SHOWN = 9
"Units of a layer that are shown one by one."

SHOWN_OF_WIDEST = 3
"The same of a layer whose page must not grow too long."

FEW = 3
"Places kept of each unit of other layers where a network is deep."

LISTED = 32
"Units in the table on the page; the CSV has all."


def run(study: Study) -> Outcome:
    """One panel per call with maps; of some layers the most used units are shown one by one."""
    calls = study.evidence.calls
    shown = [
        Shown(call, units, unprojected(calls, call.key))
        for call in unit_layers(study)
        if call.key in study.evidence.strongest and (units := used_units(study, call, _cards(call)))
    ]
    drawn = {made.call.key: made for made in pictures(study, shown)}
    told = _told(calls)
    panels = {}
    for call, layer in zip(calls, study.layer_records, strict=True):
        nine = study.evidence.strongest.get(call.key)
        if nine is None:
            continue
        if call.key in told or call.key in drawn:
            panels[layer.slug] = _panel(study, call, layer, nine, drawn.get(call.key))
        else:
            text = f"Where units are strongest stands on the pages of the {len(told)} layers "
            text += f"after a nonlinearity, as this network has {len(calls)}."
            panels[layer.slug] = Panel({"units": (), "left_out": text})
    return Outcome(panels)


def _told(calls: Sequence[Call]) -> set[CallKey]:
    """The calls whose strongest places are told: all, in a deep network those that rectify.

    A rectifier keeps the order of what it gets, so that its strongest places are those of the
    norm or the convolution in front of it.
    """
    rectified = {call.key for call in calls if call.rectifies}
    every = {call.key for call in calls}
    return rectified if rectified and is_deep(len(calls)) else every


def _panel(study: Study, call: Call, layer: Layer, nine: Strongest, drawn: Shown | None) -> Panel:
    seen = study.evidence.layers[call.key]
    units = drawn.units if drawn else ()
    rms = np.sqrt(seen.mean**2 + seen.variance)
    facts: dict[str, Fact] = {
        "images": seen.images,
        "units": units,
        "fired": tuple(int(seen.fired[unit]) for unit in units),
        "rms": tuple(float(rms[unit]) for unit in units),
        "patches": drawn.counts(nine) if drawn else (),
        "window": drawn.window if drawn else (),
        "is_whole_image": drawn is not None and drawn.is_whole,
        "problem": drawn.problem if drawn else "",
        "rectifies": call.rectifies,
    }
    # The cards show all nine; where there are none, a deep network keeps the first few.
    kept = FEW if is_deep(len(study.layer_records)) and not drawn else KEPT
    places = {"image": nine.image, "row": nine.row, "column": nine.column}
    arrays = {name: _narrow(found[:, :kept]) for name, found in places.items()}
    arrays["value"] = nine.value[:, :kept]
    blocks: dict[str, Block] = dict(drawn.blocks(layer)) if drawn else {}
    blocks["strongest"] = _table(call, nine, study)
    return Panel(facts, arrays, blocks)


def _cards(call: Call) -> int:
    return SHOWN if call.units <= WIDEST else SHOWN_OF_WIDEST


def _narrow(places: Array) -> Array:
    """Whole numbers in as few bytes as hold them."""
    narrow: Array = places.astype(
        np.result_type(*map(np.min_scalar_type, (-1, places.max(initial=0))))
    )
    return narrow


def _table(call: Call, nine: Strongest, study: Study) -> Table:
    images, layers = study.image_records, len(study.layer_records)
    return Table(
        caption=(
            "Where each unit is strongest over all images: the first position with its largest "
            "value. Rows and columns are those of its map, counted from 0."
        ),
        columns=(
            Column("Unit", hint="Channel, counted from 0."),
            Column("Strongest on"),
            Column("Row"),
            Column("Column"),
            Column("Value"),
        ),
        rows=tuple(_row(call, nine, unit, images) for unit in range(len(nine.value))),
        shown=rows_shown(len(nine.value), LISTED, layers),
        gzipped=is_deep(layers),
    )


def _row(call: Call, nine: Strongest, unit: int, images: Sequence[Image]) -> tuple[Cell, ...]:
    index, value = int(nine.image[unit, 0]), float(nine.value[unit, 0])
    if index < 0:
        return unit, None, None, None, None
    if call.rectifies and value <= 0:
        # It never fires, so that no place is its strongest.
        return unit, None, None, None, value
    image = images[index]
    name = Link(image.path, image_link(image)) if image.is_pictured else image.path
    return unit, name, int(nine.row[unit, 0]), int(nine.column[unit, 0]), float(f"{value:.7g}")


ANALYSIS = Analysis(
    name="patches",
    title="What its units look for",
    place="layer",
    run=run,
    needs=("picture",),
    references=(
        "Zeiler, Fergus: Visualizing and Understanding Convolutional Networks. ECCV, 2014.",
    ),
)
