"""A made-up report with everything a page must cope with: odd sizes, hostile names, a failed section."""

import numpy as np
import dataclasses
from collections.abc import Iterable, Mapping


from reportgen.figures.mosaic import best_columns, levels, mosaic, signed_levels
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import (
    Atlas,
    Column,
    Curve,
    Curves,
    Heatmap,
    Histogram,
    Link,
    MapStrip,
    Photo,
    Strip,
    Table,
)
from reportgen.report.records import (
    SCHEMA_VERSION,
    Finding,
    Image,
    Layer,
    Model,
    Panel,
    Parameter,
    Prediction,
    Preprocessing,
    Provenance,
    ReceptiveField,
    Report,
    Rule,
    Section,
    SkippedImage,
)

HOSTILE = "</code><script>alert(1)</script>"
IMAGES = (("chelsea", f"{HOSTILE}.png"), ("night-sky", 'night "sky" & more.png'))
HEIGHT, WIDTH = 48, 64
RNG = np.random.default_rng(7)
# name, type, kind, units, height, width (0 for vectors)
LAYERS = (
    ("features.0", "Conv2d", "conv", 12, 24, 32),
    ("features.1", "ReLU", "activation", 12, 24, 32),
    (f"features.{HOSTILE}", "MaxPool2d", "pool", 12, 12, 16),
    ("features.3.squeeze", "Conv2d", "conv", 8, 12, 16),
    ("features.3.squeeze_activation", "ReLU", "activation", 8, 12, 16),
    ("features.4", "ReLU", "activation", 2048, 5, 7),
    ("classifier", "Linear", "linear", 10, 0, 0),
)
SLUGS = ("features.0", "features.1", "features.2", "features.3.squeeze") + (
    "features.3.squeeze_activation",
    "features.4",
    "classifier",
)


def blob(height: int, width: int, row: float, column: float, spread: float) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    distance = ((down / height - row) ** 2 + (across / width - column) ** 2) / spread
    return np.exp(-distance)


def photo(slug: str, name: str, what: str) -> Photo:
    shade = blob(HEIGHT, WIDTH, 0.4, 0.6, 0.06)
    rgb = np.stack([200 * shade + 20, 120 * shade + 60, 90 + 60 * (1 - shade)], axis=2)
    return Photo(Pixels.of(rgb.astype(np.uint8), f"{slug}-{what}"), f"{name}, {what}", f"{what}.")


def maps(index: int, image: int) -> np.ndarray:
    _, _, kind, units, height, width = LAYERS[index]
    made = np.stack(
        [
            (RNG.random() * 4 + 0.1) * blob(height, width, RNG.random(), RNG.random(), 0.02)
            for _ in range(units)
        ]
    )
    made += RNG.normal(0, 0.05, made.shape)
    if kind == "activation":
        made = np.maximum(made - 0.2, 0)
        made[3] = 0
    return made if kind != "conv" else made - 1


def atlas(index: int, slug: str, values: np.ndarray) -> Atlas:
    name, _, _, units, height, width = LAYERS[index]
    chosen = np.arange(min(units, 1024)) * (2 if units > 1024 else 1)
    tiles, low, high = levels(values[chosen])
    columns = best_columns(len(chosen), height, width)
    return Atlas(
        pixels=Pixels.of(mosaic(tiles, columns), f"{SLUGS[index]}-{slug}", gap=True),
        columns=columns,
        count=len(chosen),
        tile_height=height,
        tile_width=width,
        full_height=height,
        full_width=width,
        low=low,
        high=high,
        labels=tuple(str(unit) for unit in chosen) if units > 1024 else (),
        order=tuple(int(tile) for tile in np.argsort(-high, kind="stable")),
        signed=False,
        alt=f"{len(chosen)} feature maps of {name}",
        caption=f"{len(chosen)} feature maps of {name}, {height} x {width}.",
    )


def histogram(name: str) -> Histogram:
    counts = np.histogram(RNG.normal(0, 1, 4000), 50)[0]
    return Histogram(tuple(int(n) for n in counts), -3.2, 3.4, "", f"Values of {name}.")


