"""Networks of every shape given to the whole command: a right report, or one clear sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import reportgen
from reportgen.errors import ModelError, ResourceError
from tests.corpus.networks import GIVEN, REFUSED, SOURCE
from tests.corpus.runner import Case, checked
from tests.probe.test_probe import state

SCOPE: dict[str, Any] = {"__name__": "networks"}
exec(compile(SOURCE, "networks.py", "exec"), SCOPE)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures; the second is white."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for index in range(3):
        values = rng.integers(0, 200, (8, 12, 3), dtype=np.uint8)
        Image.fromarray(values if index != 1 else values * 0 + 255).save(folder / f"{index}.png")
    return folder


def made(name: str, *arguments: Any) -> nn.Module:
    """One of the networks, always with the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        module: nn.Module = SCOPE[name](*arguments)
    return module.eval()


def words(folder: Path, photos: Path, module: nn.Module, arch: str, channels: int = 3) -> list[str]:
    """The command for a network, whose code and weights are put into the folder."""
    (folder / "net.py").write_text(SOURCE)
    torch.save(module.state_dict(), folder / "net.pth")
    return [
        "build", f"{folder}/net.pth", str(photos), "--arch", f"{folder}/net.py:{arch}",
        "--input-size", "8", "12", "--mean", *["0.5"] * channels, "--std", *["0.25"] * channels,
        "-o", f"{folder}/report", "-q", "--device", "cpu", "--no-config", "--visualise", "0",
        "--batch-size", "2", "--max-images", "2",
    ]  # fmt: skip


def report_of(module: nn.Module, photos: Path, **options: Any) -> reportgen.Report:
    """What a program is told of a network, which it gets back as it was."""
    before = str(state(module))
    given: dict[str, Any] = {
        "input_size": (8, 12), "mean": (0.5,) * 3, "std": (0.25,) * 3, "device": "cpu",
        "batch_size": 2, "visualise": 0, "max_images": 1,
    }  # fmt: skip
    try:
        return reportgen.build(module, photos, **(given | options))
    finally:
        assert str(state(module)) == before


def problems(report: reportgen.Report) -> dict[str, str]:
    return {one.name: one.problem for one in report.record.sections if one.problem}


