"""The plan on the page of dead filters: which units can be taken out, what it saves, what stays."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reportgen.analyses.findings import counted, layer_link, percent, these
from reportgen.analyses.study import Study
from reportgen.load.listing import shown_names
from reportgen.options import Options
from reportgen.probe.evidence import CallKey
from reportgen.probe.occlusion.graph import Untraceable
from reportgen.probe.pruning.plan import Going, Plan, planned
from reportgen.probe.pruning.words import counts, kinds_by_layer, staying
from reportgen.report.blocks import Cell, Column, Link, Table
from reportgen.report.records import Fact, Finding, Rule

WORTHWHILE = 0.01
"Share of the parameters or of the multiplications that is worth a finding."

RULE = Rule(
    "prunable",
    "Info: units can be taken out without changing an answer on these images, and 1 % or more of "
    "the parameters or multiplications with them.",
)
PLACE = "dead_filters.html#plan"
LISTED = 6
"Names written out in one cell."
LOADING = (
    *("arch", "arch_args", "weights_key", "labels", "input_size", "slices", "crop_pct", "mean"),
    "std",
)
"Options that both commands take, and that change what a network is or sees."


@dataclass(frozen=True)
class Removal:
    """What the page says of the plan."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    blocks: Mapping[str, Table] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def removal(study: Study) -> Removal:
    """The plan for the network as it is, or one sentence that says why there is none.

    Nothing is run for it but one image, once, to see the shapes.
    """
    image = next(iter(study.images.batches(1)))[0]
    try:
        _, plan = planned(study.probe, image, study.evidence)
    except Untraceable as problem:
        return Removal({"plan_problem": str(problem)})
    parameters, macs = (
        (before - after) / max(before, 1) for before, after in (plan.parameters, plan.macs)
    )
    facts: dict[str, Fact] = {
        "plan_problem": "",
        "plan_units": len(plan.going),
        "plan_always": sum(unit.is_always for unit in plan.going),
        "plan_stays": len(plan.staying),
        "plan_parameters": parameters,
        "plan_macs": macs,
        "plan_bytes": plan.bytes[0] - plan.bytes[1],
        "plan_command": command(study.options),
    }
    blocks: dict[str, Table] = {}
    if plan.going:
        blocks |= {"plan_layers": _layers(study, plan), "plan_units": _units(study, plan)}
    if plan.staying:
        blocks["plan_stays"] = _stays(study, plan)
    findings: tuple[Finding, ...] = ()
    if max(parameters, macs) >= WORTHWHILE:
        n = len(study.image_records)
        text = f"{counted(len(plan.going), 'unit')} can be taken out without changing an answer on "
        text += f"{these(n)}: {percent(parameters)} of the parameters, {percent(macs)} of the "
        text += "multiplications."
        findings = (Finding("info", RULE.kind, text, PLACE),)
    return Removal(facts, blocks, findings)


def command(options: Options) -> str:
    """The command line that takes the units out, with bare file names; empty without files."""
    if not options.model.name:
        return ""
    words = ["reportgen", "prune", options.model.name]
    words += shown_names(options.images)
    for name, values in options.changed():
        if name in LOADING:
            words += [f"--{name.replace('_', '-')}", *values]
    return shlex.join([*words, "-o", f"{options.model.stem}-pruned.pth"])


def _link(study: Study, path: str, unit: int | None = None) -> Cell:
    layer = study.layer_of.get(CallKey(path))
    text = path if unit is None else f"{path} / {unit}"
    return text if layer is None else Link(text, layer_link(layer, unit))


def _layers(study: Study, plan: Plan) -> Table:
    kinds = kinds_by_layer(plan)
    saved = (before - after for before, after in (plan.parameters, plan.macs, plan.bytes))
    rows: list[tuple[Cell, ...]] = [
        ("in all", None, None, counted(len(plan.going), "unit"), None, *saved)
    ]
    for layer in plan.layers:
        rows.append(
            (
                _link(study, layer.layer),
                layer.units[0],
                layer.units[1],
                counts(kinds.get(layer.layer, {})),
                layer.inputs[0] - layer.inputs[1],
                *(before - after for before, after in (layer.parameters, layer.macs, layer.bytes)),
            )
        )
    return Table(
        caption=(
            "What each layer loses when all of these units go together. Norms lose the entries of "
            "the channels in front of them, and the next layers their inputs."
        ),
        columns=(
            Column("Layer"),
            Column("Units"),
            Column("Left"),
            Column("Units that go", hint="By kind; a unit of a residual sum counts in each layer."),
            Column("Inputs less", hint="Input channels that read what goes."),
            Column("Parameters", "saved"),
            Column("Multiplications", "saved", "Multiply-accumulate operations for one image."),
            Column("Bytes", "saved", "In a file of float32 weights."),
        ),
        rows=tuple(rows),
        shown=48,
    )


def _units(study: Study, plan: Plan) -> Table:
    return Table(
        caption="Every unit that can go, and what goes with it.",
        columns=(
            Column("Unit", hint="Layer and channel, counted from 0."),
            Column("Kind"),
            Column("Known by", hint="Its weights, for any image, or what was seen on these."),
            Column(
                "Norms and partners", hint="Norms and units of other layers on the same channel."
            ),
            Column("No longer read by"),
        ),
        rows=tuple(
            (
                _link(study, unit.layer, unit.unit),
                unit.kind if unit.twin is None else f"duplicate of {unit.twin}",
                "weights" if unit.is_always else "images",
                _few(tuple(_company(unit))) or "none",
                _few(unit.readers),
            )
            for unit in plan.going
        ),
        shown=48,
    )


def _company(unit: Going) -> Iterator[str]:
    yield from unit.entries
    yield from (f"{layer} / {partner}" for layer, partner in unit.partners)


def _few(names: tuple[str, ...]) -> str:
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _stays(study: Study, plan: Plan) -> Table:
    return Table(
        caption="Units that are idle here, and why they cannot simply be taken out.",
        columns=(
            Column("Layer"),
            Column("Units"),
            Column("Which", hint="Counted from 0."),
            Column("Kind"),
            Column("It stays because"),
        ),
        rows=tuple(
            (_link(study, layer), count, units, kind, reason)
            for layer, count, units, kind, reason in staying(plan)
        ),
        shown=48,
    )
