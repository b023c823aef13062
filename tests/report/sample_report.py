"""A small report that uses every record, every kind of block and every kind of odd value."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from reportgen.report import blocks, records
from reportgen.report.arrays import Pixels

RANDOM = np.random.default_rng(7)


def grey(height, width, stem):
    return Pixels.of(RANDOM.integers(0, 255, (height, width), np.uint8), stem, gap=True)


def rgb(height, width, stem):
    return Pixels.of(RANDOM.integers(0, 256, (height, width, 3), np.uint8), stem)


def every_block():
    """One of each kind, by the name it has in a panel."""
    photo = blocks.Photo(rgb(5, 7, "seen-chelsea"), "a cat", "as the network saw it")
    ends = RANDOM.normal(size=(2, 6)).astype(np.float32)
    return {
        "table": blocks.Table(
            caption="Units",
            columns=(blocks.Column("Unit"), blocks.Column("Mean", "1", "over all positions")),
            rows=(
                (blocks.Link("7", "layers/conv1.html#c=7"), 0.25),
                ("<script>é\udcff", None),
                (True, 2**40),
                (0, 1.0),
            ),
            shown=3,
        ),
        "photo": photo,
        "image:chelsea": blocks.Atlas(
            pixels=grey(9, 11, "conv1-chelsea"),
            columns=3,
            count=6,
            tile_height=4,
            tile_width=3,
            full_height=8,
            full_width=6,
            low=ends[0],
            high=ends[1],
            labels=("0", "1"),
            order=(3, 1, 0, 2, 5, 4),
            signed=False,
            alt="maps",
            caption="maps of conv1",
        ),
        "strip": blocks.Strip(
            grey(1, 4, "fc"), np.array([0.5, np.nan, -np.inf, 2]), ((3, 2.0),), "fc", "outputs"
        ),
        "heat": blocks.Heatmap(
            values=RANDOM.normal(size=(2, 3)).astype(np.float16),
            title="drop",
            unit="probability",
            signed=True,
            over=photo,
            alt="map",
            caption="drop per position",
            window=(3, 4),
            stride=(2, 3),
            marks=np.array([[True, False, False], [False, False, True]]),
            maximum=0.75,
        ),
        "plain_heat": blocks.Heatmap(np.eye(2, 3), "t", "logit", False, None, "a", "c"),
        "histogram": blocks.Histogram((1, 0, 5), -1.5, 1.5, "activation", "all units"),
        "curves": blocks.Curves(
            ("conv1", "relu1"), (blocks.Curve("Zeros", "share", (None, 0.5), "zeros"),), "curves"
        ),
        "depth": blocks.MapStrip((("conv1", grey(3, 2, "mean"), -1.0, 2.0),), "depth", "mean maps"),
    }


def sample_report():
    """A report with two images, two layers and four sections."""
    drop = RANDOM.normal(size=(2, 3)).astype(np.float32)
    answers = np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::-1]
    occlusion = records.Panel(
        facts={
            "target": 281,
            "label": "tabby",
            "window": (32, 32),
            "baseline_probability": 0.5,
            "is_odd": False,
            "nothing": None,
            "labels": ("a", "b"),
        },
        arrays={"array": drop, "answers": answers},
        blocks={"probability": blocks.Heatmap(drop, "d", "probability", True, None, "a", "c")},
    )
    image = records.Image(
        slug="chelsea",
        path="cats/chelsea.png",
        sha256="ab" * 32,
        width=451,
        height=300,
        true_class=None,
        true_index=None,
        predictions=(records.Prediction(281, "tabby", 0.5, 11.25),),
        is_pictured=True,
        notes=("palette picture",),
        panels={"occlusion": occlusion, "blocks_of_all_kinds": records.Panel(blocks=every_block())},
    )
    layer = records.Layer(
        slug="features.0",
        name="features.0",
        call=1,
        type="Conv2d",
        kind="conv",
        inputs=(),
        output_shape=(64, 55, 56),
        parameters=1792,
        macs=10**12,
        receptive_field=records.ReceptiveField((11, 3), (4, 2), (-2, -1), False),
        units=64,
        zero_fraction=0.25,
        mean=-0.5,
        std=1.5,
        dead_filters=2,
        near_dead_filters=0,
        constant_filters=1,
        dead_units=(3, 5),
        panels={"activations": records.Panel(blocks=every_block())},
    )
    relu = dataclasses.replace(
        layer,
        slug="relu-2",
        name="relu",
        call=2,
        inputs=("features.0",),
        receptive_field=None,
        zero_fraction=None,
        dead_filters=None,
        panels={},
    )
    parameter = records.Parameter(
        name="features.0.weight",
        shape=(64, 3, 11, 3),
        mean=float("nan"),
        std=0.0,
        min=-1.0,
        max=1e-12,
        norm=3.0,
        zero_fraction=0.0,
        nonfinite=7,
        histogram=blocks.Histogram(tuple(range(50)), -1.0, 1.0, "", "weights"),
    )
    return records.Report(
        schema_version=records.SCHEMA_VERSION,
        title="squeezenet",
        verdict="Two filters are dead.",
        provenance=records.Provenance(
            "0.1.0", "reportgen build m.pth", (("torch", "2.15"),), (), "cpu", 16, 0
        ),
        model=records.Model(
            file="m.pth",
            sha256="cd" * 32,
            architecture="squeezenet1_1",
            architecture_source="recognised from keys and shapes",
            format="state_dict",
            dtype="float32",
            parameters=1235496,
            macs=349_000_000,
            classes=1000,
            labels_source="ImageNet",
            preprocessing=records.Preprocessing(
                224, 192, None, "bilinear", (0.5,), (0.25,), 1, "stated by flag", False
            ),
        ),
        accuracy=None,
        images=(image, dataclasses.replace(image, slug="b", is_pictured=False, panels={})),
        skipped=(records.SkippedImage("x.png", "cut short"),),
        layers=(layer, relu),
        parameters=(parameter,),
        findings=(records.Finding("warning", "dead-filters", "2 of 64.", "dead_filters.html"),),
        rules=(records.Rule("dead-filters", "never above zero", "zeiler2014"),),
        notes=("Preprocessing is assumed.",),
        choice="1 of 2 images has a page.",
        sections=(
            records.Section(
                "overview", "Overview", "index", records.Panel({"n": 1}, {"depths": np.arange(3)})
            ),
            records.Section("kernels", "Kernels", "layer", None, "it failed", ("zeiler2014",)),
        ),
    )


def assert_same_report(one, other):
    """Field by field; arrays by dtype, shape and value; NaN equals NaN; PNGs by their paths."""
    _assert_same(one, other, "report")


def _assert_same(one, other, where):
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray) and one.dtype == other.dtype, where
        np.testing.assert_array_equal(one, other, err_msg=where)
    elif isinstance(one, Pixels):
        assert one == other, where
    elif dataclasses.is_dataclass(one):
        assert type(one) is type(other), where
        for field in dataclasses.fields(one):
            name = field.name
            _assert_same(getattr(one, name), getattr(other, name), f"{where}.{name}")
    elif isinstance(one, Mapping):
        assert list(one) == list(other), where
        for key in one:
            _assert_same(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, tuple):
        assert isinstance(other, tuple) and len(one) == len(other), where
        for i, (left, right) in enumerate(zip(one, other, strict=True)):
            _assert_same(left, right, f"{where}[{i}]")
    elif isinstance(one, float) and one != one:
        assert isinstance(other, float) and other != other, where
    else:
        assert type(one) is type(other) and one == other, f"{where}: {one!r} != {other!r}"
