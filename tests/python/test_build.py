"""`reportgen.build`: what it takes, what it says of it, and that it leaves no trace."""

import copy
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import reportgen
from reportgen.errors import ImageError, ModelError, OptionError, OutputError, SkippedError
from reportgen.load.given_network import given_network
from reportgen.load.model import load_model
from tests.conftest import SAMPLES, left_with
from tests.python.networks import (
    DEAD,
    HEIGHT,
    LABELS,
    MEAN,
    QUICK,
    STD,
    WIDTH,
    normalised,
    pictures,
    pixels,
    small,
)

ANSWERS = {**QUICK, "sections": ["answers"]}


def said(report: reportgen.Report) -> list[list[float]]:
    """The logit of each class for each image."""
    found = []
    for image in report.record.images:
        logits = {prediction.index: prediction.logit for prediction in image.predictions}
        found.append([logits[index] for index in sorted(logits)])
    return found


def expected(images: torch.Tensor) -> list[list[float]]:
    with torch.no_grad():
        scores: list[list[float]] = small().eval()(normalised(images)).tolist()
    return scores


def test_the_numbers_are_those_of_the_network(report: reportgen.Report) -> None:
    net, images = small().eval(), pixels()
    np.testing.assert_allclose(said(report), expected(images), atol=1e-5)
    with torch.no_grad():
        first = net.relu(net.bn(net.conv1(normalised(images))))
        second = net.relu(net.conv2(first))
    for name, values in (("relu", first), ("relu#2", second)):
        dead = [unit for unit in range(values.shape[1]) if not (values[:, unit] > 0).any()]
        assert report.layers[name].dead == tuple(dead)
    assert DEAD in (report.layers["relu"].dead or ())
    right = [row.index(max(row)) == index % 3 for index, row in enumerate(expected(images))]
    assert report.accuracy == pytest.approx(sum(right) / 5)
    assert [image.true_class for image in report.images.values()][:2] == list(LABELS[:2])


def test_the_page_shows_the_pixels_and_the_network_gets_them_normalised() -> None:
    images = pixels(2)
    stated = reportgen.build(small(), normalised(images), normalised=True, **ANSWERS)
    np.testing.assert_allclose(said(stated), expected(images), atol=1e-4)
    for image, own in zip(stated.record.images, images, strict=True):
        seen = image.panels["answers"].blocks["seen"].pixels  # type: ignore[union-attr]
        wanted = (own.permute(1, 2, 0) * 255).round().numpy()
        np.testing.assert_allclose(seen.values(), wanted, atol=1)


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(pixels(), torch.tensor([0, 1, 2, 0, 1])), batch_size=2)


@pytest.mark.parametrize(
    ("make", "atol"),
    [
        (lambda: pixels(), 1e-5),
        (lambda: (pixels() * 255).round().to(torch.uint8), 0.05),
        (lambda: list(pixels()), 1e-5),
        (pictures, 0.05),
        (lambda: TensorDataset(pixels()), 1e-5),
        (lambda: TensorDataset(pixels(), torch.tensor([0, 1, 2, 0, 1])), 1e-5),
        (lambda: TensorDataset(pixels()[:, None], torch.tensor([0, 1, 2, 0, 1])), 1e-5),
        (lambda: [(image[None], 1) for image in pixels()], 1e-5),
        (loader, 1e-5),
    ],
    ids=[
        *("tensor", "bytes", "tensors", "pillow", "dataset", "labelled", "batches of one"),
        *("plain numbers", "loader"),
    ],
)
def test_every_kind_of_images(make: Callable[[], Any], atol: float) -> None:
    size = {"input_size": (HEIGHT, WIDTH)} if make is pictures else {}
    report = reportgen.build(small(), make(), **{**ANSWERS, **size})
    np.testing.assert_allclose(said(report), expected(pixels()), atol=atol)
    assert list(report.images) == [f"image-{index}" for index in range(5)]
    assert len({image.sha256 for image in report.images.values()}) == 5


