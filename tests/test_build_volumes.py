"""The whole command on volumes and videos: what stands in the report is what the network does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

import reportgen
from reportgen.load.volumes import picked_slices
from reportgen.report.arrays import Array
from reportgen.report.blocks import Atlas, Photo
from tests.conftest import left_with
from tests.render.walk import Page

SOURCE = '''
import torch
from torch import nn


class Scan(nn.Module):
    """A small classifier of grey volumes."""

    def __init__(self, classes=3):
        super().__init__()
        self.conv1 = nn.Conv3d(1, 4, (3, 3, 5), padding=(1, 1, 2))
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv3d(4, 6, 3, stride=(2, 1, 2))
        self.relu2 = nn.ReLU()
        self.fc = nn.Linear(6, classes)

    def forward(self, x):
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        return self.fc(x.mean((2, 3, 4)))
'''
SLICES, HEIGHT, WIDTH = 7, 10, 14
COUNTS = (SLICES, SLICES, 11)
"Slices of each file; the first one's are those of all."
ABSENT = {"patches", "visualisation", "design", "occlusion", "gradcam", "gradients", "trust"}


def scan() -> nn.Module:
    """The network, of which unit 1 of the first layer is dead and unit 2 of the second is zero."""
    scope: dict[str, Any] = {"__name__": "scan"}
    exec(compile(SOURCE, "scan.py", "exec"), scope)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net: nn.Module = scope["Scan"]().eval()
        net.conv1.bias[1] = -9
        net.conv2.weight[2], net.conv2.bias[2] = 0, 0
    return net


def levels(index: int) -> Array:
    """(slices height width)"""
    shape = (COUNTS[index], HEIGHT, WIDTH)
    drawn: Array = np.random.default_rng(index).integers(0, 256, shape, dtype=np.uint8)
    return drawn


def inputs() -> torch.Tensor:
    """What the network is given, with nothing of reportgen but which slices."""
    picked = [levels(index)[picked_slices(COUNTS[index], SLICES)] for index in range(3)]
    return (torch.from_numpy(np.stack(picked))[:, None].float() / 255 - 0.4) / 0.3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    (folder / "scan.py").write_text(SOURCE)
    torch.save(scan().state_dict(), folder / "scan.pth")
    data = folder / "scans"
    data.mkdir()
    np.save(data / "0.npy", levels(0))
    pages = [Image.fromarray(page) for page in levels(1)]
    pages[0].save(data / "1.tif", save_all=True, append_images=pages[1:])
    np.save(data / "2.npy", levels(2)[..., None])
    Image.fromarray(levels(0)[0]).save(data / "flat.png")
    words = ("--arch", f"{folder / 'scan.py'}:Scan", "--input-size", HEIGHT, WIDTH, "--mean", 0.4)
    words += ("--std", 0.3, "--save-arrays", "-q", "--device", "cpu", "--no-config")
    assert left_with("build", folder / "scan.pth", data, *words, "-o", folder / "report") == 0
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> reportgen.Report:
    return reportgen.load(folder / "report")


def test_answers_and_layers_are_those_of_the_network(report: reportgen.Report) -> None:
    net, given = scan(), inputs()
    with torch.no_grad():
        first = net.conv1(given).relu()
        second = net.conv2(first).relu()
        scores = net(given)
    for image, row in zip(report.record.images, scores, strict=True):
        found = {one.index: one.logit for one in image.predictions}
        assert found == pytest.approx(dict(enumerate(row.tolist())), rel=1e-4)
    for name, values in (("relu1", first), ("relu2", second)):
        layer = report.layers[name]
        assert layer.output_shape == tuple(values.shape[1:])
        dead = [unit for unit in range(values.shape[1]) if not (values[:, unit] > 0).any()]
        assert list(layer.dead or ()) == dead
        assert layer.zero_fraction == pytest.approx(float((values == 0).double().mean()))
        table = layer.panels["activations"].blocks["statistics"]
        rows = np.array([row[1:5] for row in table.rows], float)  # type: ignore[union-attr]
        units = values.transpose(0, 1).flatten(1).double().numpy()
        expected = [units.mean(1), units.std(1), units.min(1), units.max(1)]
        np.testing.assert_allclose(rows, np.stack(expected, 1), rtol=1e-5, atol=1e-7)
    assert report.layers["relu1"].dead == (1,) and 2 in (report.layers["relu2"].dead or ())
    # Each of 4 x 7 x 10 x 14 values adds up 45 products, each of 6 x 3 x 8 x 6 adds up 108.
    macs = [report.layers[name].macs for name in ("conv1", "conv2", "fc")]
    assert macs == [4 * 7 * 10 * 14 * 45, 6 * 3 * 8 * 6 * 4 * 27, 18]


def test_pictures_are_of_the_middle_slice(report: reportgen.Report, folder: Path) -> None:
    with torch.no_grad():
        values = scan().conv1(inputs()).numpy()
    layer = report.layers["conv1"]
    panel = layer.panels["activations"]
    assert panel.facts["slices"] == SLICES
    for index, slug in enumerate(("0", "1", "2")):
        np.testing.assert_allclose(panel.arrays[f"map.{slug}"], values[index], atol=1e-5)
        atlas = panel.blocks[f"image:{slug}"]
        assert isinstance(atlas, Atlas)
        np.testing.assert_allclose(atlas.low, values[index].min((1, 2, 3)), atol=1e-5)
        shown = atlas.pixels.values()
        for unit in range(4):
            row, column = divmod(unit, atlas.columns)
            top, left = row * (HEIGHT + 1), column * (WIDTH + 1)
            tile = shown[top : top + HEIGHT, left : left + WIDTH]
            low, high = values[index, unit].min(), values[index, unit].max()
            expected = (values[index, unit, 3] - low) / (high - low) * 254
            assert np.abs(tile - expected).max() <= 0.51
        seen = report.images[slug].panels["answers"].blocks["seen"]
        assert isinstance(seen, Photo)
        middle = picked_slices(COUNTS[index], SLICES)[3]
        assert np.array_equal(seen.pixels.values(), levels(index)[middle])


def test_pages_say_which_slice_they_show(folder: Path) -> None:
    def words(page: str) -> str:
        text = (folder / "report" / page).read_text(encoding="utf-8")
        return " ".join(" ".join(Page(page, text).texts).split())

    layer = words("layers/conv1.html")
    assert "Shown is slice 4 of 7 ; scales and peaks are those of all slices." in layer
    assert "each with 1 kernel of 3 × 3 × 5" in layer
    assert "Shown is slice 2 of 3 of each kernel." in layer
    image = words("images/2.html")
    assert "The network saw 7 slices of 10 × 14 pixels: the whole picture" in image
    assert "Shown is slice 4 of 7." in image
    assert "The network is given 7 of its 11 slices, evenly spread." in image
    assert "at its middle slice" in image
    index = words("index.html")
    assert "10 × 14 px of 7 slices, 1 channel" in index
    assert "as many slices as the first file has (--slices)" in index
    assert "red marks places" not in index
    for page in ("design.html", "trust.html"):
        assert "This network takes volumes or videos: places in them have a slice" in words(page)


def test_sections_for_pictures_say_why_they_are_absent(report: reportgen.Report) -> None:
    sections = {section.name: section for section in report.record.sections}
    assert {name for name, section in sections.items() if section.absent} == ABSENT
    assert not any(section.problem for section in sections.values())
    assert {"gradient_flow", "redundancy", "kernels"} <= report.layers["conv1"].panels.keys()
    (skipped,) = report.record.skipped
    assert skipped.path == "flat.png" and "This is one picture" in skipped.reason


def test_parameters_and_kernels_are_those_of_the_file(report: reportgen.Report) -> None:
    weight = scan().conv2.weight.detach().double().numpy()  # type: ignore[union-attr,operator]
    record = next(one for one in report.record.parameters if one.name == "conv2.weight")
    assert record.shape == (6, 4, 3, 3, 3)
    found = (record.mean, record.std, record.min, record.max, record.norm)
    expected = (weight.mean(), weight.std(ddof=1), weight.min(), weight.max())
    assert found == pytest.approx((*expected, np.sqrt((weight**2).sum())), rel=1e-6)
    flat = weight.reshape(6, -1)
    with np.errstate(invalid="ignore"):
        cosine = flat @ flat.T / np.outer(*[np.linalg.norm(flat, axis=1)] * 2)
    cosine[np.isnan(cosine)] = -2
    np.fill_diagonal(cosine, -2)
    facts = report.layers["conv2"].panels["redundancy"].facts
    assert facts["weights_each"] == 4 * 27
    assert facts["pair_cosine"] == pytest.approx([cosine.max()], abs=1e-4)


def test_channels_are_written_slice_by_slice(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "channels"
    assert left_with("channels", folder / "report", "conv1", "-o", out) == 0
    with torch.no_grad():
        values = scan().conv1(inputs()[:1])[0].numpy()
    low, high = values[2].min(), values[2].max()
    for index in range(SLICES):
        picture = np.array(Image.open(out / "conv1" / "0" / f"0002-{index:04d}.png"))
        expected = (values[2, index] - low) / (high - low) * 254
        assert np.abs(picture - expected).max() <= 0.51


def test_a_second_build_from_memory_has_the_same_numbers(report: reportgen.Report) -> None:
    pixels = torch.from_numpy(
        np.stack([levels(i)[picked_slices(COUNTS[i], SLICES)] for i in range(3)])
    )[:, None]
    net = scan()
    made = reportgen.build(
        net, pixels, mean=(0.4,), std=(0.3,), device="cpu", sections=["answers", "dead_filters"]
    )
    assert made.record.model.preprocessing.slices == SLICES
    for ours, theirs in zip(made.record.images, report.record.images, strict=True):
        assert [one.index for one in ours.predictions] == [one.index for one in theirs.predictions]
        found, expected = ([one.logit for one in image.predictions] for image in (ours, theirs))
        assert found == pytest.approx(expected, rel=1e-5)
    for name in ("relu1", "relu2"):
        assert made.layers[name].dead == report.layers[name].dead
    with pytest.raises(reportgen.errors.OptionError, match="go into the network as they are, 7 sl"):
        reportgen.build(net, pixels, mean=(0.4,), std=(0.3,), slices=5)


@pytest.mark.filterwarnings("ignore")
def test_an_exported_program_of_volumes_is_the_network(
    report: reportgen.Report, folder: Path, tmp_path: Path
) -> None:
    free = {0: torch.export.Dim("batch"), 2: torch.export.Dim("slices", min=5, max=64)}
    for name, shapes, slices in (("free", (free,), 5), ("fixed", None, SLICES)):
        file, out = tmp_path / f"{name}.pt2", tmp_path / name
        torch.export.save(torch.export.export(scan(), (inputs(),), dynamic_shapes=shapes), file)
        words = ("--mean", 0.4, "--std", 0.3, "--sections", "answers", "-q", "-o", out)
        words += ("--input-size", HEIGHT, WIDTH)
        words += ("--slices", slices) if name == "free" else ()
        assert left_with("build", file, folder / "scans" / "0.npy", *words) == 0
        found = reportgen.load(out).record
        assert found.model.preprocessing.slices == slices
        given = inputs()[:1, :, picked_slices(SLICES, slices)]
        with torch.no_grad():
            scores = scan()(given)[0]
        logits = {one.index: one.logit for one in found.images[0].predictions}
        assert logits == pytest.approx(dict(enumerate(scores.tolist())), rel=1e-4)
    assert "slices read from the network" in found.model.preprocessing.source


def test_a_pruned_network_of_volumes_answers_alike(folder: Path, tmp_path: Path) -> None:
    out, arch = tmp_path / "small.pth", f"{folder / 'scan.py'}:Scan"
    words = ("--arch", arch, "--input-size", HEIGHT, WIDTH, "--mean", 0.4, "--std", 0.3, "-q")
    scans = folder / "scans"
    assert left_with("prune", folder / "scan.pth", scans, *words, "-o", out) == 0
    weights = torch.load(out, weights_only=True)
    kept = [0, 2, 3]  # unit 1 of the first layer is dead
    assert torch.equal(weights["conv1.weight"], scan().conv1.weight[kept])  # type: ignore[index,union-attr]
    assert weights["conv2.weight"].shape[1] == 3
    report = tmp_path / "report"
    words = ("--arch", arch, "--sections", "answers", "-q", "-o", report)
    assert left_with("build", out, scans, *words) == 0
    with torch.no_grad():
        scores = scan()(inputs())
    for image, row in zip(reportgen.load(report).record.images, scores, strict=True):
        found = {one.index: one.logit for one in image.predictions}
        assert found == pytest.approx(dict(enumerate(row.tolist())), rel=1e-4)


def test_a_video_network_of_torchvision_is_named(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = models.get_model("mc3_18", num_classes=5).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    frames = np.random.default_rng(8).integers(0, 256, (6, 24, 30, 3), dtype=np.uint8)
    np.save(tmp_path / "clip.npy", frames)
    words = ("--arch", "torchvision:mc3_18", "--input-size", 16, 20, "--slices", 4, "-q")
    words += (
        "--sections",
        "answers,kernels",
        "--layers",
        "stem.*",
        "--layers",
        "fc",
        "--device",
        "cpu",
    )
    out = tmp_path / "report"
    assert left_with("build", tmp_path / "net.pth", tmp_path / "clip.npy", *words, "-o", out) == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    prepared = report["model"]["preprocessing"]
    assert (prepared["slices"], prepared["channels"], prepared["is_assumed"]) == (4, 3, True)
    # 128 before a crop of 112 is the published habit: 16 x 128 / 112 rounds down to 18.
    assert prepared["resize"] == 18 and "torchvision makes them 128 x 171" in prepared["source"]
    assert prepared["mean"] == [0.43216, 0.394666, 0.37645]
    picked = frames[[0, 2, 3, 5]].astype(np.float32) / 255
    cut = []
    for channel in range(3):
        planes = [Image.fromarray(frame[..., channel]).resize((22, 18), 2) for frame in picked]
        cut.append(np.stack([np.asarray(plane)[1:17, 1:21] for plane in planes]))
    mean, std = (np.array(prepared[name])[:, None, None, None] for name in ("mean", "std"))
    given = torch.from_numpy((np.stack(cut) - mean) / std).float()
    with torch.no_grad():
        scores = net(given[None])[0]
    found = {one["index"]: one["logit"] for one in report["images"][0]["predictions"]}
    assert found == pytest.approx(dict(enumerate(scores.tolist())), rel=1e-3, abs=1e-5)
