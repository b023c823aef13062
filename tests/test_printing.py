"""`reportgen figures`: everything that a paper takes, in one folder."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen.errors import OutputError
from reportgen.figures.files import figures_of
from reportgen.figures.offers import offers
from reportgen.printing import formats_in, inches_in, write_figures
from reportgen.report.store import load_report, stored
from tests.conftest import left_with
from tests.figures.pdf_reader import media_box
from tests.papers.latex_reader import entries_in, table_in
from tests.render.sample_report import HOSTILE, sample_report

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A saved report with hostile names."""
    place = tmp_path_factory.mktemp("saved") / "report"
    for path, content in stored(sample_report()):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    return place


@pytest.fixture(scope="module")
def figures(folder):
    """All of its usual figures, as SVG."""
    output = folder.parent / "figs"
    write_figures(folder, output, "svg", "84mm")
    return output


def names_in(output):
    return {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}


def listed(output):
    return list(csv.DictReader(io.StringIO((output / "figures.csv").read_text())))


def test_every_figure_has_its_file_its_words_and_its_data(figures):
    rows = listed(figures)
    assert len(rows) > 20
    names = names_in(figures)
    for row in rows:
        assert f"{row['figure']}.svg" in names and row["data"] in names and row["shows"]
    assert {name.removesuffix(".svg") for name in names if name.endswith(".svg")} == {
        row["figure"] for row in rows
    }


@pytest.mark.parametrize(
    "name",
    [
        "overview-curves",
        "architecture-curves",
        "gradient_flow-curves",
        "dead_filters-curve",
        "chelsea-occlusion-probability",
        "chelsea-occlusion-probability-score",
        "chelsea-occlusion-probability-side_by_side",
        "chelsea-gradcam-gradcam-side_by_side",
        "chelsea-attention-rollout-side_by_side",
        "chelsea-gradients-maps",
        "features.0-kernels-rgb",
        "features.0-kernels-channels",
        "features.0-weights-histograms",
        "features.4-activations-chelsea",
        "features.3.squeeze_activation-patches-units",
    ],
)
def test_what_a_paper_wants_is_there(figures, name):
    assert (figures / f"{name}.svg").is_file()


def test_figures_beside_the_pages_are_among_them(folder, figures):
    report = load_report(folder, pictures=True)
    beside = {item.stem.removeprefix("figures/") for item in figures_of(report)}
    assert beside <= {offer.name for offer in offers(report)}


def test_no_two_figures_share_a_name(folder):
    names = [offer.name for offer in offers(load_report(folder, pictures=True))]
    assert len(names) == len(set(names))


def array_of(output, name, key):
    return np.load(output / f"data/{name}.npz")[key]


def test_data_are_those_of_the_report(folder, figures):
    report = load_report(folder, pictures=True)
    image = report.images[0]
    drop = image.panels["occlusion"].arrays["array"]
    name = "chelsea-occlusion-probability"
    np.testing.assert_array_equal(array_of(figures, name, "values"), drop)
    np.testing.assert_array_equal(array_of(figures, f"{name}-side_by_side", "values"), drop)
    left = array_of(figures, f"{name}-score", "values")
    np.testing.assert_allclose(left, 0.87 - drop, rtol=1e-6)
    rows = list(csv.reader(io.StringIO((figures / "data/dead_filters-curve.csv").read_text())))
    panel = next(s.panel for s in report.sections if s.name == "dead_filters")
    columns = np.array(rows[1:], float).T
    np.testing.assert_allclose(columns[0], panel.arrays["curve_images"])
    np.testing.assert_allclose(columns[2:], panel.arrays["curve_dead"])
    rows = list(csv.reader(io.StringIO((figures / "data/architecture-curves.csv").read_text())))
    assert [row[0] for row in rows[1:]] == [layer.slug for layer in report.layers]
    assert float(rows[1][1]) == report.layers[0].parameters


def test_maps_are_the_strongest_of_the_layer(folder, figures):
    report = load_report(folder, pictures=True)
    layer = next(one for one in report.layers if one.slug == "features.4")
    block = layer.panels["activations"].blocks["image:chelsea"]
    units = array_of(figures, "features.4-activations-chelsea", "units")
    maps = array_of(figures, "features.4-activations-chelsea", "maps")
    order = list(block.order[: len(units)])
    assert units.tolist() == [int(block.labels[at]) for at in order]
    # One literal tile, cut from the picture.
    at, (h, w) = order[1], (block.tile_height, block.tile_width)
    top, left = at // block.columns * (h + 1), at % block.columns * (w + 1)
    picture = np.asarray(Image.open(io.BytesIO(block.pixels.content)))
    levels = picture[top : top + h, left : left + w].astype(float)
    expected = block.low[at] + levels / 254 * (block.high[at] - block.low[at])
    np.testing.assert_allclose(maps[1], expected, rtol=1e-5, atol=1e-6)


def test_kernels_are_those_of_their_picture(folder, figures):
    report = load_report(folder, pictures=True)
    panel = report.layers[0].panels["kernels"]
    weights = array_of(figures, "features.0-kernels-channels", "weights")
    assert weights.shape == (12, 3, 3, 5)
    picture = np.asarray(Image.open(io.BytesIO(panel.blocks["channels"].pixels.content)))
    # Filter 7, channel 2: row 7 and column 2 of tiles of 3 x 5.
    levels = picture[7 * 4 : 7 * 4 + 3, 2 * 6 : 2 * 6 + 5].astype(float)
    limit = panel.facts["symmetric_limit"]
    np.testing.assert_allclose(weights[7, 2], (levels - 127) / 127 * limit, rtol=1e-5)
    colours = array_of(figures, "features.0-kernels-rgb", "weights")
    np.testing.assert_allclose(colours, weights, rtol=1e-6)