def test_a_file_and_its_bytes_are_the_same_image(tmp_path: Path) -> None:
    net = small()
    pictures(1)[0].resize((40, 30)).save(tmp_path / "photo.png")
    options = {**ANSWERS, "input_size": (HEIGHT, WIDTH)}
    on_disk = reportgen.build(net, tmp_path, **options)
    in_memory = reportgen.build(net, [Image.open(tmp_path / "photo.png")], **options)
    assert said(on_disk) == said(in_memory)
    assert list(on_disk.images) == ["photo.png"]


def state_of(net: nn.Module) -> dict[str, Any]:
    return {
        "values": {name: (id(t), t.tolist()) for name, t in net.state_dict(keep_vars=True).items()},
        "grads": {
            n: None if p.grad is None else p.grad.tolist() for n, p in net.named_parameters()
        },
        "requires": [p.requires_grad for p in net.parameters()],
        "strides": [p.stride() for p in net.parameters()],
        "modes": [m.training for m in net.modules()],
        "hooks": [
            len(getattr(m, f"_{kind}_hooks"))
            for m in net.modules()
            for kind in ("forward", "forward_pre", "backward", "backward_pre")
        ],
        "random": (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())),
    }


def test_everything_is_given_back_as_it_was_found() -> None:
    net = small().train()
    net.bn.eval()
    net.conv2.weight.requires_grad_(False)
    net(normalised(pixels())).sum().backward()
    before = copy.deepcopy(state_of(net))
    with torch.autocast("cpu"):
        report = reportgen.build(net, DataLoader(pixels(), shuffle=True), **QUICK)  # type: ignore[arg-type]
    assert state_of(net) == before
    assert not [section.problem for section in report.record.sections if section.problem]
    with pytest.raises(OptionError, match="names, and the network has 3"):
        reportgen.build(net, pixels(), labels=["one"], **QUICK)
    assert state_of(net) == before


def test_the_first_build_of_a_process_draws_no_random_numbers_either() -> None:
    code = (
        "import random, reportgen\n"
        "from tests.python.test_build import ANSWERS, pixels, small\n"
        "before = random.getstate()\n"
        "reportgen.build(small(), pixels(1), **ANSWERS)\n"
        "assert random.getstate() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_identity_of_a_network_in_memory_is_that_of_its_weights(
    report: reportgen.Report,
) -> None:
    net = small()
    digest = hashlib.sha256()
    for name, value in [*net.named_parameters(), *net.named_buffers()]:
        kind = {torch.float32: "float32", torch.int64: "int64"}[value.dtype]
        digest.update(json.dumps([name, list(value.shape), f"torch.{kind}"]).encode() + b"\n")
        digest.update(value.detach().numpy().tobytes())
    model = report.record.model
    assert (model.file, model.sha256, model.bytes) == ("", digest.hexdigest(), None)
    assert (model.architecture, model.format) == ("Small", "nn.Module")
    with torch.no_grad():
        net.bn.running_var[1] += 1e-3
    assert given_network(net).sha256 != model.sha256


def test_half_precision_is_computed_in_full_on_a_copy() -> None:
    net = small().half()
    loaded = given_network(net)
    assert loaded.dtype == "float16"
    assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}
    assert {p.dtype for p in net.parameters()} == {torch.float16}


def test_wrappers_are_left_aside() -> None:
    net = small()
    assert given_network(nn.DataParallel(torch.compile(net))).module is net  # type: ignore[arg-type]


def test_a_network_of_torchvision_is_known_with_its_preprocessing() -> None:
    from torchvision import models

    loaded = given_network(models.squeezenet1_1(num_classes=7))
    assert loaded.architecture == "squeezenet1_1"
    assert loaded.preprocessing is not None and loaded.preprocessing.is_assumed
    assert loaded.preprocessing.mean == (0.485, 0.456, 0.406)


