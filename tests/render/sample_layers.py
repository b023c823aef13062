"""Made-up layers: non-square, one of 2048 units, one without maps, dead units, a hostile name."""

import numpy as np

from reportgen.figures.mosaic import best_columns, levels, mosaic, signed_levels
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Atlas, Column, Histogram, Strip, Table
from reportgen.report.records import Layer, Panel, ReceptiveField
from tests.render.sample_patches import patches

HOSTILE = "</code><script>alert(1)</script>"
IMAGES = (("chelsea", f"{HOSTILE}.png"), ("night-sky", 'night "sky" & more.png'))
HEIGHT, WIDTH = 48, 64
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
SLUGS = (
    "features.0",
    "features.1",
    "features.2",
    "features.3.squeeze",
    "features.3.squeeze_activation",
    "features.4",
    "classifier",
)


def blob(height: int, width: int, row: float, column: float, spread: float) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    distance = ((down / height - row) ** 2 + (across / width - column) ** 2) / spread
    return np.exp(-distance)


def maps(index: int, image: int) -> np.ndarray:
    _, _, kind, units, height, width = LAYERS[index]
    rng = np.random.default_rng([index, image])
    made = np.stack(
        [
            (rng.random() * 4 + 0.1) * blob(height, width, rng.random(), rng.random(), 0.02)
            for _ in range(units)
        ]
    )
    made += rng.normal(0, 0.05, made.shape)
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
    rng = np.random.default_rng(len(name))
    counts = np.histogram(rng.normal(0, 1, 4000), 50)[0]
    return Histogram(tuple(int(n) for n in counts), -3.2, 3.4, "", f"Values of {name}.")


def statistics(units: int, is_rectified: bool) -> Table:
    rng = np.random.default_rng(units)
    names = ("Unit", "Mean", "Std", "Min", "Max", "Above zero", "Zeros", "Fired on", "State")
    unit = {"Above zero": "share", "Zeros": "share", "Fired on": "images"}
    rows = tuple(
        (
            i,
            float(rng.normal()),
            abs(float(rng.normal())),
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
    # As many as a report shows of so wide a layer.
    shown = 64 if units <= 512 else 16
    return Table("Each unit over 2 images, 35 values an image.", columns, rows, shown)


def activations(index: int) -> Panel:
    rng = np.random.default_rng(index)
    name, _, kind, units, height, width = LAYERS[index]
    blocks = {}
    for number, (slug, _) in enumerate(IMAGES):
        if height:
            blocks[f"image:{slug}"] = atlas(index, slug, maps(index, number))
        else:
            values = rng.normal(0, 2, units)
            row, _, _ = levels(values[None, None, :])
            top = tuple((int(i), float(values[i])) for i in np.argsort(-values)[:5])
            pixels = Pixels.of(row[0], f"{SLUGS[index]}-{slug}")
            blocks[f"image:{slug}"] = Strip(
                pixels, values, top, f"{units} units of {name}", "One bar a unit."
            )
    blocks["histogram"] = histogram(name)
    blocks["statistics"] = statistics(units, kind == "activation")
    facts = {
        "images": 2,
        "positions": max(height * width, 1),
        "other_tokens": 1 if height else 0,
        "is_averaged": False,
        "layout": "map" if height else "vector",
        "pictured": tuple(slug for slug, _ in IMAGES),
        "shown_units": min(units, 1024),
    }
    return Panel(facts, {}, blocks)


def kernels(index: int, channels: int) -> Panel:
    rng = np.random.default_rng(channels)
    filters = LAYERS[index][3]
    weight = rng.normal(0, 0.2, (filters, channels, 3, 5))
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


RATIOS = {0: 0.125, 2: 0.0, 3: 3.0, 4: None}
"How the gradient fares, on the pages of these layers."


def gradient_flow(ratio: float | None) -> Panel:
    sizes = (0.25, None)
    facts = {
        "score": "logit",
        "images": tuple(slug for slug, _ in IMAGES),
        "targets": ("class 3", HOSTILE),
        "values": 1234,
        "mean_absolute": 0.25,
        "mean_absolute_by_image": sizes,
        "norm": 2.5,
        "norm_by_image": sizes,
        "zero_fraction": 0.5,
        "nonfinite": 0 if ratio else 7,
        "first_layer": SLUGS[0],
        "first_norm": 0.125,
        "last_layer": SLUGS[-1],
        "last_norm": 1.0,
        "ratio": ratio,
    }
    histogram = Histogram((1, 5, 2), -1.0, 1.0, "", "All 8 finite slopes over 2 images.")
    return Panel(facts, {}, {"histogram": histogram})


def layers() -> tuple[Layer, ...]:
    made = []
    for index, (name, type_, kind, units, height, width) in enumerate(LAYERS):
        panels = {"activations": activations(index)}
        if kind == "conv":
            panels["kernels"] = kernels(index, 3 if index == 0 else 12)
        if index in RATIOS:
            panels["gradient_flow"] = gradient_flow(RATIOS[index])
        is_rectified = kind == "activation"
        if height:
            panels["patches"] = patches(SLUGS[index], units, len(IMAGES), is_rectified, index == 4)
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
                receptive_field=ReceptiveField((7, 9), (2, 2), (-3, -4), index == 5)
                if height
                else None,
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
