"""`reportgen.Report`: what was made or loaded, by name, on disk, in a dict and in a notebook."""

import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import reportgen
from reportgen.errors import OptionError, OutputError
from tests.conftest import left_with
from tests.python.networks import LABELS, QUICK, pixels, small
from tests.render.sample_report import sample_report


@pytest.fixture(scope="module")
def saved(report: reportgen.Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "report"
    written = report.save(folder)
    assert written.folder == folder
    assert written.count == sum(path.is_file() for path in folder.rglob("*")) - 1
    return folder


def test_importing_is_cheap() -> None:
    code = (
        "import sys, reportgen; reportgen.build, reportgen.load, reportgen.probe\n"
        "heavy = {'torch', 'numpy', 'PIL', 'cattrs', 'jinja2', 'click'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_saved_report_is_read_without_torch(saved: Path) -> None:
    code = (
        "import sys, reportgen\n"
        "report = reportgen.load(sys.argv[1])\n"
        "report.layers['relu'].dead, report.checks('dead>99%'), report._repr_html_()\n"
        "report.compare(reportgen.load(sys.argv[1]))\n"
        "assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, str(saved)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_saving_loading_and_saving_again(
    report: reportgen.Report, saved: Path, tmp_path: Path
) -> None:
    loaded = reportgen.load(saved)
    assert loaded.to_dict() == report.to_dict() == json.loads((saved / "report.json").read_text())
    assert loaded.name == "report"
    loaded.save(tmp_path / "again")
    assert left_with("render", saved, "-o", tmp_path / "rendered") == 0
    names = {path.relative_to(saved) for path in saved.rglob("*") if path.is_file()}
    for name in names:
        content = (saved / name).read_bytes()
        assert (tmp_path / "again" / name).read_bytes() == content, name
        assert (tmp_path / "rendered" / name).read_bytes() == content, name


def test_layers_and_images_by_name(report: reportgen.Report) -> None:
    assert report.layers["relu#1"] is report.layers["relu"]
    assert report.layers["relu#2"].call == 2
    assert report.layers["relu-2"] is report.layers["relu#2"]
    assert report.layers["conv1"].dead is None
    assert list(report.layers)[:3] == ["conv1", "bn", "relu"]
    assert report.images["image-1"].true_class == LABELS[1]
    assert report.findings == report.record.findings
    assert "nothing" not in report.layers
    assert report.verdict in repr(report)


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("layers", "rleu", "There is no layer 'rleu'; did you mean relu or relu#2?"),
        ("layers", "head", "There is no layer 'head'; it holds head.0, head.1."),
        ("layers", "zzz", "There is no layer 'zzz'; there are conv1, bn, relu, conv2 and "),
        ("images", "image-9", "There is no image 'image-9'; did you mean image-"),
    ],
)
def test_a_name_that_is_not_there(
    report: reportgen.Report, kind: str, name: str, sentence: str
) -> None:
    with pytest.raises(KeyError) as problem:
        getattr(report, kind)[name]
    assert isinstance(problem.value, OptionError)
    assert str(problem.value).startswith(sentence)


def test_checks(report: reportgen.Report) -> None:
    rectified = [layer for layer in report.layers.values() if layer.dead is not None]
    share = sum(len(layer.dead or ()) for layer in rectified) / sum(x.units for x in rectified)
    tripped, passed = report.checks(f"dead>={share - 1e-9}", "images<5")
    assert (tripped.passed, passed.passed) == (False, True)
    assert tripped.value == pytest.approx(share)
    with pytest.raises(OptionError, match="the nearest is dead"):
        report.checks("ded>5%")
    with pytest.raises(OptionError, match="the section trust is not made"):
        report.checks("trust.steps>3")


