"""The whole command on real files: what stands in the report is what the network really does."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from reportgen.analyses import ANALYSES
from tests.conftest import LENET_WORDS, SAMPLES, left_with
from tests.render.walk import Page

Json = dict[str, Any]


def report_of(folder: Path) -> Json:
    """`report.json`, read as strictly as the standard asks."""

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (folder / "report.json").read_text(encoding="utf-8")
    report: Json = json.loads(text, parse_constant=refused)
    return report


def array_of(folder: Path, reference: str) -> np.ndarray:
    path, key = reference.split("#")
    with np.load(folder / path, allow_pickle=False) as arrays:
        array: np.ndarray = arrays[key]
    return array


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lenet() -> torch.nn.Module:
    """The sample as a user would make it, with nothing of reportgen."""
    code: dict[str, Any] = {"__name__": "lenet"}
    exec((SAMPLES / "lenet.py").read_text(), code)
    net: torch.nn.Module = code["LeNet"]()
    net.load_state_dict(torch.load(SAMPLES / "lenet.pth", weights_only=True))
    return net.eval()


def lenet_input(path: str) -> torch.Tensor:
    pixels = np.asarray(Image.open(SAMPLES / "fashion_mnist" / path), dtype=np.float32) / 255
    return torch.from_numpy((pixels - 0.286) / 0.353)[None, None]


def test_the_keys_that_scripts_read(lenet_report: Path) -> None:
    report = report_of(lenet_report)
    assert report["schema_version"] == 2
    assert report["model"].keys() >= {"architecture", "parameters", "macs", "sha256"}
    assert report["model"]["parameters"] == 61_706
    assert (
        report["model"]["sha256"]
        == hashlib.sha256((SAMPLES / "lenet.pth").read_bytes()).hexdigest()
    )
    for image in report["images"]:
        assert image.keys() >= {"path", "true_class", "predictions"}
        assert image["predictions"][0].keys() >= {"index", "label", "probability"}
        if image["is_pictured"]:
            assert image["occlusion"].keys() >= {
                "target",
                "window",
                "stride",
                "fill",
                "baseline_probability",
                "array",
            }
    layer_keys = {"name", "call", "type", "output_shape", "parameters", "macs", "receptive_field"}
    layer_keys |= {"zero_fraction", "dead_filters", "near_dead_filters"}
    assert all(layer.keys() >= layer_keys for layer in report["layers"])
    parameter_keys = {"name", "shape", "mean", "std", "min", "max", "zero_fraction", "histogram"}
    assert all(parameter.keys() >= parameter_keys for parameter in report["parameters"])
    assert all(f.keys() >= {"severity", "kind", "text", "href"} for f in report["findings"])


def test_layers_are_numbered_in_execution_order(lenet_report: Path) -> None:
    layers = [(layer["name"], layer["call"]) for layer in report_of(lenet_report)["layers"]]
    convs = [name for name in layers if name[0].startswith("conv")]
    assert convs == [("conv1", 1), ("conv2", 1), ("conv3", 1)]
    calls = [call for name, call in layers if name == next(n for n, c in layers if c == 2)]
    assert calls == list(range(1, len(calls) + 1))


def test_answers_are_those_of_the_network(lenet_report: Path) -> None:
    net, report = lenet(), report_of(lenet_report)
    labels = (SAMPLES / "fashion_mnist_labels.txt").read_text().split("\n")
    right = 0
    assert len(report["images"]) == 20
    for image in report["images"]:
        with torch.no_grad():
            chances = net(lenet_input(image["path"])).softmax(1)[0]
        index = int(chances.argmax())
        best = image["predictions"][0]
        assert (best["index"], best["label"]) == (index, labels[index])
        assert best["probability"] == pytest.approx(float(chances.max()), abs=1e-5)
        folder = image["path"].split("/")[0]
        right += labels[index].lower().replace("/", " ") == folder.replace("_", " ")
    assert report["accuracy"] == pytest.approx(right / 20)


def test_occlusion_of_a_pictured_image_by_a_loop(lenet_report: Path) -> None:
    net, report = lenet(), report_of(lenet_report)
    image = next(image for image in report["images"] if image["is_pictured"])
    occlusion, clean = image["occlusion"], lenet_input(image["path"])
    (height, width), (down, across) = occlusion["window"], occlusion["stride"]
    assert occlusion["fill"] == "mean"
    drops = array_of(lenet_report, occlusion["array"])
    assert drops.dtype == np.float32
    with torch.no_grad():
        before = float(net(clean).softmax(1)[0, occlusion["target"]])
        assert occlusion["baseline_probability"] == pytest.approx(before, abs=1e-5)
        for row in range(drops.shape[0]):
            for column in range(drops.shape[1]):
                hidden = clean.clone()
                top, left = row * down, column * across
                hidden[..., top : top + height, left : left + width] = 0.0
                after = float(net(hidden).softmax(1)[0, occlusion["target"]])
                assert drops[row, column] == pytest.approx(before - after, abs=1e-5)


def test_saved_activations_are_the_networks(lenet_report: Path) -> None:
    net, report = lenet(), report_of(lenet_report)
    layer = next(layer for layer in report["layers"] if layer["name"] == "conv2")
    images = {image["slug"]: image["path"] for image in report["images"]}
    slug = layer["activations"]["pictured"][3]
    caught = []
    net.conv2.register_forward_hook(lambda _, __, output: caught.append(output.clone()))  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        net(lenet_input(images[slug]))
    saved = array_of(lenet_report, layer["activations"][f"map.{slug}"])
    np.testing.assert_allclose(saved, caught[0][0].numpy(), atol=1e-5)
    assert list(saved.shape) == layer["output_shape"]


def test_each_channel_as_a_picture_of_the_tensors_size(lenet_report: Path, tmp_path: Path) -> None:
    assert left_with("channels", lenet_report, "conv[12]", "-o", tmp_path / "png") == 0
    layer = next(x for x in report_of(lenet_report)["layers"] if x["name"] == "conv2")
    slug = layer["activations"]["pictured"][1]
    values = array_of(lenet_report, layer["activations"][f"map.{slug}"])
    pictures = sorted((tmp_path / "png" / "conv2" / slug).iterdir())
    assert len(pictures) == len(values) == 16
    for channel, path in zip(values, pictures, strict=True):
        levels = np.asarray(Image.open(path))
        assert levels.shape == channel.shape == (10, 10)
        back = channel.min() + levels / 254 * (channel.max() - channel.min())
        assert np.abs(back - channel).max() <= (channel.max() - channel.min()) / 254 / 2 * 1.01


def test_channels_need_kept_activations(
    lenet_report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with("channels", lenet_report, "nothing*", "-o", tmp_path / "png") == 2
    assert "No layer of LeNet matches nothing*" in capsys.readouterr().err
    assert left_with("channels", lenet_report, "output", "-o", tmp_path / "png") == 2
    assert "build it with --save-arrays" in capsys.readouterr().err
    assert not (tmp_path / "png").exists()


def test_dead_filters_by_a_loop_over_the_images(lenet_report: Path) -> None:
    net, report = lenet(), report_of(lenet_report)
    peaks: dict[int, list[torch.Tensor]] = {}
    calls = {"n": 0}
    rectifier = next(m for m in net.modules() if isinstance(m, torch.nn.ReLU))

    def watch(_: object, __: object, output: torch.Tensor) -> None:
        calls["n"] += 1
        peaks.setdefault(calls["n"], []).append(output[0].reshape(output.shape[1], -1).amax(1))

    rectifier.register_forward_hook(watch)
    for image in report["images"]:
        calls["n"] = 0
        with torch.no_grad():
            net(lenet_input(image["path"]))
    layers = [layer for layer in report["layers"] if layer["kind"] == "activation"]
    assert len(layers) == len(peaks)
    for call, layer in enumerate(layers, 1):
        dead = (torch.stack(peaks[call]).amax(0) <= 0).nonzero().flatten().tolist()
        assert layer["dead_units"] == dead
        assert layer["dead_filters"] == len(dead)


def test_parameters_are_those_of_the_file(lenet_report: Path) -> None:
    weights = torch.load(SAMPLES / "lenet.pth", weights_only=True)
    parameters = {
        parameter["name"]: parameter for parameter in report_of(lenet_report)["parameters"]
    }
    assert parameters.keys() == weights.keys()
    for name, tensor in weights.items():
        values, said = tensor.double().numpy(), parameters[name]
        assert said["shape"] == list(values.shape)
        assert said["mean"] == pytest.approx(values.mean(), abs=1e-9)
        assert said["std"] == pytest.approx(values.std(ddof=1), rel=1e-9)
        counts, _ = np.histogram(values, bins=50)
        assert said["histogram"]["counts"] == counts.tolist()


def test_render_gives_the_same_bytes_where_there_is_no_torch(
    lenet_report: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision'): sys.modules[name] = None\n"
        "from reportgen.cli import main; main(sys.argv[1:])"
    )
    words = ("render", lenet_report, "-o", tmp_path / "again")
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    first, again = files_of(lenet_report), files_of(tmp_path / "again")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


def test_a_second_build_gives_the_same_bytes_and_says_where_its_time_went(
    lenet_report: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.chdir(tmp_path)
    assert left_with(*LENET_WORDS, "--save-arrays", "-q", "--profile") == 0
    first, again = files_of(lenet_report), files_of(tmp_path / "report")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []
    table = capsys.readouterr().err
    stages = ["Starting", "Loading the network", "Reading the images", "Running the network"]
    stages += [section["title"] for section in report_of(lenet_report)["sections"]]
    stages += ["Writing", "Encoding the data", "Drawing the pages", "Sum"]
    assert re.findall(r"^(.+?)  +[\d.]+ s", table, flags=re.MULTILINE) == stages
    shares = [float(share) for share in re.findall(r"([\d.]+)%$", table, flags=re.MULTILINE)]
    assert sum(shares[:-1]) == pytest.approx(shares[-1], abs=0.05 * len(shares))


RANDOM_NET = """
import torch
from torch import nn

