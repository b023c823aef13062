"""Imports point one way, files stay short, and a section is one file, one template, one line."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reportgen.analyses import ANALYSES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "reportgen"
FILES = sorted(PACKAGE.rglob("*.py"))

EVERYTHING = frozenset({"*"})

ALLOWED: dict[str, frozenset[str]] = {
    "__init__": frozenset(
        {"reportgen.probe", "reportgen.load", "reportgen.api", "reportgen.facade"}
    ),
    # `reportgen.probe(model)`, `reportgen.load(path)`: folders that have the name of a function.
    "probe/__init__": frozenset({"reportgen.api", "reportgen.probe"}),
    "load/__init__": frozenset({"reportgen.api", "reportgen.facade", "reportgen.load"}),
    "api": frozenset(
        {"torch", "reportgen.load", "reportgen.probe", "reportgen.report", "reportgen.errors"}
        | {"reportgen.facade", "reportgen.keywords", "reportgen.making", "reportgen.pipeline"}
        | {"reportgen.progress", "reportgen.deadline"}
    ),
    "facade": frozenset(
        {"reportgen.errors", "reportgen.report", "reportgen.compare", "reportgen.gates"}
        | {"reportgen.figures", "reportgen.render", "reportgen.saving", "reportgen.write"}
        | {"reportgen.loggers", "reportgen.packing"}
        | {"reportgen.printing"}
        | {"reportgen.__version__"}
    ),
    "keywords": frozenset({"reportgen.errors", "reportgen.options"}),
    "callback": frozenset(
        {"torch", "reportgen.errors", "reportgen.api", "reportgen.keywords", "reportgen.loggers"}
    ),
    "loggers": frozenset(
        {"numpy", "PIL", "wandb", "tensorboard", "reportgen.errors", "reportgen.report"}
        | {"reportgen.gates", "reportgen.figures", "reportgen.loggers"}
        | {"reportgen.options", "reportgen.write"}
    ),
    "__main__": frozenset({"reportgen.cli"}),
    "errors": frozenset(),
    "allocator": frozenset(),
    "deadline": frozenset({"reportgen.errors"}),
    "options": frozenset({"reportgen.errors"}),
    "profile": frozenset(),
    "threads": frozenset({"torch"}),
    "team": frozenset({"torch", "numpy", "reportgen.errors", "reportgen.report.arrays"}),
    "seeing": EVERYTHING,
    "checking": frozenset(
        {"numpy", "reportgen.errors", "reportgen.load", "reportgen.probe.passing"}
    ),
    "resuming": frozenset(
        {"numpy", "reportgen.errors", "reportgen.load", "reportgen.options", "reportgen.write"}
        | {"reportgen.provenance", "reportgen.report.arrays"}
    ),
    "progress": frozenset({"rich", "reportgen.profile"}),
    "write": frozenset({"reportgen.errors", "reportgen.write", "reportgen.written"}),
    "written": frozenset(),
    "packing": frozenset(
        {"reportgen.budget", "reportgen.errors", "reportgen.figures", "reportgen.render"}
        | {"reportgen.report", "reportgen.write"}
    ),
    "budget": frozenset({"numpy", "reportgen.figures", "reportgen.render", "reportgen.report"}),
    "gates": frozenset(
        {"reportgen.errors", "reportgen.report", "reportgen.render.filters", "reportgen.gates"}
    ),
    "summary": frozenset(
        {"reportgen.errors", "reportgen.report", "reportgen.render.filters", "reportgen.write"}
        | {"reportgen.compare.records"}
    ),
    "cli": EVERYTHING,
    "check": frozenset({"reportgen.errors", "reportgen.write"}),
    "rerender": frozenset(
        {"reportgen.errors", "reportgen.figures", "reportgen.gates"}
        | {"reportgen.render", "reportgen.report", "reportgen.summary", "reportgen.write"}
        | {"reportgen.packing"}
    ),
    "comparison": frozenset(
        {"reportgen.compare", "reportgen.render", "reportgen.write"}
        | {"reportgen.errors", "reportgen.gates", "reportgen.summary", "reportgen.__version__"}
    ),
    "compare": frozenset({"numpy", "reportgen.errors", "reportgen.report", "reportgen.compare"}),
    "channels": frozenset(
        {"reportgen.errors", "reportgen.figures", "reportgen.report", "reportgen.write"}
    ),
    "making": EVERYTHING,
    "pipeline": EVERYTHING,
    "saving": frozenset({"reportgen.figures", "reportgen.render", "reportgen.report"}),
    "printing": frozenset(
        {"reportgen.errors", "reportgen.figures", "reportgen.papers"}
        | {"reportgen.report", "reportgen.write"}
    ),
    "papers": frozenset({"reportgen.papers", "reportgen.report", "reportgen.summary"}),
    "provenance": frozenset({"reportgen.options", "reportgen.report", "reportgen.__version__"}),
    "prune": EVERYTHING,
    "prune_text": frozenset({"reportgen.analyses", "reportgen.probe"}),
    "pruned_files": frozenset({"torch", "reportgen.errors", "reportgen.report"}),
    "report": frozenset({"numpy", "PIL", "cattrs", "reportgen.errors", "reportgen.report"}),
    "figures": frozenset(
        {"numpy", "PIL", "matplotlib", "seaborn", "reportgen.errors", "reportgen.report"}
        | {"reportgen.figures"}
    ),
    "render": frozenset(
        {"jinja2", "markupsafe", "rcssmin", "rjsmin", "reportgen.errors", "reportgen.report"}
        | {"numpy", "reportgen.figures", "reportgen.render", "reportgen.compare", "reportgen"}
        | {"reportgen.papers"}
    ),
    "load": frozenset(
        {"torch", "torchvision", "timm", "safetensors", "numpy", "PIL", "reportgen.errors"}
        | {"transformers", "pyarrow", "reportgen.options", "reportgen.report"}
        | {"reportgen.load"}
    ),
    "probe": frozenset(
        {"torch", "torchvision", "numpy", "numba", "llvmlite", "reportgen.errors"}
        | {"reportgen.options", "reportgen.report", "reportgen.probe", "reportgen.figures.mosaic"}
    ),
    "analyses": frozenset(
        {"torch", "numpy", "reportgen.errors", "reportgen.options", "reportgen.load"}
        | {"reportgen.probe", "reportgen.report", "reportgen.figures.mosaic"}
        | {"reportgen.figures.placing", "reportgen.analyses"}
    ),
}
"What each folder or file of the package may import beside the standard library."


def place_of(path: Path) -> str:
    """The key of a file in the table: its own where it has one, else that of its folder."""
    inside = path.relative_to(PACKAGE).with_suffix("")
    return inside.as_posix() if inside.as_posix() in ALLOWED else inside.parts[0]


def imports_of(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            if node.module == "reportgen" or node.module == "reportgen.analyses":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def is_allowed(name: str, allowed: frozenset[str]) -> bool:
    if "*" in allowed or name.split(".")[0] in sys.stdlib_module_names:
        return True
    return any(name == known or name.startswith(f"{known}.") for known in allowed - {"reportgen"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_place_may(path: Path) -> None:
    place = place_of(path)
    assert place in ALLOWED, f"{place} is not in the table"
    allowed = ALLOWED[place]
    wrong = [name for name in imports_of(path) if not is_allowed(name, allowed)]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text)), "a module opens with one sentence"
    assert path.stem not in {"utils", "util", "helpers", "common", "misc", "manager"}


WRITING = {"write_bytes", "write_text", "mkdir", "makedirs", "mkdtemp", "savetxt"}
WRITING |= {"unlink", "rmdir", "rmtree", "rename", "symlink_to", "hardlink_to"}
"What makes, moves or removes files by its name alone."


def opened_for_writing(path: Path) -> list[int]:
    """Lines on which a file writes to the disk."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        modes = [a.value for a in arguments if isinstance(a, ast.Constant)]
        is_open = name == "open" and any(
            isinstance(mode, str) and set(mode) & set("wax+") and len(mode) <= 3 for mode in modes
        )
        if is_open or name in WRITING:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.parent.name != "write"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_only_one_folder_writes_to_the_disk(path: Path) -> None:
    assert opened_for_writing(path) == []


