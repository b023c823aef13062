"""Every layer in the order it runs: what it reads and gives, what it costs, how far it sees."""

from reportgen.analyses.findings import layer_link
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.subjects import parameter_count
from reportgen.report.blocks import Cell, Column, Link, Table
from reportgen.report.records import Layer, Panel

COLUMNS = (
    Column("Layer", hint="Name of the module; #2 is its second call in one forward pass."),
    Column("Type"),
    Column("Kind"),
    Column("Reads from", hint="Layers whose output goes in, through sums and reshapes between."),
    Column("Output shape", hint="Without the batch: channels x height x width for maps."),
    Column("Parameters", hint="Own parameters; shared ones are counted at their first call."),
    Column("MACs", hint="Multiply-accumulate operations for one image."),
    Column("Receptive field", "px", "Height x width of the input that one position can see."),
    Column("RF stride", "px", "Input pixels between neighbouring positions, down x across."),
    Column("RF centre", "px", "Centre of what the top left position sees: row, column."),
)


def run(study: Study) -> Outcome:
    """The table of layers, with totals."""
    layers = study.layer_records
    titles = {layer.slug: layer.title for layer in layers}
    table = Table(
        caption="Layers in execution order.",
        columns=COLUMNS,
        rows=tuple(_row(layer, titles) for layer in layers),
    )
    facts = {
        "parameters": parameter_count(study.loaded.module),
        "macs": study.evidence.macs,
        "calls": len(layers),
    }
    return Outcome({"": Panel(facts=facts, blocks={"table": table})})


def _row(layer: Layer, titles: dict[str, str]) -> tuple[Cell, ...]:
    field = layer.receptive_field
    size = stride = centre = None
    if field is not None:
        size, stride = by(field.size), by(field.stride)
        centre = f"{field.centre[0]:g}, {field.centre[1]:g}"
    return (
        Link(layer.title or layer.slug, layer_link(layer)),
        layer.type,
        layer.kind,
        ", ".join(titles[slug] for slug in layer.inputs) or "input",
        by(layer.output_shape),
        layer.parameters,
        layer.macs,
        size,
        stride,
        centre,
    )


def by(sizes: tuple[int, ...]) -> str:
    """`64 x 55 x 55`."""
    return " x ".join(str(size) for size in sizes)


ANALYSIS = Analysis(
    name="architecture",
    title="Architecture",
    place="page",
    run=run,
    references=(
        "Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks. "
        "Distill, 2019.",
    ),
)