def test_a_file_gives_what_the_command_gives(tmp_path: Path) -> None:
    words = ["--arch", f"{SAMPLES / 'lenet.py'}:LeNet", "--input-size", 28, 28]
    words += ["--mean", 0.286, "--std", 0.353, "--sections", "answers,kernels", "--max-images", 1]
    model, images = SAMPLES / "lenet.pth", SAMPLES / "fashion_mnist"
    assert left_with("build", model, images, *words, "-q", "-o", tmp_path / "by-command") == 0
    report = reportgen.build(
        str(model),
        images,
        output=tmp_path / "by-call",
        arch=f"{SAMPLES / 'lenet.py'}:LeNet",
        input_size=(28, 28),
        mean=0.286,
        std=[0.353],
        sections="answers, kernels",
        max_images=1,
    )
    one, other = (
        json.loads((tmp_path / name / "report.json").read_text())
        for name in ("by-command", "by-call")
    )
    assert other["provenance"].pop("command") == (
        "reportgen.build('lenet.pth', 'images', arch='lenet.py:LeNet', "
        "input_size=(28, 28), mean=(0.286,), std=(0.353,), max_images=1, "
        "sections=('answers', 'kernels'))"
    )
    assert one["provenance"].pop("command").startswith("reportgen build lenet.pth images")
    assert one == other
    assert report.to_dict()["images"] == other["images"]
    loaded = load_model(model, arch=f"{SAMPLES / 'lenet.py'}:LeNet")
    again = reportgen.build(
        loaded, images, input_size=28, mean=0.286, std=0.353, sections="answers", max_images=1
    )
    assert again.record.model.sha256 == other["model"]["sha256"]
    assert again.record.model.bytes == model.stat().st_size


def test_a_network_in_memory_claims_no_file(report: reportgen.Report, tmp_path: Path) -> None:
    report.save(tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    assert "Made with reportgen" in page and "from Small in memory (SHA-256" in page
    assert f'SHA-256 of the weights</dt><dd class="name">{report.record.model.sha256}' in page
    assert f"as given, {HEIGHT} × {WIDTH} px" in page
    assert ".pth" not in page + (tmp_path / "site" / "dead_filters.html").read_text()
    assert "reportgen.build(model, images," in page
    report.figures(tmp_path / "figs", formats="svg", only=["architecture-curves"])
    card = (tmp_path / "figs" / "model-examination.md").read_text()
    assert f"Small in memory, SHA-256 `{report.record.model.sha256}`" in card
    methods = (tmp_path / "figs" / "methods.txt").read_text()
    assert "from memory (SHA-256" in methods and "SHA-256 of the weights: " in methods
    assert f"were taken as they were, {HEIGHT} × {WIDTH} pixels, and normalised" in methods


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batchsize": 4}, "There is no option batchsize; did you mean batch_size?"),
        ({"lables": "x"}, "There is no option lables; did you mean labels?"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1."),
        ({"batch_size": "4"}, "batch_size is a whole number, not '4'."),
        ({"occlusion_fill": "grey"}, "occlusion_fill is one of mean, gray, black, blur, not"),
        ({"occlusion_window": (3, 4, 5)}, "occlusion_window takes 2 numbers"),
        ({"occlusion_stride": 0}, "occlusion_stride counts pixels, at least 1"),
        ({"save_arrays": 1}, "save_arrays is True or False, not 1."),
        ({"sections": ["gradcan"]}, "--sections gradcan: there is no such section"),
        ({"arch": "x.py:Y"}, "arch says how to read a model file, and a network was given."),
        ({"input_size": (5, 5)}, "input_size cannot be changed here"),
        ({"mean": (0.5,)}, "--mean has 1 value, and the network takes 3 channels."),
        ({"labels": ["a", "b"]}, "labels= has 2 names, and the network has 3 classes."),
        ({"log": "comet"}, "--log comet: there is no such service"),
        ({"fail_on": "ded>5%"}, "there is no ded; the nearest is dead"),
    ],
)
def test_an_option_that_makes_no_sense(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError) as problem:
        reportgen.build(small(), pixels(2), **{**ANSWERS, **options})
    assert sentence in str(problem.value)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.rand(2, 3, 4, 5) - 0.5, "say normalised=True if they are what the network takes"),
        (torch.full((1, 3, 4, 5), torch.nan), "and pixels lie in 0..1"),
        (torch.zeros(4, 5), "Image 0 has the shape (4, 5). Give paths and folders"),
        (torch.zeros(2, 3, 4, 5, dtype=torch.int64), "give floats in 0..1, or uint8"),
        ([torch.zeros(3, 4, 5), torch.zeros(3, 5, 4)], "of several sizes or kinds"),
        ([torch.zeros(3, 4, 5), Image.new("RGB", (4, 5))], "of several sizes or kinds"),
        ([(torch.zeros(3, 4, 5), "cat")], "A class is stated as 'cat': give its index"),
        ([(torch.zeros(3, 12, 18), 3)], "said to be of class 3, and the network has the classes"),
        ([Image.new("F", (4, 5))], "Pillow's mode F, which has no defined range"),
        ([np.zeros((4, 5, 3))], "Image 0 is a ndarray. Give paths and folders, a tensor"),
        (7, "Images cannot be read from a int"),
        (["photos", torch.zeros(3, 4, 5)], "but not both in one list"),
    ],
)
def test_images_that_cannot_be_used(images: Any, sentence: str) -> None:
    with pytest.raises(OptionError) as problem:
        reportgen.build(small(), images, **ANSWERS)
    assert sentence in str(problem.value)


