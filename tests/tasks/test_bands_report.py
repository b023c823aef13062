"""A whole report of a network that takes four bands, from arrays: its numbers are known by hand."""

import json
import math
from pathlib import Path

import numpy as np
import torch

from tests.conftest import left_with
from tests.tasks import colours


def test_a_network_of_four_bands_has_a_whole_report(tmp_path: Path) -> None:
    pixels = np.zeros((4, 16, 24), np.float32)
    pixels[0, :, :6] = 1  # soil: a quarter is red
    pixels[3, :, 12:] = 0.8  # leaves: half is bright in the fourth band
    (tmp_path / "fields").mkdir()
    np.save(tmp_path / "fields" / "field.npy", pixels)
    (tmp_path / "labels.txt").write_text("soil\nleaves\n")
    torch.save(colours.Leaves().state_dict(), tmp_path / "net.pth")
    command = ["build", tmp_path / "net.pth", tmp_path / "fields", "-q", "-o", tmp_path / "report"]
    command += ["--arch", f"{Path(colours.__file__)}:Leaves", "--labels", tmp_path / "labels.txt"]
    command += ["--input-size", 16, 24, "--mean", *"0000", "--std", *"1111", "--visualise", 1]
    command += ["--occlusion-window", 16, 12, "--occlusion-stride", 16, 12, "--save-arrays"]
    assert left_with(*command) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert not any(section["problem"] or section["absent"] for section in report["sections"])
    assert report["model"]["preprocessing"]["channels"] == 4
    said = {guess["label"]: guess["logit"] for guess in report["images"][0]["predictions"]}
    assert {name: round(score, 5) for name, score in said.items()} == {"soil": 1, "leaves": 1.6}
    with np.load(tmp_path / "report" / "arrays" / "occlusion.npz") as arrays:
        drops = arrays["field.logit_array"]
    np.testing.assert_allclose(drops, [[0, 1.6]], atol=1e-6)  # all leaves are on the right
    relu = next(layer for layer in report["layers"] if layer["name"] == "relu")
    assert relu["dead_units"] == [1, 2]  # green and blue hold nothing
    assert math.isclose(relu["mean"], (0.25 + 0.4) / 4, rel_tol=1e-6)
    page = (tmp_path / "report" / "images" / "field.html").read_text(encoding="utf-8")
    assert "Shown are the first three of 4 bands, as red, green and blue." in " ".join(page.split())
