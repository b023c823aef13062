"""The site of a comparison: every link leads somewhere, and nothing depends on the machine."""

import dataclasses
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from reportgen.render.comparison import comparison_pages
from tests.compare.tiny import checkpoints
from tests.conftest import left_with
from tests.render.pictures import complaints
from tests.render.walk import Page


@pytest.fixture(scope="module")
def site(folders, root):
    """The comparison of three reports, beside them."""
    words = [folders[name] for name in ("a", "b", "c")]
    assert left_with("compare", *words, "-o", root / "line") == 0
    return root / "line"


@pytest.fixture(scope="module")
def pruned(folders, root):
    """The comparison with the narrower network."""
    assert left_with("compare", folders["a"], folders["narrow"], "-o", root / "pruned") == 0
    return root / "pruned"


def pages_of(folder: Path) -> dict[str, Page]:
    return {
        path: Page(path, (folder / path).read_text(encoding="utf-8"))
        for path in (page.relative_to(folder).as_posix() for page in folder.rglob("*.html"))
    }


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_pages_there_should_be(site, pruned):
    top = {"index.html", "layers.html", "images.html", "about.html"}
    made = set(pages_of(site))
    assert top | {"timeline.html", "layers/relu2.html", "layers/line.html"} <= made
    assert sum(path.startswith("images/") for path in made) == 9
    made = set(pages_of(pruned))
    assert top | {"layers/conv1.html"} <= made
    assert not {"timeline.html", "layers/conv2.html"} & made


@pytest.mark.parametrize("name", ["site", "pruned"])
def test_every_link_leads_somewhere_also_into_the_reports(name, request):
    folder = request.getfixturevalue(name)
    own, inside = pages_of(folder), 0
    for path, page in own.items():
        for target, anchor in page.links():
            place = folder / unquote(target)
            assert place.is_file(), f"{path} points to {target}, which is not there"
            if target.startswith("../"):
                inside += 1
                units = re.fullmatch(r"c=(\d+)", anchor)
                if units:
                    other = Page(target, place.read_text(encoding="utf-8"))
                    assert "activations" in other.ids
            elif anchor:
                assert anchor in own[target].ids, f"{path}: {target} has no #{anchor}"
    assert inside > 30


def test_the_rules_of_every_page(site, pruned):
    for folder in (site, pruned):
        for path, page in pages_of(folder).items():
            text = (folder / path).read_text(encoding="utf-8")
            assert len(text.encode()) <= 100_000, path
            assert len(page.ids) == len(set(page.ids)), path
            assert [len(page.all(tag)) for tag in ("main", "h1", "footer")] == [1] * 3, path
            levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
            assert all(after <= before + 1 for before, after in pairwise(levels)), path
            for _, attributes in page.tags:
                assert "style" not in attributes, path
                for name in ("aria-labelledby", "data-copy"):
                    assert name not in attributes or attributes[name] in page.ids, path
            assert all("src" in script for script in page.all("script")), path
            assert not re.search(r'(?:src|href)="(?:[a-z]+:|//)', text), path
            policy = [m for m in page.all("meta") if "http-equiv" in m]
            assert policy[0]["content"].startswith("default-src 'none'")
            for drawing in page.all("svg"):
                named = "aria-label" in drawing or drawing.get("aria-hidden") == "true"
                assert named or "chart" in drawing["class"], path


@pytest.mark.parametrize("name", ["site", "pruned"])
def test_every_picture_is_told(name, request):
    folder = request.getfixturevalue(name)
    pages = {page.name: page.read_text(encoding="utf-8") for page in folder.rglob("*.html")}
    assert {path: found for path, text in pages.items() if (found := complaints(text))} == {}


def test_every_table_has_its_csv(site):
    pages = pages_of(site)
    linked = {target for page in pages.values() for target, _ in page.links()}
    tables = {path for path in files_of(site) if path.endswith(".csv")}
    assert tables <= linked
    assert {"data/images.csv", "data/series.csv", "data/layers.conv1.csv"} <= tables


def test_no_folder_of_this_machine_in_any_file(site, root):
    for name, content in files_of(site).items():
        for folder in (root, Path.home()):
            assert str(folder).encode() not in content, name