def test_tables_references_methods_and_card_are_written(figures):
    tables = {path.stem: table_in(path.read_text()) for path in (figures / "tables").iterdir()}
    assert set(tables) == {"architecture", "predictions", "dead_filters", "parameters"}
    assert tables["architecture"].rows[3][0] == f"features.{HOSTILE}"
    assert tables["architecture"].rows[-1][3] == "1,235,496"
    answers = tables["predictions"].rows[1]
    assert answers[:3] == [f"{HOSTILE}.png", "class 3", f"class 3 {HOSTILE}"]
    assert answers[3] == "0.870"
    assert tables["dead_filters"].rows[-1] == ["Total", "2,068", "3", "0", "0", "0.145"]
    assert len(tables["parameters"].rows) == 1 + 4
    assert "adebayo2018" in entries_in((figures / "cite.bib").read_text())
    methods = (figures / "methods.txt").read_text()
    assert "ab" * 32 in methods and "torch 2.15" in methods and "f" * 64 in methods
    card = (figures / "model-examination.md").read_text()
    assert card.startswith("## Model Examination\n") and "REPORT_URL" in card
    assert "<script>" not in card and "1 of 12 units never fires" in card


def test_the_folder_is_replaced_only_as_long_as_it_is_ours(folder, figures, tmp_path):
    again = write_figures(folder, tmp_path / "figs", "svg", only=["overview-*"])
    assert again.figures == 1 and again.left == 0
    write_figures(folder, tmp_path / "figs", "png", only=["overview-*"])
    assert not (tmp_path / "figs/overview-curves.svg").exists()
    (tmp_path / "figs/overview-curves.png").write_bytes(b"edited")
    with pytest.raises(OutputError, match="changed since"):
        write_figures(folder, tmp_path / "figs", "png", only=["overview-*"])
    assert (tmp_path / "figs/overview-curves.png").read_bytes() == b"edited"
    write_figures(folder, tmp_path / "figs", "png", only=["overview-*"], force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years of work")
    assert left_with("figures", folder, "-o", tmp_path / "mine") == 6
    assert left_with("figures", folder, "-o", folder) == 6
    assert left_with("figures", folder, "-o", folder / "figures") == 6
    assert names_in(tmp_path / "mine") == {"thesis.tex"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--formats", "pdf,eps"), "--formats takes pdf, svg, png"),
        (("--formats", ","), "none was given"),
        (("--width", "wide"), "--width takes a length such as 3.25in"),
        (("--width", "5mm"), "figures are 2 to 20 in wide"),
        (("--only", "chelsea-oclusion-probability"), "near it are chelsea-occlusion-probability"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(folder, tmp_path, capsys, words, says):
    assert left_with("figures", folder, "-o", tmp_path / "figs", *words) == 2
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1
    assert not (tmp_path / "figs").exists()


def test_a_folder_without_a_report_is_refused(tmp_path, capsys):
    assert left_with("figures", tmp_path / "nothing", "-o", tmp_path / "figs") == 2
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("length", "inches"),
    [("3.25in", 3.25), ("84 mm", 84 / 25.4), ("8.4cm", 84 / 25.4), ("240pt", 240 / 72.27), (4, 4)],
)
def test_lengths(length, inches):
    assert inches_in(length) == pytest.approx(inches)


def test_formats_are_taken_once_in_their_order():
    assert formats_in(" PNG,svg,png") == ("png", "svg") == formats_in(["png", "svg"])


def test_the_width_is_that_of_the_file(folder, tmp_path):
    names = ["overview-*", "chelsea-occlusion-*"]
    write_figures(folder, tmp_path / "figs", "pdf", "84mm", only=names)
    files = list((tmp_path / "figs").glob("*.pdf"))
    assert len(files) == 5
    for file in files:
        assert media_box(file.read_bytes())[0] == pytest.approx(72 * 84 / 25.4, abs=0.01)


def test_the_same_bytes_twice_and_in_other_processes(folder, tmp_path):
    names = ("chelsea-occlusion-*", "features.0-activations-chelsea", "overview-curves")
    words = ("figures", folder, *(word for name in names for word in ("--only", name)))
    assert left_with(*words, "-o", tmp_path / "one") == 0
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "reportgen", *map(str, words), "-o", str(tmp_path / "two")]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL)
    first, second = (
        json.loads((tmp_path / name / ".reportgen").read_text())["files"] for name in ("one", "two")
    )
    assert first == second and len(first) > 20


def test_a_report_in_memory_does_as_well_and_so_does_an_empty_one(figures, tmp_path):
    report = sample_report()
    made = write_figures(report, tmp_path / "figs", ["svg"], "84mm", only=["dead_filters-*"])
    assert made.figures == len(listed(tmp_path / "figs")) == 1
    name = "dead_filters-curve.svg"
    assert (tmp_path / "figs" / name).read_bytes() == (figures / name).read_bytes()
    empty = replace(report, images=(), layers=(), parameters=(), sections=(), findings=())
    made = write_figures(empty, tmp_path / "none", ["svg"], 3.5)
    assert made.figures == 0
    assert "No rule was broken" in (tmp_path / "none/model-examination.md").read_text()
