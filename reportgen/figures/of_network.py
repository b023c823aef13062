"""What a paper shows of the network: trust, dead units, spectra, and curves over the depth."""

from collections.abc import Callable, Iterator, Mapping

from reportgen.figures.dead_curve import DeadCurve
from reportgen.figures.plate import Plate
from reportgen.figures.spectra_sheet import SpectraSheet
from reportgen.figures.trust_curves import TrustCurves
from reportgen.report.blocks import Curve, Curves
from reportgen.report.records import Layer, Panel, Report

TRUST = ("deletion", "random_deletion", "insertion", "random_insertion")
SPECTRA = ("kernels", "read", "given")


def plate(
    section: str, panel: Panel, titles: Mapping[str, str]
) -> tuple[str, Callable[[], Plate]] | None:
    """The figure of a section of the network and its name; None where it has none.

    Args:
        section: its name.
        panel: what it says.
        titles: of the layers, by slug.
    """
    facts, arrays = panel.facts, panel.arrays
    if section == "trust" and facts.get("methods"):
        return "curves", lambda: TrustCurves(
            "Pixels taken away and put back in the order of each map",
            _words(panel, "titles"),
            {name: arrays[name] for name in TRUST},
        )
    if section == "dead_filters" and facts.get("curve_layers"):
        return "curve", lambda: DeadCurve(
            arrays["curve_images"],
            tuple(titles[slug] for slug in _words(panel, "curve_layers")),
            arrays["curve_dead"],
        )
    if section == "design" and facts.get("drawn"):
        return "spectra", lambda: _spectra(panel, titles)
    return None


def _spectra(panel: Panel, titles: Mapping[str, str]) -> SpectraSheet:
    # No line of a title ends inside of a size.
    forms = (
        form.replace(" x ", "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}")
        for form in _words(panel, "forms")
    )
    names = zip(_words(panel, "drawn"), forms, strict=True)
    return SpectraSheet(
        tuple(f"{titles[slug]} ({form})" for slug, form in names),
        tuple(int(stride) for stride in _numbers(panel, "strides")),
        _numbers(panel, "bands"),
        {name: panel.arrays[name] for name in SPECTRA},
    )


def depth_curves(report: Report) -> Iterator[tuple[str, Curves, str]]:
    """(section, curves, what they show): the architecture, and the gradient, layer by layer."""
    if report.layers:
        yield "architecture", _architecture(report.layers), "What each layer costs and gives"
    pairs = [
        (one, one.panels["gradient_flow"]) for one in report.layers if "gradient_flow" in one.panels
    ]
    if pairs:
        curves = (
            Curve("Norm of the gradient", "", tuple(_number(p, "norm") for _, p in pairs), ""),
            Curve(
                "Slopes of zero", "share", tuple(_number(p, "zero_fraction") for _, p in pairs), ""
            ),
        )
        block = Curves(tuple(layer.slug for layer, _ in pairs), curves, "")
        yield "gradient_flow", block, "The gradient that reaches each layer"


def _architecture(layers: tuple[Layer, ...]) -> Curves:
    """Sums of zero are left out: a ReLU has no parameters, which is no point of a curve."""
    fields = [layer.receptive_field for layer in layers]
    curves = (
        Curve("Parameters", "", tuple(float(one.parameters) or None for one in layers), ""),
        Curve("Multiply-accumulates", "", tuple(float(one.macs) or None for one in layers), ""),
        Curve("Units", "", tuple(float(one.units) for one in layers), ""),
        Curve("Longer side of the maps", "px", tuple(_side(one) for one in layers), ""),
        Curve(
            "Receptive field", "px", tuple(float(max(f.size)) if f else None for f in fields), ""
        ),
    )
    return Curves(tuple(layer.slug for layer in layers), curves, "")


def _side(layer: Layer) -> float | None:
    return float(max(layer.output_shape[-2:])) if len(layer.output_shape) == 3 else None


def _number(panel: Panel, name: str) -> float | None:
    value = panel.facts[name]
    return float(value) if isinstance(value, int | float) else None


def _numbers(panel: Panel, name: str) -> tuple[float, ...]:
    values = panel.facts[name]
    return tuple(float(v) for v in values) if isinstance(values, tuple) else ()


def _words(panel: Panel, name: str) -> tuple[str, ...]:
    values = panel.facts[name]
    return tuple(str(value) for value in values) if isinstance(values, tuple) else ()
