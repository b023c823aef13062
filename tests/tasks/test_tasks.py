"""Reports of networks that do not choose one class of several: every number is known by hand."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import left_with
from tests.tasks import colours

RED, GREEN = 8, 6
"Columns of 24 that are red, and those beside them that are green; the others are black."
SIZE = (16, 24)
COLOURS = "red\ngreen\nblue\n"


def sigmoid(score: float) -> float:
    return 1 / (1 + math.exp(-score))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture of stripes, in a folder of two classes' folders."""
    folder = tmp_path_factory.mktemp("photos")
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, :RED, 0] = 255
    pixels[:, RED : RED + GREEN, 1] = 255
    for name in ("red", "green"):
        (folder / name).mkdir()
        Image.fromarray(pixels).save(folder / name / "stripes.png")
    return folder


def words(photos: Path, folder: Path, name: str, *more: object, labels: str = "") -> list[object]:
    """A command that builds the report of a network of `colours`."""
    torch.save(getattr(colours, name)().state_dict(), folder / f"{name}.pth")
    command = ["build", folder / f"{name}.pth", photos, "-q", "-o", folder / "report"]
    command += ["--arch", f"{Path(colours.__file__)}:{name}", "--visualise", 0]
    command += ["--input-size", *SIZE, "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    if labels:
        (folder / "labels.txt").write_text(labels)
        command += ["--labels", folder / "labels.txt"]
    return [*command, *more]


def built(photos: Path, folder: Path, name: str, *more: object, labels: str = "") -> dict[str, Any]:
    """The report.json of a network of `colours`."""
    assert left_with(*words(photos, folder, name, *more, labels=labels)) == 0
    report: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text())
    return report


def page(folder: Path, name: str = "images/red-stripes.html") -> str:
    return " ".join((folder / "report" / name).read_text(encoding="utf-8").split())


def said(report: Mapping[str, Any]) -> list[tuple[str, float | None, float]]:
    """Label, probability and score of each answer to the first image."""
    return [(p["label"], p["probability"], p["logit"]) for p in report["images"][0]["predictions"]]


WINDOWS = ("--occlusion-window", 16, 4, "--occlusion-stride", 16, 4)
"Six windows side by side, each of four columns."


@pytest.mark.parametrize(
    ("name", "stated", "source"),
    [
        ("Colours", ("--task", "multilabel"), "stated with --task"),
        (
            "Several",
            (),
            "found out: a sigmoid gives each score, and the scores do not add up to one",
        ),
    ],
)
def test_several_classes_at_once(
    name: str, stated: tuple[str, ...], source: str, photos: Path, tmp_path: Path
) -> None:
    more = (*stated, *WINDOWS, "--sections", "answers,occlusion,gradients")
    report = built(photos, tmp_path, name, *more, labels=COLOURS)
    assert (report["model"]["task"], report["model"]["task_source"]) == ("multilabel", source)
    # Red covers 8 of 24 columns and green 6; a score is ten times that share, minus two.
    red, green = sigmoid(10 * RED / 24 - 2), sigmoid(10 * GREEN / 24 - 2)
    assert [label for label, _, _ in said(report)] == ["red", "green"]  # blue is below one half
    assert [chance for _, chance, _ in said(report)] == pytest.approx([red, green], abs=1e-6)
    assert report["accuracy"] is None and report["images"][0]["true_class"] is None
    hidden = report["images"][0]["occlusion"]
    assert (hidden["label"], hidden["target_source"]) == ("red", "predicted class")
    with np.load(tmp_path / "report" / "arrays" / "occlusion.npz") as arrays:
        drops = arrays["green-stripes.array"]
    half = red - sigmoid(10 * 4 / 24 - 2)  # four of the eight red columns are black
    np.testing.assert_allclose(drops, [[half, half, 0, 0, 0, 0]], atol=1e-6)
    assert hidden["flips"] == 2  # to 0.417, below one half
    assert "At 2 of 6 positions, dotted and outlined, the class falls to 50 % or below" in page(
        tmp_path
    )
    assert "The network says <strong>red</strong> 79.1 % and <strong>green</strong> 62.2 %." in (
        page(tmp_path)
    )


def test_no_class_above_one_half_is_said_so(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (24, 16)).save(tmp_path / "black.png")
    report = built(
        tmp_path / "black.png", tmp_path, "Several", "--sections", "answers", labels=COLOURS
    )
    assert said(report) == [("red", pytest.approx(sigmoid(-2)), pytest.approx(sigmoid(-2)))]
    assert "of <strong>no class</strong> that it is there" in page(tmp_path, "images/black.html")


def test_a_single_score_is_one_class_against_the_rest(photos: Path, tmp_path: Path) -> None:
    report = built(photos, tmp_path, "Single", *WINDOWS, "--sections", "answers,occlusion")
    score = 10 * RED / 24 - 2
    assert said(report) == [("class 0", pytest.approx(sigmoid(score)), pytest.approx(score))]
    assert report["images"][0]["occlusion"]["flips"] == 2


