"""What no template may do, whatever a report holds: read from the sources, not the output."""

import re
from pathlib import Path

import pytest

from reportgen.render.environment import environment, template_folder

TEMPLATES = sorted(template_folder().rglob("*.jinja"))
PACKAGE = Path(__file__).parent.parent.parent / "reportgen"

_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_STATEMENT, _VALUE = "▫", "◦"
_TAG = re.compile(r"<([a-z][a-z0-9-]*)((?:[^<>\"]|\"[^\"]*\")*)>", re.IGNORECASE)
_ATTRIBUTES = re.compile(rf'([\s{_STATEMENT}]+([\w:-]+(="[^"]*")?)?)*/?')
MADE = {
    "render/filters.py",  # rows of tables, each cell escaped; names with places to break
    "render/drawings.py",  # drawings of `figures`, which escape what they are given
    "render/comparison.py",  # the same
    "render/single.py",  # pages that were rendered, taken apart
}
"Where text is declared to be HTML; `tests/browser/test_payloads.py` opens what they give."


def tags_of(source: str) -> list[tuple[str, str]]:
    """Name and attributes of every tag, with signs in the place of what Jinja puts there."""
    plain = _JINJA.sub(lambda found: _VALUE if found[0][1] == "{" else _STATEMENT, source)
    return [(found[1], found[2]) for found in _TAG.finditer(plain)]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_lets_no_text_out_of_its_place(template: Path) -> None:
    source = template.read_text(encoding="utf-8")
    for name, attributes in tags_of(source):
        assert _ATTRIBUTES.fullmatch(attributes), f"unquoted: <{name}{attributes}>"
        assert not re.search(r"\son\w+\s*=", attributes, re.IGNORECASE), f"handler: <{name}>"
        assert not re.search(r"\b(style|srcdoc|formaction)=", attributes), f"{name}: {attributes}"
    assert not re.search(r"\|\s*safe\b|autoescape|Markup|\|\s*xmlattr", source)
    assert not re.search(r"https?:|//[a-z]", _JINJA.sub("", source), re.IGNORECASE)
    for expression in re.findall(r'\s(?:href|src)="\{\{\s*(.*?)\s*\}\}', source):
        # `to` makes what leads somewhere on this site; the others are pictures and known places.
        assert re.match(r"to\(|leads_to$|icon$|picture\.address$", expression), expression


def test_the_lint_sees_what_it_should() -> None:
    wrong = (
        "<a href={{ x }}>",
        "<a {{ x }}={{ y }}>",
        "<a title=x>",
        "<a title='{{ x }}'>",
        "<a{{ x }}>",
    )
    for source in wrong:
        ((_, attributes),) = tags_of(source)
        assert not _ATTRIBUTES.fullmatch(attributes), source
    right = ('<a href="{{ x }}#c">', '<p{% if a %} class="b"{% endif %}>', "<hr>", '<i a="<b>">')
    for source in right:
        (_, attributes) = tags_of(source)[0]
        assert _ATTRIBUTES.fullmatch(attributes), source


def test_text_is_escaped_by_itself_and_declared_html_in_few_places() -> None:
    made = environment()
    assert made.autoescape is True
    assert made.from_string('<a t="{{ x }}">').render(x="\"'<&>") == (
        '<a t="&#34;&#39;&lt;&amp;&gt;">'
    )
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bMarkup\(|__html__", path.read_text(encoding="utf-8"))
    }
    assert found == MADE