def statistics(units: int, is_rectified: bool) -> Table:
    names = ("Unit", "Mean", "Std", "Min", "Max", "Above zero", "Zeros", "Fired on", "State")
    unit = {"Above zero": "share", "Zeros": "share", "Fired on": "images"}
    rows = tuple(
        (
            i,
            float(RNG.normal()),
            abs(float(RNG.normal())),
            -1e-5,
            12345678.0,
            0.25,
            0.5,
            i % 3,
            "dead" if is_rectified and i == 3 else "",
        )
        for i in range(units)
    )
    columns = tuple(Column(name, unit.get(name, ""), f"What {name} says.") for name in names)
    return Table("Each unit over 2 images, 35 values an image.", columns, rows)


def activations(index: int) -> Panel:
    name, _, kind, units, height, width = LAYERS[index]
    blocks = {}
    for number, (slug, _) in enumerate(IMAGES):
        if height:
            blocks[f"image:{slug}"] = atlas(index, slug, maps(index, number))
        else:
            values = RNG.normal(0, 2, units)
            row, _, _ = levels(values[None, None, :])
            top = tuple((int(i), float(values[i])) for i in np.argsort(-values)[:5])
            pixels = Pixels.of(row[0], f"{SLUGS[index]}-{slug}")
            blocks[f"image:{slug}"] = Strip(pixels, values, top, f"Units of {name}", "One bar a unit.")
    blocks["histogram"] = histogram(name)
    blocks["statistics"] = statistics(units, kind == "activation")
    facts = {
        "images": 2,
        "positions": max(height * width, 1),
        "is_averaged": False,
        "layout": "map" if height else "vector",
        "pictured": tuple(slug for slug, _ in IMAGES),
        "shown_units": min(units, 1024),
    }
    return Panel(facts, {}, blocks)


def kernels(index: int, channels: int) -> Panel:
    filters = LAYERS[index][3]
    weight = RNG.normal(0, 0.2, (filters, channels, 3, 5))
    tiles, limit = signed_levels(weight)
    ends = np.full(filters * channels, limit, np.float32)

    def picture(values: np.ndarray, columns: int, stem: str) -> Atlas:
        return Atlas(
            pixels=Pixels.of(mosaic(values, columns), f"{SLUGS[index]}-{stem}", gap=True),
            columns=columns,
            count=len(values),
            tile_height=3,
            tile_width=5,
            full_height=3,
            full_width=5,
            low=-ends[: len(values)],
            high=ends[: len(values)],
            labels=(),
            order=(),
            signed=True,
            alt=f"{len(values)} kernels",
            caption=f"{len(values)} kernels of 3 x 5.",
        )

    blocks = {"channels": picture(tiles.reshape(-1, 3, 5), channels, "kernels")}
    if channels == 3:
        blocks["rgb"] = picture(tiles.transpose(0, 2, 3, 1), 4, "rgb")
    facts = {
        "filters": filters,
        "channels": channels,
        "height": 3,
        "width": 5,
        "groups": 1,
        "symmetric_limit": limit,
        "shown_filters": filters,
        "shown_channels": channels,
        "filter_rows": tuple(range(filters)),
        "channel_columns": tuple(range(channels)),
        "clipped": 0,
    }
    return Panel(facts, {}, blocks)


def layers() -> tuple[Layer, ...]:
    made = []
    for index, (name, type_, kind, units, height, width) in enumerate(LAYERS):
        panels = {"activations": activations(index)}
        if kind == "conv":
            panels["kernels"] = kernels(index, 3 if index == 0 else 12)
        is_rectified = kind == "activation"
        made.append(
            Layer(
                slug=SLUGS[index],
                name=name,
                call=2 if index == 4 else 1,
                type=type_,
                kind=kind,
                inputs=SLUGS[index - 1 : index] if index else (),
                output_shape=(units, height, width) if height else (units,),
                parameters=0 if is_rectified else 1234 * units,
                macs=0 if is_rectified else 1_234_567 * units,
                receptive_field=ReceptiveField((7, 9), (2, 2), (-3, -4), index == 5) if height else None,
                units=units,
                zero_fraction=0.12345 * index,
                mean=0.5,
                std=1.25,
                dead_filters=1 if is_rectified else None,
                near_dead_filters=0 if is_rectified else None,
                constant_filters=0,
                dead_units=(3,) if is_rectified else (),
                panels=panels,
            )
        )
    return tuple(made)


