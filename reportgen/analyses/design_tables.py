"""The section on frequencies, strides and width as tables: every layer that has the number."""

from collections.abc import Sequence

from reportgen.analyses.design_findings import Sampled, Wide, once, place_of
from reportgen.analyses.findings import layer_link
from reportgen.report.blocks import Cell, Column, Link, Table
from reportgen.report.records import Layer

SHOWN = 24
"Rows of a table on the page; the CSV has all."


def sampling_table(sampled: Sequence[Sampled], drawn: Sequence[Layer]) -> Table:
    """Layers with a stride: what it cannot carry, and what would help."""
    rows: list[tuple[Cell, ...]] = [
        (
            Link(row.layer.title, place_of(row.layer, drawn)),
            row.layer.type,
            f"{row.windows.size[0]} x {row.windows.size[1]}",
            once(row.windows.stride),
            row.before,
            row.after,
            row.with_smaller if row.smaller_stride != (1, 1) else None,
            row.with_blur,
        )
        for row in sampled
        if row.windows.is_strided
    ]
    columns = (
        Column("Layer"),
        Column("Type"),
        Column("Window"),
        Column("Stride"),
        Column("Too fine in what it reads", "share", "Energy that the stride cannot carry."),
        Column("Too fine in what it samples", "share", "The same behind its kernels or pooling."),
        Column(
            "With half the stride",
            "share",
            "Rounded down; none where that is 1, which carries all.",
        ),
        Column("With a blur", "share", "A 3 x 3 binomial blur between kernel and stride."),
    )
    caption = "Layers with a stride: energy beyond 1/(2 x stride) cycles per pixel on either axis."
    return Table(caption, columns, tuple(rows), SHOWN)


def frequency_table(sampled: Sequence[Sampled]) -> Table:
    """Layers with windows: shares of the three bands."""
    rows: list[tuple[Cell, ...]] = [
        (
            Link(row.layer.title, layer_link(row.layer)),
            row.form,
            *(row.kernel_bands or (None, None, None)),
            *(row.read_bands or (None, None, None)),
        )
        for row in sampled
    ]
    parts = ("below 1/8 cycles per pixel", "from 1/8 to 1/4", "from 1/4 on, corners included")
    columns = [Column("Layer"), Column("Window")]
    for what in ("Kernels", "Reads"):
        for band, part in zip(("coarse", "middle", "fine"), parts, strict=True):
            columns.append(Column(f"{what}: {band}", "share", f"Share of the energy {part}."))
    caption = "Layers with windows: how the energy of their kernels and of their input is shared."
    return Table(caption, tuple(columns), tuple(rows), SHOWN)


def width_table(wide: Sequence[Wide]) -> Table:
    """Convolutions: units, dimensions, and units that do nothing of their own."""
    rows: list[tuple[Cell, ...]] = [
        (
            Link(row.layer.title, layer_link(row.layer)),
            row.units,
            row.most,
            None if row.dimensions is None else round(row.dimensions, 2),
            row.share,
            row.values or None,
            row.dead,
            None if row.dead is None else row.dead / row.units,
            row.copies,
            row.near,
        )
        for row in wide
    ]
    columns = (
        Column("Layer"),
        Column("Units"),
        Column("At most", "dimensions", "The units, or the values each is made from if fewer."),
        Column("Used", "dimensions", "Participation ratio of the output's covariance."),
        Column("Share used", "share"),
        Column("Values", hint="Of each unit, in the pictured images: the ratio cannot exceed it."),
        Column("Dead", hint="Never above zero behind the rectifier."),
        Column("Dead share", "share"),
        Column("Copies", hint="Filters with the weights of another one."),
        Column("Near twins", hint="Filters with another one at a cosine of 0.95 or more."),
    )
    return Table("Convolutions: how much of their width is used.", columns, tuple(rows), SHOWN)
