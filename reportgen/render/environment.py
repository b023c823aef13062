"""A fresh, strict Jinja environment: undefined names fail, and all text is escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rcssmin import cssmin
from rjsmin import jsmin

from reportgen.render import filters

PACKAGE = Path(__file__).parent.parent / "templates"
"Where a wheel carries the templates."
CHECKOUT = Path(__file__).parent.parent.parent / "templates"
"Where they stand in the repository, which an editable install uses."

STYLES = ("theme.css", "layout.css", "content.css", "viewer.css")
SCRIPTS = ("report.js", "viewer.js", "maps.js")


def template_folder() -> Path:
    """The folder of the templates: inside the package if it is there, else beside it."""
    return PACKAGE if PACKAGE.is_dir() else CHECKOUT


def environment() -> Environment:
    """An environment of its own for each call, so that no state outlives a report."""
    made = Environment(
        loader=FileSystemLoader(template_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= filters.FILTERS
    made.tests |= filters.TESTS
    return made


def stylesheet() -> bytes:
    """`assets/report.css`: colours and type, then layout, then content."""
    return str(cssmin(_joined(STYLES))).encode() + b"\n"


def script() -> bytes:
    """`assets/report.js`: what every page needs, then the maps of layers."""
    return str(jsmin(_joined(SCRIPTS))).encode() + b"\n"


def single_stylesheet() -> str:
    """What the style of a report in one file has beside it."""
    return str(cssmin(_joined(("single.css",))))


def single_script() -> str:
    """The router of a report in one file."""
    return f"{jsmin(_joined(('single.js',)))}\n"


def _joined(names: tuple[str, ...]) -> str:
    """The files in one: every reader loads them."""
    return "\n".join((template_folder() / name).read_text(encoding="utf-8") for name in names)


def icon() -> bytes:
    """`assets/icon.svg`."""
    return (template_folder() / "icon.svg").read_bytes()
