import io
import re

import numpy as np
import pytest
from PIL import Image

from reportgen.figures.curves import curves_figure
from reportgen.figures.files import figure_files, figure_path
from reportgen.report import records
from reportgen.report.blocks import Curve, Curves
from tests.report.sample_report import sample_report


def curves():
    return Curves(
        tuple(f"features.{i}" for i in range(30)),
        (
            Curve("Zeros", "share", tuple(i / 30 for i in range(30)), ""),
            Curve("Scale", "std", tuple(10.0 ** (i % 5) for i in range(30)), ""),
            Curve("Dead filters", "share", (None,) * 30, ""),
        ),
        "",
    )


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def test_every_curve_is_named_with_its_unit_and_layers_are_on_the_axis():
    found = texts(curves_figure(curves(), ("svg",))["svg"])
    assert {"Zeros (%)", "Scale (std)", "Dead filters (%)"} <= set(found)
    assert "features.0" in found and "features.28" in found and "features.1" not in found


@pytest.mark.parametrize("width", [None, 3.5])
@pytest.mark.parametrize("panels", [1, 3])
def test_panels_keep_their_room_beside_long_names(width, panels, recwarn):
    names = tuple(f"blocks.{i}.layers.0.attn_layer.window_partition" for i in range(30))
    found = curves_figure(Curves(names, curves().curves[:panels], ""), ("svg",), width=width)
    assert "…tn_layer.window_partition" in texts(found["svg"])
    # Axes without any height left are told by a warning, and are not laid out.
    assert not recwarn.list


def test_shares_are_percent_and_many_orders_are_on_a_log_scale():
    found = texts(curves_figure(curves(), ("svg",))["svg"])
    assert "100" in found and "10000" in found


def test_points_are_drawn_where_they_should_be():
    flat = Curves(("a", "b", "c"), (Curve("Zeros", "share", (0.0, 1.0, 0.0), ""),), "")
    png = curves_figure(flat, ("png",), width=4)["png"]
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    blue = np.argwhere(pixels[..., 2] - pixels[..., 0] > 80)
    top = blue[blue[:, 0] == blue[:, 0].min()]
    assert pixels.shape[1] == 1200
    assert abs(top[:, 1].mean() - (blue[:, 1].min() + blue[:, 1].max()) / 2) < 6


def test_the_same_curves_give_the_same_bytes_in_small_files():
    files = curves_figure(curves())
    assert files == curves_figure(curves())
    assert len(files["png"]) < 60_000


def test_every_heatmap_and_curve_of_a_report_becomes_three_files():
    report = sample_report()
    files = dict(figure_files(report))
    for subject, section, block, shows in (
        ("chelsea", "occlusion", "probability", ""),
        ("chelsea", "blocks_of_all_kinds", "heat", "score"),
        ("features.0", "activations", "curves", ""),
    ):
        for form, head in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
            assert files[figure_path(subject, section, block, form, shows=shows)].startswith(head)
    # Three heatmaps and one with a stated maximum on the image, two and one on the layer.
    assert len(files) == 3 * (3 + 1 + 1 + 2 + 1 + 1)


def test_the_classic_view_ends_at_the_clean_score_not_at_the_end_of_the_colours():
    panel = sample_report().images[0].panels["blocks_of_all_kinds"]
    panel = records.Panel(
        {"baseline_probability": 0.25, "label": "tabby"}, {}, {"heat": panel.blocks["heat"]}
    )
    section = records.Section("occlusion", "", "page", panel)
    report = records.Report(
        **{**vars(sample_report()), "images": (), "layers": (), "sections": (section,)}
    )
    files = dict(figure_files(report))
    assert {"probability (clean: 0.25)", "tabby: probability with a part hidden"} <= set(
        texts(files["figures/occlusion-heat-score.svg"])
    )


def test_names_of_figures():
    assert figure_path("", "overview", "curves", "svg") == "figures/overview-curves.svg"
