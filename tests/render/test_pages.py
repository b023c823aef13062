import ast
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest

import reportgen.render
from reportgen.render.pages import pages
from reportgen.render.search import report_entries
from reportgen.render.site import LAYERS_PER_PAGE, PARAMETERS_PER_PAGE, Site
from reportgen.report.records import Finding
from tests.render.sample_report import HOSTILE, SLUGS, sample_report
from tests.render.walk import Page

KILO = 1000


@pytest.fixture(scope="module")
def parsed(html):
    return {path: Page(path, text) for path, text in html.items()}


def test_every_page_there_should_be(html, report):
    wanted = {"index.html", "about.html", "layers/index.html", "images/index.html"}
    wanted |= {"architecture.html", "weights.html", "dead_filters.html", "frequencies.html"}
    wanted |= {f"layers/{slug}.html" for slug in SLUGS}
    wanted |= {"images/chelsea.html", "images/night-sky.html"}
    assert set(html) == wanted


def test_class_activation_maps_say_what_they_are(html, site):
    made, missing = html["images/chelsea.html"], html["images/night-sky.html"]
    assert "the input of <a" in made and "strongest other class" in made
    # The map of the runner-up has no positive value; the others have.
    assert made.count("No positive evidence for ") == 1
    assert "disagree: trust neither" in made and "rank correlation −0.4 " in made
    assert "There is no map" in missing and "chelsea-gradcam" not in missing
    assert "figures/chelsea-gradcam-rival-overlay.png" in site
    assert "figures/chelsea-gradcam-gradcam.pdf" in site
    assert "figures/chelsea-gradcam-rival.pdf" not in site
    assert "number of positions, differs from it by up to 25 % of its largest value." in made


def test_gradients_over_the_depth_in_words(html):
    words = {0: "falls 8-fold,", 2: "falls to nothing,", 3: "grows 3-fold,", 4: "goes"}
    for index, way in words.items():
        page = html[f"layers/{SLUGS[index]}.html"]
        assert f" layers it {way} from 1 at the last, <a" in page
        assert "back to 0.125 at the first" in page
        assert ("7 slopes are NaN or infinite" in page) == (index in (2, 4))
    assert 'id="gradient_flow"' not in html[f"layers/{SLUGS[-1]}.html"]


def test_gradients_say_what_they_add_up_to_and_what_is_missing(html):
    made, missing = html["images/chelsea.html"], html["images/night-sky.html"]
    assert "add up to 7.5. The completeness gap is −0.5 (6.25 %: too much" in made
    assert "Guided backpropagation: no map.</b> act is SiLU" in made
    assert "Read guided backpropagation with care" not in made
    assert "No gradient reaches the image" in missing


def test_attention_says_whose_it_is_and_what_it_is_not(html, site):
    made, missing = html["images/chelsea.html"], html["images/night-sky.html"]
    assert "reaches the class token, which is what the answer reads" in made
    assert "It does not depend on the class" in made
    assert "All patches together make up 75 %" in made
    assert "the first 2 of 3 heads" in made and "spread over about 12 patches" in made
    assert "There is no rollout" in missing and "chelsea-attention" not in missing
    assert "figures/chelsea-attention-head_1-overlay.png" in site
    assert not [path for path in site if "attention" in path and path.endswith(".pdf")]


def test_same_report_same_bytes(report, site):
    again = dict(pages(sample_report()))
    assert again == {path: site[path] for path in again}


def test_every_link_and_anchor_resolves(parsed, site, report):
    units = {f"layers/{layer.slug}.html": layer.units for layer in report.layers}
    checked = 0
    for path, page in parsed.items():
        for target, anchor in page.links():
            assert target in site, f"{path} points to {target}, which is not there"
            if anchor.startswith(("c=", "i=")):
                given = parse_qs(anchor)
                assert int(given["c"][0]) < units[target], f"{path}: no unit for #{anchor}"
                if "i" in given:
                    assert f"i-{given['i'][0]}" in parsed[target].ids
            elif anchor and target in parsed:
                assert anchor in parsed[target].ids, f"{path}: {target} has no #{anchor}"
            checked += 1
    assert checked > 500


def test_every_figure_for_print_is_offered_on_a_page(parsed, site):
    linked = {target for page in parsed.values() for target, _ in page.links()}
    figures = {path for path in site if path.startswith("figures/") and path.endswith(".pdf")}
    assert "figures/overview-curves.pdf" in figures
    assert figures <= linked


def test_drawings_refer_to_filters_of_their_own_page(parsed, html):
    for path, page in parsed.items():
        for name in re.findall(r"url\(#([\w-]+)\)", html[path]):
            assert name in page.ids, f"{path}: no filter or gradient {name}"


def test_filters_of_the_style_sheet_stand_on_every_page(parsed, site):
    names = set(re.findall(r"url\(#([\w-]+)\)", site["assets/report.css"].decode()))
    assert names == {"grey", "viridis", "magma", "diverging", "cut", "fade", "fade-signed"}
    assert all(names <= set(page.ids) for page in parsed.values())


