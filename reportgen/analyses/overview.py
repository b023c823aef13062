"""The network at a glance: one sentence, and how four quantities change with depth."""

from collections.abc import Sequence

from reportgen.analyses.findings import counted, percent, these
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.subjects import parameter_count
from reportgen.report.blocks import Curve, Curves
from reportgen.report.records import Finding, Layer, Panel


def run(study: Study) -> Outcome:
    """Curves over the layers in execution order."""
    layers = study.layer_records
    images = counted(len(study.image_records), "image")
    # A convolution gives hardly a zero and its rectifier many: in one curve they would draw a comb.
    nonlinear = [layer for layer in layers if layer.kind == "activation"]
    answers = nonlinear or layers
    what = "the outputs of the nonlinearities" if nonlinear else "all activations"
    curves = (
        Curve(
            "Zeros",
            "share",
            tuple(layer.zero_fraction if layer in answers else None for layer in layers),
            f"Share of {what} that are exactly zero, over {images}.",
        ),
        Curve(
            "Dead filters",
            "share",
            tuple(_dead_share(layer) for layer in layers),
            f"Share of units never above zero on {images}; defined after a rectifier only.",
        ),
        Curve(
            "Activation scale",
            "std",
            tuple(layer.std if layer in answers else None for layer in layers),
            f"Standard deviation of {what}, all units together.",
        ),
        Curve(
            "Receptive field",
            "px",
            tuple(_field_side(layer) for layer in layers),
            "Larger side of the input that one position can see.",
        ),
    )
    block = Curves(tuple(layer.slug for layer in layers), curves, _alt(curves[0], len(layers)))
    return Outcome({"": Panel(blocks={"curves": block})})


def verdict(study: Study, findings: Sequence[Finding]) -> str:
    """The report in one sentence: what the network is, and how much is wrong with it."""
    parameters = _scaled(parameter_count(study.loaded.module), ((1e9, "G"), (1e6, "M"), (1e3, "k")))
    macs = _scaled(study.evidence.macs, ((1e9, "GMAC"), (1e6, "MMAC"), (1e3, "kMAC")), "MAC")
    images = counted(len(study.image_records), "image")
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    counts = [counted(n, noun) for n, noun in ((errors, "error"), (warnings, "warning")) if n]
    head = f"{study.loaded.architecture}, {parameters} parameters, {macs}, {images}"
    said = " and ".join(counts) or "nothing to warn of"
    return f"{head}: {said}{_dead_clause(study)}."


def _dead_clause(study: Study) -> str:
    rectified = [layer for layer in study.layer_records if layer.dead_filters is not None]
    units = sum(layer.units for layer in rectified)
    dead = sum(layer.dead_filters or 0 for layer in rectified)
    if not units:
        return ""
    n = len(study.image_records)
    seen = f"on {these(n)}"
    if not dead:
        return f"; each of the {counted(units, 'rectified filter')} fires {seen}"
    verb = "never fires" if dead == 1 else "never fire"
    return f"; {dead:,} of {counted(units, 'rectified filter')} {verb} {seen}"


def _scaled(value: int, steps: Sequence[tuple[float, str]], unit: str = "") -> str:
    for step, name in steps:
        if value >= step:
            scaled = value / step
            return f"{scaled:.2f} {name}" if scaled < 10 else f"{scaled:.1f} {name}"
    return f"{value} {unit}".strip()


def _dead_share(layer: Layer) -> float | None:
    return None if layer.dead_filters is None else layer.dead_filters / layer.units


def _field_side(layer: Layer) -> float | None:
    return None if layer.receptive_field is None else float(max(layer.receptive_field.size))


def _alt(zeros: Curve, layers: int) -> str:
    shares = [share for share in zeros.values if share is not None]
    top = f" Zeros reach {percent(max(shares))} at most." if shares else ""
    return f"Four curves over {counted(layers, 'layer')} in execution order.{top}"


ANALYSIS = Analysis(
    name="overview",
    title="Overview",
    place="index",
    run=run,
)
