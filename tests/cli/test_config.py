"""Settings from a file and from the environment: the same as flags, in the right order, checked."""

import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from reportgen.options import Options
from tests.cli.conftest import Run

Builds = list[tuple[Options, str]]

WAYS = {
    "title": ('"a net"', "a net", ["--title", "a net"]),
    "output": ('"site"', "site", ["-o", "site"]),
    "arch": ('"torchvision:vgg16"', "torchvision:vgg16", ["--arch", "torchvision:vgg16"]),
    "arch-args": ("'{\"a\": 1}'", '{"a": 1}', ["--arch-args", '{"a": 1}']),
    "labels": ('"imagenet"', "imagenet", ["--labels", "imagenet"]),
    "input_size": ("[28, 30]", "28 30", ["--input-size", "28", "30"]),
    "crop-pct": ("0.9", "0.9", ["--crop-pct", "0.9"]),
    "mean": ("[0.1, 0.2, 0.25]", "0.1 0.2 0.25", ["--mean", "0.1", "0.2", "0.25"]),
    "std": ("0.5", "0.5", ["--std", "0.5"]),
    "max-images": ("3", "3", ["--max-images", "3"]),
    "target": ("281", "281", ["--target", "281"]),
    "layers": ('["conv*", "fc"]', "'conv*' fc", ["--layers", "conv*", "--layers", "fc"]),
    "sections": (
        '["gradcam", "kernels"]',
        "gradcam,kernels",
        ["--sections", "gradcam", "--sections", "kernels"],
    ),
    "visualise-also": (
        '["class:tabby cat", "fc:1"]',
        "'class:tabby cat' fc:1",
        ["--visualise-also", "class:tabby cat", "--visualise-also", "fc:1"],
    ),
    "occlusion-window": ("[5, 7]", "5 7", ["--occlusion-window", "5", "7"]),
    "occlusion-fill": ('"blur"', "blur", ["--occlusion-fill", "blur"]),
    "save-arrays": ("true", "1", ["--save-arrays"]),
    "fail-on": (
        '["dead > 5%", "skipped>0"]',
        "'dead > 5%' skipped>0",
        ["--fail-on", "dead > 5%", "--fail-on", "skipped>0"],
    ),
    "summary-file": ('"sum.md"', "sum.md", ["--summary-file", "sum.md"]),
    "seed": ("7", "7", ["--seed", "7"]),
    "strict": ("true", "yes", ["--strict"]),
}
"What a setting is in a file, in the environment and on the command line."

NET = 'model = "m.pth"\nimages = ["a", "b"]\n'