def test_ids_are_unique(parsed):
    for path, page in parsed.items():
        assert len(page.ids) == len(set(page.ids)), path


def test_references_by_id_resolve(parsed):
    for path, page in parsed.items():
        for _, attributes in page.tags:
            for name in ("aria-labelledby", "for", "data-copy"):
                if name in attributes:
                    assert attributes[name] in page.ids, f"{path}: {name}={attributes[name]}"


def test_nothing_comes_from_the_network(html, site):
    for path, text in html.items():
        loads = re.findall(r'(?:src|href|srcset|action|data)="([^"]*)"', text)
        assert not [url for url in loads if re.match(r"[a-z]+:|//", url)], path
    for name in ("assets/report.css", "assets/report.js"):
        outside = re.findall(r"https?://[\w.]+", site[name].decode())
        assert set(outside) <= {"http://www.w3.org"}, name
        assert "@import" not in site[name].decode()


def test_content_security_policy_is_obeyed(parsed):
    for path, page in parsed.items():
        policy = [m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert policy[0]["content"].startswith("default-src 'none'; img-src 'self' data:;")
        for tag, attributes in page.tags:
            assert tag != "style", path
            assert "style" not in attributes, f"{path}: <{tag} style>"
            assert not [name for name in attributes if name.startswith("on")], f"{path}: <{tag}>"
        assert all("src" in script for script in page.all("script")), path


def test_hostile_names_are_text(parsed, html):
    shown = 0
    for path, page in parsed.items():
        assert HOSTILE not in html[path], path
        assert len(page.all("script")) == (2 if re.match(r"layers/(?!index)", path) else 1), path
        shown += page.text.count(HOSTILE)
    assert shown > 50


def test_pages_are_light(html, site):
    for path, text in html.items():
        assert len(text.encode()) <= 100 * KILO, path
    assert len(site["assets/report.css"]) + len(site["assets/report.js"]) <= 40 * KILO


def test_every_page_has_its_landmarks(parsed):
    for path, page in parsed.items():
        assert page.all("html")[0]["lang"] == "en"
        assert [len(page.all(tag)) for tag in ("main", "h1", "footer")] == [1] * 3, path
        assert "title" in [tag for tag, _ in page.tags[: page.tags.index(("body", {}))]]
        assert page.all("a")[0] == {"class": "skip", "href": "#main"}
        current = [a for a in page.all("a") if a.get("aria-current") == "page"]
        assert current, path


def test_headings_skip_no_level(parsed):
    for path, page in parsed.items():
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
        for before, after in pairwise(levels):
            assert after <= before + 1, f"{path}: h{before}, h{after}"


def test_pictures_have_size_and_words(parsed):
    for path, page in parsed.items():
        for image in page.all("img"):
            assert {"alt", "width", "height"} <= image.keys(), path
            assert image["loading"] == "lazy"
        for drawing in page.all("svg"):
            is_named = "aria-label" in drawing or drawing.get("aria-hidden") == "true"
            assert is_named or "chart" in drawing["class"], f"{path}: {drawing}"


def test_tables_name_their_columns(parsed, report):
    page = parsed["layers/features.1.html"]
    statistics = report.layers[1].panels["activations"].blocks["statistics"]
    heads = [head for head in page.all("th") if head.get("scope") == "col"]
    others = report.layers[1].panels["patches"].blocks["strongest"]
    assert len(heads) == len(statistics.columns) + len(others.columns)
    hints = {head["title"] for head in heads if "title" in head}
    assert hints == {column.hint for column in statistics.columns}
    rows = [head for head in page.all("th") if head.get("scope") == "row"]
    assert len(rows) == len(statistics.rows) + len(others.rows)


def test_long_tables_are_cut_and_say_so(parsed):
    page = parsed["layers/features.4.html"]
    assert len([head for head in page.all("th") if head.get("scope") == "row"]) == 16 + 16
    assert "The first 16 of 2,048 rows; the CSV has all." in page.text


def test_failed_sections_keep_their_place(parsed):
    own = parsed["frequencies.html"].text
    assert "Frequencies could not be made." in own
    assert f"ValueError: {HOSTILE}" in own
    for slug in SLUGS:
        text = parsed[f"layers/{slug}.html"].text
        assert "Entropy could not be made." in text
        assert text.index("Activations") < text.index("Entropy could not be made.")


def test_no_evidence_does_not_look_like_evidence(parsed):
    assert "No evidence." in parsed["images/night-sky.html"].text
    assert "No evidence." not in parsed["images/chelsea.html"].text


def test_findings_stand_in_their_order_and_are_linked(parsed, html):
    text = parsed["index.html"].text
    order = [
        "1 of 12 units never fires",
        "night sky is wrong",
        "With 3 images",
        "Half of features.0",
    ]
    assert sorted(order, key=text.index) == order
    for href in ("layers/features.1.html#c=3", "images/night-sky.html#occlusion"):
        assert f'href="{href}"' in html["index.html"]


def test_crops_show_the_tile_they_name(parsed, report):
    """The view box of the most active channel's crop is where that channel's tile stands."""
    page = parsed["layers/features.0.html"]
    atlas = report.layers[0].panels["activations"].blocks["image:chelsea"]
    use = next(index for index, (tag, _) in enumerate(page.tags) if tag == "use")
    crop = page.tags[use - 1][1]
    best = int(np.argmax(atlas.high))
    assert next(a["href"] for a in page.all("a") if "#c=" in a["href"]) == f"#c={best}&i=chelsea"
    x, y, width, height = map(int, crop["viewbox"].split())
    picture = atlas.pixels.values()
    tile = picture[y : y + height, x : x + width]
    assert (height, width) == (24, 32)
    assert tile.min() == 0
    assert tile.max() == 254
    row, column = divmod(best, atlas.columns)
    assert (y, x) == (row * 25, column * 33)


def test_layer_script_holds_ranges_and_statistics(site, report):
    script = site["data/features.4.js"].decode()
    data = json.loads(script.removeprefix("window.layerData = ").removesuffix(";\n"))
    atlas = report.layers[5].panels["activations"].blocks["image:night-sky"]
    given = data["atlases"]["activations.image:night-sky"]
    np.testing.assert_allclose(given["low"], atlas.low, rtol=5e-5)
    np.testing.assert_allclose(given["high"], atlas.high, rtol=5e-5)
    assert given["labels"] == list(atlas.labels)
    assert (data["count"], data["shown"], len(data["rest"])) == (2048, 16, 2048 - 16)
    fired = [name for name, _ in data["columns"]].index("Fired on")
    assert [row.split("|")[fired] for row in data["rest"][:3]] == ["1", "2", "0"]


def test_tables_are_whole_in_csv(site, report):
    lines = site["data/activations.features.4.statistics.csv"].decode().splitlines()
    table = report.layers[5].panels["activations"].blocks["statistics"]
    assert len(lines) == 1 + 2048
    assert lines[0].startswith("Unit,Mean,Std,Min,Max,Above zero (share)")
    assert float(lines[5].split(",")[1]) == pytest.approx(table.rows[4][1], rel=1e-8)


def test_text_that_starts_like_a_formula_stays_text(report):
    from reportgen.report.blocks import Column, Table
    from reportgen.report.tables import table_csv

    table = Table("", (Column("Name"), Column("Value")), (("=1+1", -2.5), ("@x", None)))
    assert table_csv(table).decode() == "Name,Value\n'=1+1,-2.5\n'@x,\n"


def test_links_to_weights_find_their_page(report):
    many = tuple(
        replace(report.parameters[0], name=f"block{i}.weight")
        for i in range(PARAMETERS_PER_PAGE + 1)
    )
    site = Site(replace(report, parameters=many))
    assert site.href("weights.html#block0.weight", "index.html") == "weights.html#block0.weight"
    last = f"block{PARAMETERS_PER_PAGE}.weight"
    assert site.href(f"weights.html#{last}", "layers/a.html") == f"../weights-2.html#{last}"
    told = Finding("warning", "mostly-zero-weights", "All zero.", f"weights.html#{last}")
    site = Site(replace(report, parameters=many, findings=(told,)))
    assert next(report_entries(site)).href == f"weights-2.html#{last}"


def test_a_large_network_keeps_its_pages_light(report):
    """700 calls and 600 parameters, as the largest torchvision networks have."""
    names = [f"features.denseblock{i // 40}.denselayer{i}" for i in range(700)]
    model = report.layers[1]
    layers = tuple(
        replace(model, slug=f"{name}.relu1", name=f"{name}.relu1", inputs=()) for name in names
    )
    parameters = tuple(replace(report.parameters[0], name=f"{name}.weight") for name in names[:600])
    bare = tuple(replace(image, panels={}) for image in report.images)
    # Their curves are of the layers that were replaced.
    without = {"overview", "dead_filters"}
    sections = tuple(section for section in report.sections if section.name not in without)
    big = replace(report, layers=layers, parameters=parameters, images=bare, sections=sections)
    sizes = {path: len(content) for path, content in pages(big) if path.endswith(".html")}
    assert max(sizes.values()) <= 100 * KILO, max(sizes, key=sizes.get)
    assert {"weights-7.html", f"layers/index-{-(-700 // LAYERS_PER_PAGE)}.html"} <= sizes.keys()


def test_render_imports_no_torch_and_draws_nothing_itself():
    foreign = {"torch", "torchvision", "matplotlib", "seaborn", "PIL"}
    for file in Path(reportgen.render.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not foreign & {name.split(".")[0] for name in names}, file
