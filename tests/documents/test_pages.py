"""The documents lead somewhere, agree with the code, and are listed."""

import re

import pytest

from reportgen.analyses import ANALYSES
from tests.documents.commands import PAGES, ROOT
from tests.documents.methods_page import methods_page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.is_file(), f"{page.name} points to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)", place.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{page.name} points to {target}"


def test_every_page_is_in_the_list_of_pages():
    listed = (ROOT / "docs" / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in listed, page.name


def test_the_methods_are_those_of_the_page_about():
    is_same = (ROOT / "docs" / "methods.md").read_text("utf-8") == methods_page()
    assert is_same, "python -m tests.documents.methods_page > docs/methods.md"


def test_every_section_is_in_the_guide_for_readers():
    guide = (ROOT / "docs" / "reading-a-report.md").read_text("utf-8").lower()
    words = {
        "activations": "feature maps",
        "answers": "answer",
        "gradcam": "grad-cam",
        "gradient_flow": "gradient |",
        "gradients": "gradient, smoothgrad",
        "overview": "through the depth",
        "patches": "projections (deconvnet)",
        "redundancy": "look-alikes",
        "visualisation": "painted pictures",
    }
    for analysis in ANALYSES:
        name = words.get(analysis.name, analysis.name.replace("_", " "))
        assert f"| {name}" in guide, analysis.name


def test_pictures_of_the_readme_are_there_and_described():
    text = (ROOT / "README.md").read_text("utf-8")
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
    assert len(pictures) >= 6
    for words, file in pictures:
        assert len(words) > 30 and (ROOT / file).stat().st_size < 200_000