def test_no_image_and_the_wrong_channels() -> None:
    with pytest.raises(ImageError, match="no image among those given"):
        reportgen.build(small(), [], **ANSWERS)
    with pytest.raises(ImageError, match="have 1 channels, and the network takes 3"):
        reportgen.build(small(), torch.zeros(2, 1, 8, 8), **ANSWERS)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: torch.jit.trace(small().eval(), pixels(1)), "is TorchScript"),
        (lambda: nn.Sequential(nn.LazyConv2d(3, 3)), "has lazy layers"),
        (lambda: small().to("meta"), "meta device"),
    ],
    ids=["script", "lazy", "meta"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Lazy modules:UserWarning")
def test_a_network_that_cannot_be_watched(make: Callable[[], nn.Module], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        reportgen.build(make(), pixels(1), **ANSWERS)


def test_what_is_no_network() -> None:
    with pytest.raises(OptionError, match=r"is a dict: give a torch\.nn\.Module or the path"):
        reportgen.build({}, pixels(1), **ANSWERS)  # type: ignore[arg-type]


def test_a_folder_that_may_not_be_written_is_refused_before_the_network_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reportgen.making.Probe", None)
    pictures(1)[0].save(tmp_path / "a.png")
    with pytest.raises(OutputError, match="lies in"):
        reportgen.build(small(), tmp_path, output=tmp_path / "report", **ANSWERS)


def test_a_report_is_not_saved_over_what_it_was_made_of(tmp_path: Path) -> None:
    pictures(1)[0].save(tmp_path / "a.png")
    options = {**ANSWERS, "input_size": (HEIGHT, WIDTH)}
    report = reportgen.build(small(), tmp_path, **options)
    with pytest.raises(OutputError, match="which the report is made from"):
        report.save(tmp_path)


def test_under_strict_what_was_skipped_is_an_error(tmp_path: Path) -> None:
    pictures(1)[0].save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    options = {**ANSWERS, "input_size": (HEIGHT, WIDTH), "strict": True}
    with pytest.raises(SkippedError, match=r"without b\.png"):
        reportgen.build(small(), tmp_path, **options)


def test_the_means_of_the_fixtures_are_no_accident() -> None:
    """Were mean or std left out, the answers would be others."""
    other = small().eval()(pixels()).tolist()
    assert np.abs(np.array(other) - expected(pixels())).max() > 0.1
    assert len(MEAN) == len(STD) == 3