def occlusion(seen: Photo, is_evident: bool) -> Panel:
    size = 0.6 if is_evident else 0.0004
    drop = size * (blob(5, 7, 0.4, 0.6, 0.05) - 0.1).astype(np.float32)
    flips = drop > 0.4

    def heat(values: np.ndarray, unit: str) -> Heatmap:
        return Heatmap(
            values=values,
            title=f"Drop in {unit}",
            unit=unit,
            signed=True,
            over=seen,
            alt=f"Occlusion map in {unit}; the largest drop is upper right.",
            caption=f"Clean minus occluded {unit} at 5 x 7 positions.",
            window=(16, 16),
            stride=(8, 8),
            marks=flips,
            maximum=0.87 if unit == "probability" else None,
        )

    facts = {
        "target": 3,
        "label": f"tabby {HOSTILE}",
        "target_source": "true class",
        "window": (16, 16),
        "stride": (8, 8),
        "fill": "mean",
        "baseline_probability": 0.87,
        "baseline_logit": 9.25,
        "positions": 35,
        "flips": int(flips.sum()),
        "peak_row": 2,
        "peak_column": 4,
        "peak_drop": float(drop.max()),
        "peak_logit_drop": 3.5,
        "peak_place": "upper right",
        "has_evidence": is_evident,
    }
    arrays = {"array": drop, "logit_array": drop * 6, "answers": flips.astype(np.int64)}
    blocks = {"probability": heat(drop, "probability"), "logit": heat(drop * 6, "logit")}
    return Panel(facts, arrays, blocks)


def images() -> tuple[Image, ...]:
    made = []
    for number, (slug, path) in enumerate(IMAGES):
        seen = photo(slug, path, "seen")
        depth = []
        for index, (_, _, _, units, height, width) in enumerate(LAYERS):
            if height:
                row, low, high = levels(blob(height, width, 0.4, 0.5, 0.05 / (index + 1))[None])
                depth.append((SLUGS[index], Pixels.of(row[0], f"{SLUGS[index]}-{slug}-mean"), float(low[0]), float(high[0])))
        blocks = {
            "seen": seen,
            "file": photo(slug, path, "file"),
            "depth": MapStrip(tuple(depth), "Mean maps", "Mean over channels."),
        }
        predictions = tuple(
            Prediction(index, f"class {index} {HOSTILE}", 0.87 / 3**rank, 9.25 - rank)
            for rank, index in enumerate((3, 1, 4, 0, 2))
        )
        made.append(
            Image(
                slug=slug,
                path=path,
                sha256=f"{number:064x}",
                width=640,
                height=480,
                true_class="class 3" if number == 0 else None,
                true_index=3 if number == 0 else None,
                predictions=predictions,
                is_pictured=True,
                notes=("transparency on white",) if number else (),
                panels={
                    "answers": Panel(
                        {"target_rank": 1 if number == 0 else None, "true_probability": 0.87 if number == 0 else None}, {}, blocks
                    ),
                    "occlusion": occlusion(seen, is_evident=number == 0),
                },
            )
        )
    unpictured = Image("other", f"other {HOSTILE}.png", "f" * 64, 10, 20, None, None, (), False)
    return (*made, unpictured)


