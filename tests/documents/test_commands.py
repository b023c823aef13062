"""Every command that the documents show is understood, and run with small files for its own."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from reportgen.cli import commands as program
from reportgen.errors import GateError
from tests.compare.conftest import NoPress
from tests.conftest import SAMPLES, left_with
from tests.documents.commands import PAGES, ROOT, Shown, commands

SHOWN = commands()
OURS = [one for one in SHOWN if one.words[0] == "reportgen"]
MADE = [one for one in SHOWN if one.words[0] == "make"]
STATED: dict[str, Any] = {
    "arch": f"{SAMPLES / 'lenet.py'}:LeNet",
    "arch_args": "",
    "input_size": (28, 28),
    "slices": None,
    "crop_pct": None,
    "mean": (0.286,),
    "std": (0.353,),
    "weights_key": "",
}
"What the stand-in for every model is loaded with."
ELSEWHERE = {"target": "coat", "layers": ("conv*",), "cam_layer": "conv2"}
"In place of classes and layers that the stand-in lacks."


def understood(one: Shown) -> click.Context | None:
    """The command as its parser takes it; None where it only asks for help."""
    words = [word.strip("[]") for word in one.words]
    above = click.Context(program, **program.context_settings)
    command = program.get_command(above, words[1])
    assert command is not None, f"{one}: there is no such command"
    try:
        return command.make_context(words[1], words[2:], parent=above)
    except click.exceptions.Exit:
        return None


def test_the_pages_show_commands():
    pages = {one.page for one in SHOWN}
    assert {"README.md", "CONTRIBUTING.md", "docs/models.md", "docs/ci.md"} <= pages
    assert {"build", "compare", "render", "prune", "inspect"} <= {one.words[1] for one in OURS}
    assert all(page.is_file() for page in PAGES)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to be in, with the files of settings that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    Path("reportgen.toml").write_text('model = "model.pth"\nimages = ["val"]\n')
    Path("nightly.toml").write_text("batch-size = 2\n")
    Path("made").mkdir()


@pytest.mark.parametrize("one", OURS, ids=str)
def test_every_command_is_understood(one, here):
    understood(one)


@pytest.mark.parametrize("one", MADE, ids=str)
def test_every_target_of_make_is_there(one):
    done = subprocess.run(
        ["make", "-n", *one.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def different() -> list[Shown]:
    """The commands without those that give the same flags to the same command as one before."""
    found: dict[tuple[str, ...], Shown] = {}
    for one in OURS:
        flags = sorted({word for word in one.words if word.startswith("-")})
        found.setdefault((one.words[1], *flags, str(len(one.words) > 4)), one)
    return list(found.values())


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with a small network, two images of two classes, and its report three times."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copy(SAMPLES / "lenet.pth", folder / "model.pth")
    shutil.copy(SAMPLES / "fashion_mnist_labels.txt", folder / "labels.txt")
    for name in ("bag", "coat"):
        (folder / "images" / name).mkdir(parents=True)
        first = min((SAMPLES / "fashion_mnist" / name).iterdir())
        shutil.copy(first, folder / "images" / name)
    words = ["--arch", STATED["arch"], "--input-size", 28, 28, "--mean", 0.286, "--std", 0.353]
    words += ["--labels", folder / "labels.txt", "--save-arrays", "-q", "-o", folder / "one"]
    words += ["--sections", "answers,activations,dead_filters"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reportgen.pipeline.Press", NoPress)
        assert left_with("build", folder / "model.pth", folder / "images", *words) == 0
    for name in ("two", "three"):
        shutil.copytree(folder / "one", folder / name)
    return folder


def with_small_files(given: dict[str, Any], command: click.Command, desk: Path) -> None:
    """Put the files of the desk in the place of those that a command names."""
    small = {"model": desk / "model.pth", "report": desk / "one", "images": (desk / "images",)}
    for parameter in command.params:
        name, value = parameter.name, given.get(parameter.name)
        if name in small:
            given[name] = small[name]
        elif name == "reports":
            given[name] = tuple(desk / other for other in ("one", "two", "three")[: len(value)])
        elif value and isinstance(parameter.type, click.Path):
            given[name] = Path("made") / Path(str(value)).name
    if "arch" in given:
        stated = STATED | {"labels": str(desk / "labels.txt")}
        given |= {key: value for key, value in stated.items() if key in given}
    given |= {key: other for key, other in ELSEWHERE.items() if given.get(key)}
    if "sections" in given:
        # The flags are what is tried here; all sections together have their own tests.
        given["sections"] = ("answers", "dead_filters")
        given |= {"exclude": (), "visualise_also": ()}
    # Services and occlusion maps are left to the tests of their own.
    given |= {name: type(given[name])() for name in ("log", "only") if name in given}


@pytest.mark.parametrize("one", different(), ids=str)
def test_every_command_does_what_it_says(one, here, desk, monkeypatch, capsys):
    context = understood(one)
    if context is None:
        return
    for place in ("reportgen.pipeline.Press", "reportgen.rerender.Press"):
        monkeypatch.setattr(place, NoPress)
    monkeypatch.setattr("webbrowser.open", lambda _: True)
    with_small_files(context.params, context.command, desk)
    try:
        with context:
            context.command.invoke(context)
    except GateError:
        # What is judged is the stand-in.
        assert context.params["fail_on"]
    made = capsys.readouterr().out.splitlines()
    assert made, "a command says what it did"
    is_written = not {"--dry-run", "--show-config"} & set(one.words)
    if context.params.get("output") and is_written:
        assert Path(made[-1]).exists()