@pytest.mark.parametrize("key", WAYS)
def test_a_setting_is_the_same_in_a_file_in_the_environment_and_as_a_flag(
    key: str, run: Run, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_file, in_environment, words = WAYS[key]
    run("build", "m.pth", "a", "b", *words)
    Path("reportgen.toml").write_text(f"{NET}{key} = {in_file}\n")
    run("build")
    Path("reportgen.toml").write_text(NET)
    monkeypatch.setenv(f"REPORTGEN_{key.replace('-', '_').upper()}", in_environment)
    run("build")
    assert len(builds) == 3
    assert builds[0] == builds[1] == builds[2]
    assert builds[0][0] != Options(Path("m.pth"), (Path("a"), Path("b")))


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    run: Run, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("reportgen.toml").write_text(f"{NET}max-images = 1\nseed = 1\nbatch-size = 1\n")
    monkeypatch.setenv("REPORTGEN_MAX_IMAGES", "2")
    monkeypatch.setenv("REPORTGEN_SEED", "2")
    run("build", "--max-images", 3)
    options = builds[0][0]
    assert (options.max_images, options.seed, options.batch_size) == (3, 2, 1)
    told = run("build", "--max-images", 3, "--show-config")
    origins = dict(line.split("  # ") for line in told.out.splitlines())
    rows = {setting.rstrip(): origin for setting, origin in origins.items()}
    assert rows['model = "m.pth"'] == "reportgen.toml"
    assert rows["max-images = 3"] == "command line"
    assert rows["seed = 2"] == "REPORTGEN_SEED"
    assert rows["batch-size = 1"] == "reportgen.toml"
    assert rows["visualise = 2"] == "default"


def test_what_is_shown_reads_back_as_the_same_settings(run: Run, builds: Builds) -> None:
    words = ["m.pth", "a b", "--mean", "0.1", "0.2", "--layers", "conv*", "--crop-pct", "0.9"]
    words += ["--fail-on", 'dead["x"]>5%', "--strict", "--occlusion-stride", "3", "4"]
    run("build", *words)
    shown = run("build", *words, "--show-config")
    assert shown.code == 0
    Path("reportgen.toml").write_text(shown.out)
    run("build")
    assert builds[1] == builds[0]


def test_the_printed_command_needs_no_file(run: Run, builds: Builds) -> None:
    lines = [f"{key} = {value}" for key, (value, _, _) in WAYS.items()]
    Path("reportgen.toml").write_text(NET + "\n".join(lines))
    run("build")
    Path("reportgen.toml").unlink()
    run(*shlex.split(builds[0][1])[1:])
    assert builds[1][1] == builds[0][1]
    assert dict(builds[1][0].changed()) == dict(builds[0][0].changed())


def test_a_project_file_serves_where_there_is_none_of_our_own(run: Run, builds: Builds) -> None:
    Path("pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.reportgen]\nmodel = "p.pth"\nimages = "a"\nseed = 5\n'
    )
    run("build")
    assert (builds[0][0].model, builds[0][0].seed) == (Path("p.pth"), 5)
    Path("reportgen.toml").write_text('model = "own.pth"\nimages = ["a"]\n')
    run("build")
    assert (builds[1][0].model, builds[1][0].seed) == (Path("own.pth"), 0), "they are not mixed"
    run("build", "--config", "pyproject.toml")
    assert builds[2] == builds[0]
    assert "Missing argument 'MODEL'" in run("build", "--no-config").err


def test_a_project_file_that_says_nothing_of_us_is_none(run: Run, builds: Builds) -> None:
    Path("pyproject.toml").write_text('[project]\nname = "x"\n')
    run("build", "m.pth", "a")
    assert builds[0][0] == Options(Path("m.pth"), (Path("a"),))
    told = run("build", "m.pth", "a", "--config", "pyproject.toml")
    assert (told.code, told.err) == (
        2,
        "reportgen: pyproject.toml has no table [tool.reportgen].\n",
    )


def test_paths_are_relative_to_the_file(
    run: Run, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("job").mkdir()
    Path("job/nightly.toml").write_text(
        'model = "m.pth"\nimages = ["a", "/data/b"]\narch = "nets/lenet.py:LeNet"\n'
        'labels = "names.txt"\noutput = "site"\nsummary-file = "sum.md"\n'
    )
    monkeypatch.setenv("REPORTGEN_CONFIG", "job/nightly.toml")
    run("build")
    assert builds[0][0] == Options(
        Path("job/m.pth"),
        (Path("job/a"), Path("/data/b")),
        arch="job/nets/lenet.py:LeNet",
        labels="job/names.txt",
        output=Path("job/site"),
        summary_file=Path("job/sum.md"),
    )
    assert "job" not in builds[0][1], "folders of this machine do not reach the report"


def test_no_folder_of_this_machine_reaches_the_report() -> None:
    secret = "/home/someone/secret"
    paths = {
        field.name: Path(secret, "x") for field in fields(Options) if "Path" in str(field.type)
    }
    options = Options(
        **paths | {"images": (Path(secret, "x"),)},
        arch=f"{secret}/net.py:Net",
        labels=f"{secret}/names.txt",
    )
    assert dict(options.changed()) == {"arch": ("net.py:Net",), "labels": ("names.txt",)}


def test_nothing_is_set_by_an_empty_value(run: Run, builds: Builds) -> None:
    Path("reportgen.toml").write_text(f'{NET}crop-pct = ""\nmean = []\nlayers = []\ndevice = ""\n')
    run("build")
    assert builds[0][0] == Options(Path("m.pth"), (Path("a"), Path("b")))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("max-image = 3", "max-image is no setting. Did you mean max-images?"),
        ("max_imagse = 3", "max_imagse is no setting. Did you mean max-images?"),
        ("zebra = 3", "zebra is no setting. `reportgen build --help` lists what there is."),
        ("max-drop = 0.1", "max-drop is no setting. It belongs in [prune]."),
        ("[prun]\nkinds = 'dead'", "prun is no setting. Did you mean prune?"),
        ("[prune]\nmax-drp = 0.1", "prune.max-drp is no setting. Did you mean max-drop?"),
        ("[prune]\nfail-on = 'a>1'", "prune.fail-on is no setting. It belongs at the top."),
        ("compare = 1", "compare is no setting. [compare] must be a table."),
        ("[build]\nseed = 1", "build is no setting. Its settings stand at the top"),
        ("seed = 1\nSEED = 2", "SEED is no setting."),
        ("max-images = 1\nmax_images = 2", "max_images stands there twice."),
        ('max-images = "ten"', 'max-images takes a whole number, not "ten".'),
        ("max-images = true", "max-images takes a whole number, not true."),
        ("max-images = 2.5", "max-images takes a whole number, not 2.5."),
        ("max-images = [1]", "max-images takes a whole number, not [1]."),
        ("max-images = 0", "max-images: 0 is not in the range x>=1."),
        ("crop-pct = '1'", 'crop-pct takes a number, not "1".'),
        ("input-size = [3]", "input-size takes a list of 2 whole numbers, not [3]."),
        ("mean = ['dark']", 'mean takes a list of numbers, not ["dark"].'),
        ("title = true", "title takes a text in quotes, not true."),
        ("labels = 3", "labels takes a text in quotes, not 3."),
        ("images = [1]", "images takes a list of texts in quotes, not [1]."),
        ("strict = 1", "strict takes true or false, not 1."),
        ("occlusion-engine = 'quick'", "occlusion-engine: 'quick' is not one of"),
        ("occlusion-fill = 'grey'", "Did you mean gray?"),
        ("sections = ['gradcm']", "sections: there is no such section as gradcm. Did you mean"),
        ("[prune]\nmax-drop = 2", "prune.max-drop: 2.0 is not in the range 0<=x<=1."),
        ("model = ", "reportgen.toml is not valid TOML: Invalid value"),
    ],
)
@pytest.mark.parametrize("command", ["build", "render"])
def test_what_is_wrong_in_a_file_ends_every_command_with_one_sentence(
    text: str, sentence: str, command: str, run: Run
) -> None:
    Path("reportgen.toml").write_text(text)
    told = run(command, "m.pth", *(["a"] if command == "build" else []))
    assert told.code == 2, told.err
    assert told.err.startswith("reportgen: reportgen.toml")
    assert sentence in told.err
    assert len(told.err.splitlines()) == 1