def test_that_folder_does_write() -> None:
    assert opened_for_writing(PACKAGE / "write" / "staging.py")


def analyses_in_files() -> set[str]:
    """Names of the files that define a section."""
    names = set()
    for path in (PACKAGE / "analyses").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(target, ast.Name) and target.id == "ANALYSIS" for target in targets):
                names.add(path.stem)
    return names


def test_every_section_is_registered_once_under_the_name_of_its_file() -> None:
    names = [analysis.name for analysis in ANALYSES]
    assert len(set(names)) == len(names)
    assert set(names) == analyses_in_files()
    for analysis in ANALYSES:
        assert analysis.run.__module__ == f"reportgen.analyses.{analysis.name}"


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda analysis: analysis.name)
def test_every_section_has_a_template_and_a_test_of_its_name(analysis: object) -> None:
    name = analysis.name  # type: ignore[attr-defined]
    assert (ROOT / "templates" / "sections" / f"{name}.html.jinja").is_file()
    assert (ROOT / "tests" / "analyses" / f"test_{name}.py").is_file()


def test_every_template_of_a_section_has_its_section() -> None:
    names = {path.name.split(".")[0] for path in (ROOT / "templates" / "sections").glob("*.jinja")}
    assert names == {analysis.name for analysis in ANALYSES}


def test_every_text_of_the_about_page_has_its_section() -> None:
    names = {path.name.split(".")[0] for path in (ROOT / "templates" / "about").glob("*.jinja")}
    assert names and names <= {analysis.name for analysis in ANALYSES}
