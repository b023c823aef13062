"""A fresh, strict Jinja environment: undefined names fail, and all text is escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reportgen.render import filters

PACKAGE = Path(__file__).parent.parent / "templates"
"Where a wheel carries the templates."
CHECKOUT = Path(__file__).parent.parent.parent / "templates"
"Where they stand in the repository, which an editable install uses."

STYLES = ("theme.css", "layout.css", "content.css")


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
    made.tests |= {"number": filters.is_number, "linked": filters.is_link}
    return made


def stylesheet() -> bytes:
    """`assets/report.css`: colours, then layout, then content."""
    return b"\n".join((template_folder() / name).read_bytes() for name in STYLES)


def script() -> bytes:
    """`assets/report.js`."""
    return (template_folder() / "report.js").read_bytes()
