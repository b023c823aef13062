"""A made-up report with everything a page must cope with: odd sizes, hostile names, failures."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Column, Curve, Curves, Link, Table
from reportgen.report.records import (
    SCHEMA_VERSION,
    Finding,
    Model,
    Panel,
    Parameter,
    Preprocessing,
    Provenance,
    Report,
    Rule,
    Section,
    SkippedImage,
)
from tests.render.sample_images import images
from tests.render.sample_layers import HEIGHT, HOSTILE, SLUGS, WIDTH, histogram, layers

__all__ = ["HOSTILE", "SLUGS", "every_file", "sample_report"]


def sample_report() -> Report:
    """The same report, bit for bit, on every call."""
    layer_records = layers()
    parameters = tuple(
        Parameter(name, shape, 0.01, 0.2, -0.9, 1.1, 7.5, 0.125, 0, histogram(name))
        for name, shape in (
            ("features.0.weight", (12, 3, 3, 5)),
            ("features.0.bias", (12,)),
            (f"{HOSTILE}.weight", (8, 12, 3, 5)),
            ("classifier.weight", (10, 2048)),
        )
    )
    slugs = tuple(layer.slug for layer in layer_records)
    values = tuple(0.1 * i for i in range(len(slugs)))
    curves = Curves(
        slugs,
        (
            Curve("Zeros", "share", values, "Share of exact zeros."),
            Curve(
                "Dead filters",
                "share",
                (None, 0.1, None, None, 0.2, 0.0, None),
                "Share of dead units.",
            ),
            Curve("Activation scale", "std", values, "Standard deviation."),
            Curve("Receptive field", "px", (3.0, 3.0, 5.0, 7.0, 7.0, 60.0, None), "Larger side."),
        ),
        "Four curves over 7 layers.",
    )
    link = Link(layer_records[1].title, "layers/features.1.html#c=3")
    dead_tables = {
        "layers": Table(
            "Per layer.",
            (Column("Layer"), Column("Units"), Column("Dead share", "share")),
            ((link, 12, 1 / 12),),
        ),
        "units": Table(
            "Per unit.",
            (Column("Unit"), Column("Kind"), Column("Fired on", "images")),
            ((link, "dead", 0),),
        ),
        "images": Table("Per image.", (Column("Layer"), Column("chelsea", "silent")), ((link, 3),)),
    }
    architecture = Table(
        "Layers in execution order.",
        (Column("Layer"), Column("Type"), Column("Output shape"), Column("MACs")),
        tuple(
            (
                Link(layer.title, f"layers/{layer.slug}.html"),
                layer.type,
                " x ".join(map(str, layer.output_shape)),
                layer.macs,
            )
            for layer in layer_records
        ),
    )
    weights = Table(
        "Every parameter.",
        (Column("Parameter"), Column("Mean"), Column("Zeros", "share")),
        tuple(
            (Link(p.name, "weights.html#features.0.bias"), p.mean, p.zero_fraction)
            for p in parameters
        ),
    )
    return Report(
        schema_version=SCHEMA_VERSION,
        title=f"squeezenet {HOSTILE}",
        verdict="squeezenet, 1.24 M parameters, 3 images: 1 error and 1 warning.",
        provenance=Provenance(
            "0.1.0",
            f"reportgen build model.pth '{HOSTILE}'",
            (("python", "3.11"), ("torch", "2.15")),
            (("occlusion_fill", "mean"),),
            "cpu",
            16,
            0,
        ),
        model=Model(
            "model.pth",
            "ab" * 32,
            "squeezenet1_1",
            "recognised from keys and shapes",
            "state_dict",
            "float16",
            1_235_496,
            349_151_936,
            10,
            "folder names",
            Preprocessing(
                HEIGHT,
                WIDTH,
                56,
                "bilinear",
                (0.485, 0.456, 0.406),
                (0.229, 0.224, 0.225),
                3,
                "published with torchvision's weights",
                False,
            ),
        ),
        accuracy=1.0,
        images=images(),
        skipped=(SkippedImage(f"broken {HOSTILE}.png", "The file ends too early."),),
        layers=layer_records,
        parameters=parameters,
        findings=(
            Finding(
                "error",
                "dead-filters",
                f"features.1 {HOSTILE}: 1 of 12 units never fires.",
                "layers/features.1.html#c=3",
            ),
            Finding(
                "warning",
                "confident-mistakes",
                "night sky is wrong.",
                "images/night-sky.html#occlusion",
            ),
            Finding(
                "info", "few-images", "With 3 images, dead is a weak claim.", "dead_filters.html"
            ),
            Finding(
                "info",
                "mostly-zero-weights",
                "Half of features.0.weight is zero.",
                "weights.html#features.0.weight",
            ),
        ),
        rules=(
            Rule("dead-filters", "More than 5 % of a layer's units never fire.", "Hanley 1983."),
        ),
        notes=("Class names are folder names.", f"The prefix {HOSTILE} was removed."),
        choice=f"1 of 3 images has a page: {HOSTILE}.",
        sections=(
            Section("overview", "Through the depth", "index", Panel({}, {}, {"curves": curves})),
            Section(
                "architecture",
                "Architecture",
                "page",
                Panel(
                    {"parameters": 1_235_496, "macs": 349_151_936, "calls": 7},
                    {},
                    {"table": architecture},
                ),
            ),
            Section("activations", "Activations", "layer"),
            Section("kernels", "Kernels", "layer"),
            Section("patches", "What its units look for", "layer"),
            Section(
                "weights",
                "Weights",
                "page",
                Panel(
                    {"parameters": 4, "values": 22_000, "zeros": 2_750, "nonfinite": 0},
                    {},
                    {"table": weights},
                ),
            ),
            Section("answers", "Predictions", "image"),
            Section("occlusion", "Occlusion", "image", references=("Zeiler, Fergus, 2014.",)),
            Section("gradcam", "Class activation maps", "image"),
            Section("gradients", "Gradients", "image"),
            Section("attention", "Attention", "image"),
            Section("gradient_flow", "Gradient", "layer"),
            Section(
                "dead_filters",
                "Dead filters",
                "page",
                Panel(
                    {
                        "images": 3,
                        "firing_bound": 1.0,
                        "units": 2068,
                        "dead": 3,
                        "near_dead": 0,
                        "constant": 0,
                        "zero_weights": 0,
                        "curve_layers": (SLUGS[1], SLUGS[4]),
                        "fired_once": (2, 0),
                    },
                    {
                        "curve_images": np.array([1, 2, 3]),
                        "curve_dead": np.array([[4.0, 2.5, 2.0], [3.0, 1.5, 1.0]]),
                    },
                    dead_tables,
                ),
            ),
            Section("frequencies", "Frequencies", "page", problem=f"ValueError: {HOSTILE}"),
            Section("entropy", "Entropy", "layer", problem="MemoryError: too large."),
        ),
    )


def pictures(value: object) -> dict[str, bytes]:
    """Every picture somewhere inside a record, by its path."""
    if isinstance(value, Pixels):
        return {value.path: value.content}
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    found = {}
    if isinstance(value, list | tuple):
        for item in value:
            found |= pictures(item)
    return found


def every_file(report: Report, pages: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """The site with what the store would add to the pages."""
    stored = {f"arrays/{section.name}.npz": b"" for section in report.sections}
    return {"report.json": b"{}"} | stored | pictures(report) | dict(pages)