def kinds(report: reportgen.Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def scores_of(module: nn.Module, photos: Path, channels: int = 3) -> torch.Tensor:
    """What the network says of the pictures, two and one, with nothing of reportgen."""
    pixels = [
        np.asarray(Image.open(path).convert("L" if channels == 1 else "RGB"), np.float32) / 255
        for path in sorted(photos.iterdir())
    ]
    batch = torch.from_numpy(np.stack(pixels)).reshape(3, 8, 12, channels).permute(0, 3, 1, 2)
    with torch.no_grad():
        return torch.cat([module(part) for part in ((batch - 0.5) / 0.25).split(2)])


@pytest.mark.parametrize("gives", GIVEN)
def test_scores_are_found_in_what_a_network_gives(gives: str, photos: Path) -> None:
    report = report_of(made("Net", gives), photos)
    assert not problems(report)
    expected = scores_of(made("Net"), photos)
    for image, row in zip(report.record.images, expected, strict=True):
        found = [one.logit for one in sorted(image.predictions, key=lambda one: one.index)]
        tolerance = 2e-3 if gives == "float16" else 1e-5
        np.testing.assert_allclose(found, row, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("gives", ["one score", "one score without axis"])
def test_one_score_is_that_of_one_class(gives: str, photos: Path) -> None:
    report = report_of(made("Net", gives), photos)
    assert not problems(report) and report.record.model.classes == 1
    expected = scores_of(made("Net", "one score"), photos)[:, 0].sigmoid()
    found = [image.predictions[0].probability for image in report.record.images]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("gives", REFUSED)
def test_other_outputs_are_refused_by_what_they_are(gives: str, photos: Path) -> None:
    with pytest.raises(ModelError, match=REFUSED[gives]):
        report_of(made("Net", gives), photos)


@pytest.mark.parametrize(
    ("gives", "task"),
    [("segmentation", "segment"), ("segmentation in a dict", "segment"), ("detection", "detect")],
)
def test_answers_for_places_are_found_out(gives: str, task: str, photos: Path) -> None:
    assert report_of(made("Net", gives), photos).record.model.task == task


WHOLE = {
    "no convolution": ("NoConvolution", 3),
    "no layer": ("NoLayer", 3),
    "grey": ("grey", 1),
    "control flow": ("Branching", 3),
    "loops": ("Looping", 3),
    "warnings": ("Chatty", 3),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_network_of_another_shape_has_a_whole_report(
    name: str, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arch, channels = WHOLE[name]
    command = words(tmp_path, photos, made(arch), arch, channels)
    outcome = checked(Case(name, made, 0, r"^\d+ files|reportgen: "), tuple(command), capfd)
    assert "Warning" not in outcome.told
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert [one for one in report["sections"] if one["problem"]] == []
    expected = scores_of(made(arch), photos, channels)
    for image, row in zip(report["images"], expected, strict=True):
        assert image["predictions"][0]["index"] == int(row.argmax())


SENTENCES = {
    "four_channels": (4, "none of the 3 .* does not have the 4 channels that the network takes"),
    "six_channels": (6, "none of the 3 .* does not have the 6 channels that the network takes"),
    "Volumes": (1, "none of the 3 .* This is one picture, and the network takes volumes or videos"),
    "TwoInputs": (3, "does not take one batch of images alone: .*'mask'. Give a factory"),
    "FixedSize": (3, "cannot take a 3 x 8 x 12 image .*--input-size HEIGHT WIDTH"),
    "Asserting": (3, r"cannot take a 3 x 8 x 12 image .*: 64 pixels\. Give the size"),
    "LargeKernel": (3, "cannot take a 3 x 8 x 12 image .*Kernel size"),
    "Recursive": (3, "cannot take a 3 x 8 x 12 image .*recursion"),
    "Leaving": (3, "cannot take a 3 x 8 x 12 image .*: SystemExit: 3"),
    "FailingOnWhite": (3, r"fails on image 1 to 2, in their order: ValueError: no white\. Mend"),
}


@pytest.mark.parametrize("arch", SENTENCES)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_written(
    arch: str, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    channels, says = SENTENCES[arch]
    command = words(tmp_path, photos, made(arch), arch, channels)
    code = 5 if arch.endswith(("channels", "Volumes")) else 4
    checked(Case(arch, made, code, says), tuple(command), capfd)
    # A process that had to be ended leaves what it had claimed, which the next build clears.
    left = {one.name for one in tmp_path.iterdir()} - {"net.pth", "net.py"}
    assert all(name.startswith(".report.reportgen-") for name in left)
    assert arch == "Stubborn" or not left


def test_sections_that_need_gradients_say_that_there_are_none(photos: Path) -> None:
    report = report_of(made("FailingWithoutGradients"), photos)
    said = "No gradient can be taken through this network: its scores do not depend on the image"
    assert {"gradcam", "gradients", "gradient_flow"} <= problems(report).keys()
    assert all(problem.startswith(said) for problem in problems(report).values())


def test_layers_that_change_their_shape_with_the_image_are_named(photos: Path) -> None:
    with pytest.raises(ModelError, match="Layer conv gives outputs of different shapes"):
        report_of(made("Resizing"), photos)


@pytest.mark.parametrize("name", ["Random", "RandomInPython", "RandomInNumpy", "DropoutLeftOn"])
def test_random_forwards_are_told_and_repeat_themselves(name: str, photos: Path) -> None:
    few = {"sections": ["answers"]}
    one, same, other = (report_of(made(name), photos, seed=seed, **few) for seed in (0, 0, 1))
    assert "stochastic-forward" in kinds(one)
    assert one.record.images[0].predictions == same.record.images[0].predictions
    assert one.record.images[0].predictions != other.record.images[0].predictions
    assert "stochastic-forward" not in kinds(report_of(made("Net"), photos, **few))


@pytest.mark.parametrize("name", ["Endless", "Asleep", "EndlessAfterwards"])
def test_a_network_without_an_end_is_ended_and_given_back(name: str, photos: Path) -> None:
    place = r"in forward \(networks\.py, line \d+\)"
    said = rf"not done after 1 s \(--timeout\).*'Running the network', {place}"
    with pytest.raises(ResourceError, match=said):
        report_of(made(name), photos, timeout=1)


def test_the_time_is_not_up_where_it_is_enough(photos: Path) -> None:
    assert report_of(made("Net"), photos, timeout=1000, sections=["overview"]).layers


@pytest.mark.skipif(sys.platform == "win32", reason="has no alarm")
@pytest.mark.parametrize("arch", ["Endless", "Stubborn"])
def test_a_command_is_ended_even_where_it_does_not_listen(
    arch: str, photos: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "reportgen", *words(tmp_path, photos, made(arch), arch)]
    done = subprocess.run(
        [*command, "--timeout", "2"], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("reportgen: The build was not done after 2 s (--timeout) and was ended")
    assert "in forward (net.py, line " in line and "; nothing was written: " in line
    # A process that had to be ended leaves what it had claimed, which the next build clears.
    left = {one.name for one in tmp_path.iterdir()} - {"net.pth", "net.py"}
    assert all(name.startswith(".report.reportgen-") for name in left)
    assert arch == "Stubborn" or not left


@pytest.mark.parametrize(("name", "task"), [("Volumes", "classify"), ("VolumeMaps", "segment")])
def test_volumes_have_a_whole_report_without_what_is_for_pictures(name: str, task: str) -> None:
    volumes = torch.rand(3, 1, 6, 8, 5, generator=torch.Generator().manual_seed(4))
    module = made(name)
    with torch.no_grad():
        maps = module.conv((volumes - 0.5) / 0.25).relu()
        scores = module((volumes - 0.5) / 0.25)
    given = {"input_size": (8, 5), "mean": (0.5,), "std": (0.25,)}
    report = report_of(module, volumes, **given)
    assert not problems(report) and report.record.model.task == task
    absent = {one.name for one in report.record.sections if one.absent}
    assert absent == {
        *("patches", "visualisation", "design", "occlusion", "gradcam", "gradients", "trust")
    }
    assert report.layers["conv"].units == 5 and report.layers["conv"].output_shape == (5, 4, 6, 5)
    assert report.layers["F.relu"].mean == pytest.approx(float(maps.mean()), rel=1e-5)
    dead = [unit for unit in range(5) if not (maps[:, unit] > 0).any()]
    assert list(report.layers["F.relu"].dead) == dead
    if task == "segment":
        scores = scores.softmax(1).mean((2, 3, 4)).log()
    for image, row in zip(report.record.images, scores, strict=True):
        found = {one.index: one.logit for one in image.predictions}
        assert found == pytest.approx(dict(enumerate(row.tolist())), rel=1e-4)