@pytest.mark.parametrize(("asked", "label", "share"), [((), "red", RED), ((1,), "green", GREEN)])
def test_values_have_no_probability(
    asked: tuple[int, ...], label: str, share: int, photos: Path, tmp_path: Path
) -> None:
    target = ("--target", *asked) if asked else ()
    report = built(photos, tmp_path, "Colours", "--task", "regress", *target, labels=COLOURS)
    expected = [10 * RED / 24 - 2, 10 * GREEN / 24 - 2, -2.0]
    assert [(label, chance) for label, chance, _ in said(report)] == [
        ("red", None), ("green", None), ("blue", None),
    ]  # fmt: skip
    assert [value for _, _, value in said(report)] == pytest.approx(expected, abs=1e-6)
    explained = report["images"][0]["gradients"]
    assert (explained["label"], explained["score"]) == (label, "value")
    # From black, whose value is -2, each column of the colour adds ten 24ths.
    assert explained["attributed"] == pytest.approx(10 * share / 24, abs=1e-5)
    absent = {section["name"] for section in report["sections"] if section["absent"]}
    assert absent == {"occlusion", "trust"}
    assert not any(section["problem"] for section in report["sections"])
    text = page(tmp_path)
    assert (
        "<strong>red</strong> 1.333, <strong>green</strong> 0.5 and <strong>blue</strong>" in text
    )
    assert "no probability whose loss could be measured" in text
    assert "no probability whose loss could be measured" in page(tmp_path, "trust.html")


def shares(columns: int, of: int = 24) -> list[float]:
    """Of background, red, green and blue, where so many columns are red, the rest black."""
    scores = np.zeros((of, 4))
    scores[:, 1:] = -4
    scores[:columns, 1] += 8
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return chances.mean(0).tolist()


def test_maps_are_told_by_their_share_of_the_picture(tmp_path: Path) -> None:
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, :RED, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "stripe.png")
    names = f"__background__\n{COLOURS}"
    more = (*WINDOWS, "--sections", "answers,occlusion,gradcam,gradients")
    report = built(tmp_path / "stripe.png", tmp_path, "Painter", *more, labels=names)
    assert report["model"]["task"] == "segment"
    expected = dict(zip(names.split(), shares(RED), strict=True))
    found = {label: chance for label, chance, _ in said(report)}
    assert found == pytest.approx(expected, abs=1e-6)
    assert [math.exp(score) for _, _, score in said(report)] == pytest.approx(
        [chance for _, chance, _ in said(report)], abs=1e-6
    )
    hidden = report["images"][0]["occlusion"]
    # The background is larger, and nobody wants it explained.
    assert said(report)[0][0] == "__background__"
    assert (hidden["label"], hidden["target_source"]) == (
        "red", "largest class beside the background",
    )  # fmt: skip
    with np.load(tmp_path / "report" / "arrays" / "occlusion.npz") as arrays:
        drops = arrays["stripe.array"]
    lost = shares(RED)[1] - shares(RED - 4)[1]
    np.testing.assert_allclose(drops, [[lost, lost, 0, 0, 0, 0]], atol=1e-6)
    with np.load(tmp_path / "report" / "arrays" / "gradcam.npz") as arrays:
        evidence = arrays["stripe.gradcam"]
    assert (evidence[:, :RED] > 0).all() and (evidence[:, RED:] <= 0).all()
    assert "of the picture to <strong>red</strong>" in page(tmp_path, "images/stripe.html")


def test_boxes_have_no_class_to_explain(photos: Path, tmp_path: Path) -> None:
    report = built(photos, tmp_path, "Finder", "--fail-on", "nonfinite>0")
    assert (report["model"]["task"], report["model"]["classes"]) == ("detect", 0)
    relu = next(layer for layer in report["layers"] if layer["name"] == "relu")
    assert (relu["units"], relu["dead_units"]) == (4, [2, 3])  # blue, and what is below zero
    assert relu["mean"] == pytest.approx((RED + GREEN) / 24 / 4)
    absent = {section["name"] for section in report["sections"] if section["absent"]}
    assert absent == {"gradient_flow", "occlusion", "gradcam", "gradients", "trust"}
    assert not any(section["problem"] for section in report["sections"])
    assert {"answers", "activations", "kernels", "weights", "dead_filters"}.isdisjoint(absent)
    assert page(tmp_path).count("it gives boxes, and no score for a class") == 3
    assert not {finding["kind"] for finding in report["findings"]} & {"non-finite-output"}


def test_there_is_no_class_of_boxes_to_ask_for(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(*words(photos, tmp_path, "Finder", "--target", "red")) == 2
    assert "--target red: the network gives boxes, and no classes." in capsys.readouterr().err


def test_what_gives_boxes_is_not_pruned(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(colours.Finder().state_dict(), tmp_path / "net.pth")
    command = ["prune", tmp_path / "net.pth", photos, "-q", "-o", tmp_path / "small.pth"]
    command += ["--arch", f"{Path(colours.__file__)}:Finder", "--input-size", *SIZE]
    assert left_with(*command) == 4
    assert "net.pth cannot be pruned: it gives boxes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "task", "words_said"),
    [
        ("Painter", "classify", "gives a map of scores for each class; leave --task out"),
        ("Colours", "segment", "gives numbers for an image as a whole; give classify, multilabel"),
        ("Finder", "multilabel", "gives boxes around objects; leave --task out"),
    ],
)
def test_another_task_than_that_of_the_output_is_refused(
    name: str,
    task: str,
    words_said: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert left_with(*words(photos, tmp_path, name, "--task", task)) == 2
    assert f"--task {task}: the network {words_said}" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "report").exists()