def test_other_files_are_told_of_too(run: Run) -> None:
    told = run("build", "m.pth", "a", "--config", "nowhere.toml")
    assert (told.code, told.err) == (
        2,
        "reportgen: nowhere.toml cannot be read: No such file or directory.\n",
    )
    Path("x.toml").write_bytes(b"title = '\xff'")
    assert "x.toml is not valid TOML" in run("build", "m.pth", "a", "--config", "x.toml").err
    for words in (["--no-config", "--config", "x"], ["--config", "y.toml", "--no-config"]):
        Path("y.toml").write_text("")
        assert "exclude each other" in run("build", "m.pth", "a", *words).err


def test_commands_share_what_means_the_same_to_them(run: Run) -> None:
    Path("reportgen.toml").write_text(
        f'{NET}output = "site"\nforce = true\nmean = 0.3\nseed = 4\nfail-on = ["dead>5%"]\n'
        "[prune]\nseed = 6\nmax-drop = 0.1\n[compare]\noutput = 'changes'\n"
    )
    prune = tomllib.loads(run("prune", "--show-config").out)["prune"]
    assert (prune["model"], prune["images"], prune["mean"]) == ("m.pth", ["a", "b"], [0.3])
    assert (prune["seed"], prune["max-drop"]) == (6, 0.1), "its own table goes before"
    assert (prune["output"], prune["force"]) == ("pruned.pth", False), "that is of build alone"
    compare = tomllib.loads(run("compare", "x", "y", "--show-config").out)["compare"]
    assert (compare["output"], compare["fail-on"]) == ("changes", [])


def test_a_variable_is_of_one_command_unless_it_means_the_same_to_all(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORTGEN_OUTPUT", "site")
    monkeypatch.setenv("REPORTGEN_PRUNE_MAX_DROP", "0.2")
    monkeypatch.setenv("REPORTGEN_DEVICE", "cuda:1")
    prune = tomllib.loads(run("prune", "m.pth", "a", "--show-config").out)["prune"]
    assert (prune["output"], prune["max-drop"]) == ("pruned.pth", 0.2)
    assert prune["device"] == "cuda:1"


def test_a_wrong_variable_is_told_by_its_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_MAX_IMAGES", "many")
    told = run("build", "m.pth", "a")
    assert told.code == 2
    assert "REPORTGEN_MAX_IMAGES" in told.err and "many" in told.err


def test_a_mistyped_variable_is_told_and_others_are_let_be(
    run: Run, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPORTGEN_MAX_IMAGE", "3")
    monkeypatch.setenv("REPORTGEN_HOME_OF_ANOTHER_TOOL", "3")
    told = run("build", "m.pth", "a")
    assert told.err.splitlines()[0] == (
        "reportgen: REPORTGEN_MAX_IMAGE is not read; did you mean REPORTGEN_MAX_IMAGES?"
    )
    assert "ANOTHER" not in told.err
    assert builds[0][0].max_images == 10