def test_the_same_bytes_from_another_folder(site, root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.chdir(tmp_path)
    back = (
        Path("..") / root.relative_to(tmp_path.parent)
        if root.is_relative_to(tmp_path.parent)
        else root
    )
    words = [back / name for name in ("a", "b", "c")]
    assert left_with("compare", *words, "-o", root / "again") == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(root / "again")
    first, again = files_of(site), files_of(root / "again")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


def test_identical_twins_did_not_change(folders, root, tmp_path):
    shutil.copytree(folders["a"], root / "twin")
    assert left_with("compare", folders["a"], root / "twin", "-o", root / "same") == 0
    made = json.loads((root / "same" / "compare.json").read_text())
    assert made["verdict"].startswith("Nothing changed from a to twin")
    assert made["findings"] == made["differences"] == []
    zero = ["accuracy_drop", "answers_changed", "units_died", "weight_change", "dead_share_rise"]
    zero += ["activation_distance_max"]
    assert {made["metrics"][name] for name in zero} == {0}
    one = ["occlusion_correlation_min", "gradcam_correlation_min", "bytes_ratio"]
    assert {made["metrics"][name] for name in one} == {1}


def test_reports_elsewhere_are_named_without_a_link(folders, tmp_path):
    out = tmp_path / "far" / "out"
    assert left_with("compare", folders["a"], folders["b"], "-o", out) == 0
    for path, page in pages_of(out).items():
        for target, _ in page.links():
            assert not target.startswith(".."), path
            assert (out / target).is_file(), f"{path}: {target}"
    assert "named without a link" in (out / "index.html").read_text()
    made = json.loads((out / "compare.json").read_text())
    assert {subject["href"] for subject in made["subjects"]} == {""}


def test_names_that_are_hard_to_link_to(make, folders, root, tmp_path):
    name = "it's <b>#2<b> 50%"
    place = tmp_path / name / "report"
    shutil.copytree(folders["b"], place)
    shutil.copytree(folders["a"], tmp_path / "report")
    out = tmp_path / "out"
    assert left_with("compare", tmp_path / "report", place, "-o", out) == 0
    checked = 0
    for page in pages_of(out).values():
        assert name in page.text
        for target, _ in page.links():
            assert (out / unquote(target)).is_file(), target
            checked += "2%3Cb%3E" in target
    assert checked > 10
    names = [
        subject["name"] for subject in json.loads((out / "compare.json").read_text())["subjects"]
    ]
    assert names[1] == f"{name}/report"


def test_other_images_and_settings_are_said(make, folders, root):
    from tests.compare.tiny import write_images

    write_images(root / "others", count=12)
    (root / "others" / "cat" / "0.png").unlink()
    folder = make("more", checkpoints()["b"], "--occlusion-fill", "black", images="others")
    assert left_with("compare", folders["b"], folder, "-o", root / "mixed") == 0
    made = json.loads((root / "mixed" / "compare.json").read_text())
    assert made["images_only_a"] == ["cat/0.png"]
    assert len(made["images_only_b"]) == 3
    assert made["metrics"]["images_compared"] == 8 and not made["has_same_images"]
    assert any("8 are the same" in text for text in made["differences"])
    assert any("what the occluder is filled with" in text for text in made["differences"])
    occlusion = [m for i in made["images"] for m in i["maps"] if m["method"] == "occlusion"]
    assert occlusion and {m["spearman"] for m in occlusion} == {None}
    gradcam = [m["spearman"] for i in made["images"] for m in i["maps"] if m["method"] == "gradcam"]
    assert set(gradcam) - {None} == {1.0}
    assert made["metrics"]["weight_change"] == 0


def test_other_preprocessing_is_said_and_maps_are_not_compared(make, folders, root):
    folder = make("bright", checkpoints()["a"], "--mean", 0.4, "--std", 0.25)
    assert left_with("compare", folders["a"], folder, "-o", root / "prepared") == 0
    made = json.loads((root / "prepared" / "compare.json").read_text())
    assert any("prepared differently (mean)" in text for text in made["differences"])
    assert {m["spearman"] for i in made["images"] for m in i["maps"]} == {None}
    assert made["metrics"]["occlusion_correlation_min"] is None


def test_reports_without_weights_or_maps_are_compared_by_the_rest(make, folders, root):
    folder = make("bare", checkpoints()["b"], "--exclude", "weights,occlusion,gradcam,activations")
    assert left_with("compare", folders["a"], folder, folders["c"], "-o", root / "bare-line") == 0
    assert left_with("compare", folders["a"], folder, "-o", root / "bare-pair") == 0
    made = json.loads((root / "bare-pair" / "compare.json").read_text())
    assert made["metrics"]["weight_change"] is made["metrics"]["weight_change_max"] is None
    assert "weights-unknown" in {finding["kind"] for finding in made["findings"]}
    line = json.loads((root / "bare-line" / "compare.json").read_text())["timeline"]
    assert line["film"] is None and "in every report" in line["film_problem"]
    assert line["step_change"] == [None, None]
    for name in ("bare-line", "bare-pair"):
        for path, page in pages_of(root / name).items():
            for target, _ in page.links():
                assert (root / name / unquote(target)).is_file(), f"{path}: {target}"


def test_the_last_of_three_is_nowhere_called_b(compare):
    for path, content in comparison_pages(compare("a", "b", "c")):
        if path.endswith((".html", ".csv")):
            said = content.decode()
            for wrong in ("B minus A", "B - A", "B − A", "in B", "B divided by"):
                assert wrong not in said, path


def test_pages_stay_light_for_large_networks_and_many_reports(compare):
    made = compare("a", "b", "c")
    layers = tuple(
        dataclasses.replace(
            layer,
            title=f"features.denseblock{copy}.denselayer{copy}.{layer.title}",
            slug=f"features.denseblock{copy}.denselayer{copy}.{layer.slug}",
            died=tuple(range(100, 400)),
        )
        for copy in range(20)
        for layer in made.layers
    )
    subjects = made.subjects * 10
    line = made.timeline
    series = tuple(
        dataclasses.replace(
            one,
            title=f"features.denseblock{copy}.{one.title}",
            dead_share=one.dead_share * 10,
            zero_share=one.zero_share * 10,
            weight_norm=one.weight_norm * 10,
        )
        for copy in range(20)
        for one in line.layers
    )
    line = dataclasses.replace(
        line,
        accuracy=line.accuracy * 10,
        dead_share=line.dead_share * 10,
        zero_share=line.zero_share * 10,
        weight_norm=line.weight_norm * 10,
        step_change=(0.125,) * 29,
        layers=series,
        film=None,
        film_problem="Left out.",
    )
    large = dataclasses.replace(
        made, layers=layers, subjects=subjects, timeline=line, images=made.images * 8
    )
    sizes = {path: len(content) for path, content in comparison_pages(large)}
    pages = {path: size for path, size in sizes.items() if path.endswith(".html")}
    assert max(pages.values()) <= 100_000, max(pages, key=pages.__getitem__)