class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 5, stride=4)
        self.line = nn.Linear(3, 4)

    def forward(self, x):
        x = nn.functional.dropout(self.conv(x), 0.5, training=True)
        return self.line(x.mean(dim=(2, 3)))
"""


def test_a_network_that_draws_random_numbers_is_repeated_by_its_seed(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(RANDOM_NET)
    code: dict[str, Any] = {"__name__": "noisy"}
    exec(RANDOM_NET, code)
    torch.save(code["Noisy"]().state_dict(), tmp_path / "noisy.pth")
    words = ["build", tmp_path / "noisy.pth", SAMPLES / "fashion_mnist" / "bag", "-q"]
    words += ["--arch", f"{tmp_path / 'noisy.py'}:Noisy", "--input-size", 28, 28]
    reports = []
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        torch.rand(seed)  # whatever was drawn before
        assert left_with(*words, "-o", tmp_path / name, "--seed", seed) == 0
        reports.append(report_of(tmp_path / name))
    one, again, other = reports
    assert one == again
    assert one["images"][0]["predictions"] != other["images"][0]["predictions"]
    assert "stochastic-forward" in {finding["kind"] for finding in one["findings"]}
    severities = [finding["severity"] for finding in one["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_no_folder_of_this_machine_in_any_file(lenet_report: Path) -> None:
    names = {str(SAMPLES.parent), str(lenet_report.parent), str(Path.home()) + "/"}
    for name, content in files_of(lenet_report).items():
        for folder in names:
            assert folder.encode() not in content, name


def saved(net: torch.nn.Module, how: str, folder: Path) -> Path:
    path = folder / f"{how}.pth"
    if how == "state_dict":
        torch.save(net.state_dict(), path)
    elif how == "module":
        torch.save(net, path)
    else:
        save_file(net.state_dict(), path)
    return path


@pytest.mark.parametrize("only", [*(analysis.name for analysis in ANALYSES), "gradcam,occlusion"])
def test_only_the_sections_asked_for_are_made_and_no_link_misses_the_others(
    only: str, tmp_path: Path
) -> None:
    words = [*LENET_WORDS[:2], SAMPLES / "fashion_mnist" / "bag", *LENET_WORDS[3:]]
    out = tmp_path / "out"
    assert left_with(*words, "-q", "-o", out, "--sections", only) == 0
    assert {section["name"] for section in report_of(out)["sections"]} == set(only.split(","))
    assert_links_lead_somewhere(out)


def test_excluded_sections_are_left_out_and_unknown_ones_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*LENET_WORDS[:2], SAMPLES / "fashion_mnist" / "bag", *LENET_WORDS[3:]]
    words += [
        "-q",
        "--sections",
        "answers",
        "--sections",
        "weights,kernels",
        "-o",
        tmp_path / "out",
    ]
    assert left_with(*words, "--exclude", "weights") == 0
    names = {section["name"] for section in report_of(tmp_path / "out")["sections"]}
    assert names == {"answers", "kernels"}
    for flag in ("--sections", "--exclude"):
        assert left_with(*words, flag, "grad-cam") == 2
        said = capsys.readouterr().err
        assert f"'{flag}': there is no such section as grad-cam. Did you mean gradcam?" in said


def assert_links_lead_somewhere(folder: Path) -> None:
    pages = {
        path: Page(path, (folder / path).read_text(encoding="utf-8"))
        for path in (page.relative_to(folder).as_posix() for page in folder.rglob("*.html"))
    }
    checked = 0
    for path, page in pages.items():
        for target, fragment in page.links():
            assert (folder / target).is_file(), f"{path} points to {target}, which is not there"
            assert not fragment or leads_to(pages[target], fragment), f"{path}: {target}#{fragment}"
            checked += 1
    assert checked > 50


def leads_to(page: Page, fragment: str) -> bool:
    """Whether a page has this place; a channel is one where its maps are."""
    wanted = "activations" if fragment.startswith("c=") else fragment
    return wanted in page.ids


@pytest.mark.slow
def test_resnet18_gives_one_report_however_it_was_saved(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = models.resnet18().eval()
    reports = []
    for how in ("state_dict", "module", "safetensors"):
        path = saved(net, how, tmp_path)
        words = ("build", path, SAMPLES / "photos" / "chelsea.png", "-o", tmp_path / how, "-q")
        words += ("--occlusion-window", 64, 64, "--occlusion-stride", 64, 64)
        # These take minutes on ResNet-18, and nothing in them depends on the file.
        words += ("--exclude", "trust,visualisation,patches,gradients,redundancy")
        assert left_with(*words) == 0
        reports.append(report_of(tmp_path / how))
    for report in reports:
        assert report["model"]["architecture"] == "resnet18"
        assert report["model"]["parameters"] == 11_689_512
        assert report["model"]["macs"] == pytest.approx(1.814e9, rel=1e-3)
        assert {layer["name"] for layer in report["layers"] if layer["call"] == 2} >= {
            "layer1.0.relu"
        }
        for image in report["images"]:
            assert image["occlusion"]["array"].startswith("arrays/")
    numbers = [json.dumps([r["layers"], r["images"], r["parameters"]]) for r in reports]
    assert numbers[0] == numbers[1] == numbers[2]
    assert {r["model"]["format"] for r in reports} == {"state_dict", "whole module", "safetensors"}


def test_strict_writes_the_report_and_exits_with_8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    good = SAMPLES / "fashion_mnist" / report_image()
    (images / "good.png").write_bytes(good.read_bytes())
    (images / "broken.png").write_bytes(good.read_bytes()[:60])
    words = list(LENET_WORDS)
    words[2] = images
    assert left_with(*words, "-q", "-o", tmp_path / "out") == 0
    skipped = report_of(tmp_path / "out")["skipped"]
    assert [image["path"] for image in skipped] == ["broken.png"]
    assert "broken.png" in (tmp_path / "out" / "index.html").read_text()
    capsys.readouterr()
    assert left_with(*words, "-q", "--strict", "-o", tmp_path / "out") == 8
    assert "broken.png" in capsys.readouterr().err


def report_image() -> str:
    """The path of one sample image."""
    return min(
        str(p.relative_to(SAMPLES / "fashion_mnist")) for p in SAMPLES.glob("fashion_mnist/*/*.png")
    )