def sample_report() -> Report:
    """The same report, bit for bit, on every call."""
    global RNG
    RNG = np.random.default_rng(7)
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
            Curve("Dead filters", "share", (None, 0.1, None, None, 0.2, 0.0, None), "Share of dead units."),
            Curve("Activation scale", "std", values, "Standard deviation."),
            Curve("Receptive field", "px", (3.0, 3.0, 5.0, 7.0, 7.0, 60.0, None), "Larger side."),
        ),
        "Four curves over 7 layers.",
    )
    link = Link(layer_records[1].title, "layers/features.1.html#c=3")
    dead_tables = {
        "layers": Table("Per layer.", (Column("Layer"), Column("Units"), Column("Dead share", "share")), ((link, 12, 1 / 12),)),
        "units": Table("Per unit.", (Column("Unit"), Column("Kind"), Column("Fired on", "images")), ((link, "dead", 0),)),
        "images": Table("Per image.", (Column("Layer"), Column("chelsea", "silent")), ((link, 3),)),
    }
    architecture = Table(
        "Layers in execution order.",
        (Column("Layer"), Column("Type"), Column("Output shape"), Column("MACs")),
        tuple((Link(l.title, f"layers/{l.slug}.html"), l.type, " x ".join(map(str, l.output_shape)), l.macs) for l in layer_records),
    )
    weights = Table(
        "Every parameter.",
        (Column("Parameter"), Column("Mean"), Column("Zeros", "share")),
        tuple((Link(p.name, "weights.html#features.0.bias"), p.mean, p.zero_fraction) for p in parameters),
    )
    return Report(
        schema_version=SCHEMA_VERSION,
        title=f"squeezenet {HOSTILE}",
        verdict="squeezenet, 1.24 M parameters, 349 MMAC, 3 images: 1 error and 1 warning; 3 of 2,068 rectified filters never fire on these 3 images.",
        provenance=Provenance("0.1.0", f"reportgen build model.pth '{HOSTILE}'", (("python", "3.11"), ("torch", "2.15")), (("occlusion_fill", "mean"),), "cpu", 16, 0),
        model=Model("model.pth", "ab" * 32, "squeezenet1_1", "recognised from keys and shapes", "state_dict", "float16", 1_235_496, 349_151_936, 10, "folder names", Preprocessing(HEIGHT, WIDTH, 56, "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 3, "published with torchvision's weights", False)),
        accuracy=1.0,
        images=images(),
        skipped=(SkippedImage(f"broken {HOSTILE}.png", "The file ends too early."),),
        layers=layer_records,
        parameters=parameters,
        findings=(
            Finding("info", "few-images", "With 3 images, dead is a weak claim.", "dead_filters.html"),
            Finding("error", "dead-filters", f"features.1 {HOSTILE}: 1 of 12 units never fires.", "layers/features.1.html#c=3"),
            Finding("warning", "confident-mistakes", "night sky is wrong.", "images/night-sky.html#occlusion"),
            Finding("info", "mostly-zero-weights", "Half of features.0.weight is zero.", "weights.html#features.0.weight"),
        ),
        rules=(Rule("dead-filters", "More than 5 % of a layer's units never fire.", "Hanley 1983."),),
        notes=("Class names are folder names.", f"The prefix {HOSTILE} was removed."),
        sections=(
            Section("overview", "Through the depth", "index", Panel({}, {}, {"curves": curves})),
            Section("architecture", "Architecture", "page", Panel({"parameters": 1_235_496, "macs": 349_151_936, "calls": 7}, {}, {"table": architecture})),
            Section("activations", "Activations", "layer"),
            Section("kernels", "Kernels", "layer"),
            Section("weights", "Weights", "page", Panel({"parameters": 4, "values": 22_000, "zeros": 2_750, "nonfinite": 0}, {}, {"table": weights})),
            Section("answers", "Predictions", "image"),
            Section("occlusion", "Occlusion", "image", references=("Zeiler, Fergus, 2014.",)),
            Section("dead_filters", "Dead filters", "page", Panel({"images": 3, "firing_bound": 1.0, "units": 2068, "dead": 3, "near_dead": 0, "constant": 0, "zero_weights": 0}, {}, dead_tables)),
            Section("frequencies", "Frequencies", "page", problem=f"ValueError: {HOSTILE}"),
            Section("attention", "Attention", "layer", problem="MemoryError: too large."),
        ),
    )


def pictures(value: object) -> dict[str, bytes]:
    """Every picture somewhere inside a record, by its path."""
    if isinstance(value, Pixels):
        return {value.path: value.png}
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
    stored = {"report.json": b"{}", "arrays/occlusion.npz": b""}
    return stored | pictures(report) | dict(pages)