def test_comparing(report: reportgen.Report, tmp_path: Path) -> None:
    net = small()
    with torch.no_grad():
        net.bn.bias[2] = 5.0
    images = [(image, index % 3) for index, image in enumerate(pixels())]
    options = {**QUICK, "sections": ["answers", "activations"], "labels": LABELS}
    after = reportgen.build(net, images, title="after", **options)
    before = reportgen.build(small(), images, title="before", **options)
    changed = before.compare(after, output=tmp_path / "changes")
    assert [subject.name for subject in changed.subjects] == ["before", "after"]
    born = {
        (name, unit)
        for name in ("relu", "relu#2")
        for unit in set(before.layers[name].dead or ()) - set(after.layers[name].dead or ())
    }
    assert ("relu", 2) in born
    assert changed.metrics["units_born"] == len(born)
    assert (tmp_path / "changes" / "compare.json").is_file()
    line = before.compare(after, before)
    assert line.timeline is not None
    assert [subject.name for subject in line.subjects] == ["before A", "after", "before C"]
    with pytest.raises(OptionError, match="takes one report or more"):
        before.compare()


def test_figures_are_those_of_the_command(
    report: reportgen.Report, saved: Path, tmp_path: Path
) -> None:
    only = ("--only", "*occlusion*")
    report.figures(tmp_path / "by-call", formats="svg", width="84mm", only=only[1:])
    words = ("figures", saved, "-o", tmp_path / "by-command", "--formats", "svg", "--width", "84mm")
    assert left_with(*words, *only) == 0
    made = sorted(path.name for path in (tmp_path / "by-command").rglob("*") if path.is_file())
    assert any(name.endswith(".svg") for name in made)
    for path in (tmp_path / "by-command").rglob("*.svg"):
        other = tmp_path / "by-call" / path.relative_to(tmp_path / "by-command")
        assert other.read_bytes() == path.read_bytes()


def test_in_one_file_as_well(report: reportgen.Report, tmp_path: Path) -> None:
    written = report.save(tmp_path / "site", single_file=tmp_path / "one.html")
    assert written.single == tmp_path / "one.html"
    assert report.verdict in (tmp_path / "one.html").read_text()
    with pytest.raises(OptionError, match="A site cannot take nan MB"):
        report.save(tmp_path / "site", budget_mb=float("nan"))
    with pytest.raises(OutputError, match="lies in the folder of the report"):
        report.save(tmp_path / "site", single_file=tmp_path / "site" / "one.html")


class Page(HTMLParser):
    """The text of a piece of HTML, and every tag of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags = "", []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_in_a_notebook(report: reportgen.Report) -> None:
    html = report._repr_html_()
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= {
        "section",
        "style",
        "p",
        "dl",
        "div",
        "dt",
        "dd",
        "ul",
        "li",
        "b",
        "img",
        "code",
    }
    assert not any(name.startswith("on") or name == "style" for _, a in page.tags for name in a)
    assert report.verdict in page.text
    assert all(finding.text in page.text for finding in report.findings[:3])
    assert LABELS[1] in page.text and LABELS[1] not in html
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4  # the photo and the occlusion map of each pictured image
    for image in images:
        form, _, content = image["src"].partition(",")
        assert form == "data:image/webp;base64" and image["alt"]
        assert max(Image.open(io.BytesIO(base64.b64decode(content))).size) == 112
    # All rules are scoped, so that they touch nothing else of the notebook.
    rules = re.findall(r"^([^{}\n]+) \{", html, re.MULTILINE)
    assert rules
    assert all(part.strip().startswith(".reportgen-report") for r in rules for part in r.split(","))


def test_a_notebook_stays_small_whatever_the_report_holds() -> None:
    record = sample_report()
    hostile = '"><script>alert(1)</script>' * 500
    finding = replace(record.findings[0], text=hostile)
    images = tuple(replace(image, path=hostile) for image in record.images if image.is_pictured)
    prediction = images[0].predictions[0]
    images = tuple(
        replace(image, predictions=(replace(prediction, label=hostile),) * 5) for image in images
    )
    record = replace(
        record, title=hostile, verdict=hostile, findings=(finding,) * 400, images=images * 40
    )
    html = reportgen.Report(record)._repr_html_()
    assert len(html.encode()) < 200_000
    assert "<script" not in html
    Page(html)
