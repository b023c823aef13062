"""Precisions of the pass: what they round, what stays float32, and what the page says of it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from reportgen.errors import OptionError
from reportgen.probe.evidence import CallKey
from reportgen.probe.precision import Rounding, at_precision, rounding
from reportgen.probe.probe import Probe
from tests.conftest import LENET_WORDS, left_with
from tests.probe.nets import Residual, batches_of, photos
from tests.tasks import colours

IMAGES = photos(6).float()


def net() -> nn.Module:
    torch.manual_seed(2)
    return Residual().eval()


@pytest.mark.parametrize(
    ("precision", "kind", "bits"), [("bf16", torch.bfloat16, 8), ("fp16", torch.float16, 11)]
)
def test_the_pass_rounds_as_autocast_does_and_keeps_float32_statistics(
    precision: str, kind: torch.dtype, bits: int
) -> None:
    module = net()
    probe = Probe(module, "cpu", 3, precision)  # type: ignore[arg-type]
    found = probe.collect(batches_of(IMAGES), 6, [0], keep_arrays=True)
    with torch.no_grad(), torch.autocast("cpu", dtype=kind):
        by_hand = module.conv1(IMAGES)
        scores = module(IMAGES).float()
    assert by_hand.dtype == kind
    values = by_hand.double().transpose(0, 1).flatten(1)
    conv = found.layers[CallKey("conv1")]
    np.testing.assert_allclose(conv.mean, values.mean(1), rtol=2**-bits, atol=1e-4)
    np.testing.assert_allclose(conv.maximum, values.amax(1), rtol=2**-bits)
    picture = found.pictures[0][CallKey("conv1")]
    assert picture.full.dtype == np.float32  # type: ignore[union-attr]
    # The values themselves are rounded: no more bits than the format has.
    assert torch.equal(
        torch.from_numpy(picture.full).to(kind).float(), torch.from_numpy(picture.full)
    )  # type: ignore[union-attr]
    for answer, row in zip(found.answers, scores, strict=True):
        np.testing.assert_allclose(
            answer.logits, np.sort(row.numpy())[::-1], rtol=2.0 ** (2 - bits)
        )
    # What is asked of single images is not rounded.
    with torch.no_grad():
        assert torch.allclose(probe.logits(IMAGES), module(IMAGES), rtol=1e-5, atol=1e-6)


def test_the_difference_is_that_of_two_runs_by_hand() -> None:
    module = net()
    probe = Probe(module, "cpu", 3, "bf16")
    found = rounding(probe, IMAGES)
    score = probability = 0.0
    changed = 0
    with torch.no_grad():
        for image in IMAGES:
            exact = module(image[None])[0]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                other = module(image[None])[0].float()
            score = max(score, float((exact - other).abs().max()))
            shares = [(row.exp() / row.exp().sum()) for row in (exact, other)]
            probability = max(probability, float((shares[0] - shares[1]).abs().max()))
            changed += int(exact.argmax()) != int(other.argmax())
    assert found.score > 0
    assert found.score == pytest.approx(score, rel=0.05)
    assert found.probability == pytest.approx(probability, rel=0.05)
    assert (found.images, found.changed) == (6, changed)
    sentence = Rounding(10, 0.0312, 12.4, 0.004, 1).sentence("bf16")
    assert "to 8 bits" in sentence and "at most 0.0312 (they reach 12.4)" in sentence
    assert "1 of 10 answers change" in sentence


@pytest.mark.parametrize("task", ["multilabel", "regress"])
def test_the_difference_is_that_of_the_task(task: str) -> None:
    module = net()
    probe = Probe(module, "cpu", 3, "bf16")
    probe.task = task  # type: ignore[assignment]
    with torch.no_grad():
        exact = torch.cat([module(image[None]) for image in IMAGES])
        # So that rounding moves scores over zero, and no image has another largest one.
        module.fc.bias -= exact[0]
        exact = torch.cat([module(image[None]) for image in IMAGES])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            other = torch.cat([module(image[None]).float() for image in IMAGES])
    found = rounding(probe, IMAGES)
    assert found.score == pytest.approx(float((exact - other).abs().max()), rel=0.05)
    sentence = found.sentence("bf16")
    if task == "regress":
        assert (found.probability, found.changed) == (None, None)
        assert f"fp32: values differ by at most {found.score:.3g} (they reach" in sentence
        assert "probabilities" not in sentence and "answers" not in sentence
    else:
        assert found.changed == int(((exact > 0) != (other > 0)).any(dim=1).sum()) > 0
        far = (exact.sigmoid() - other.sigmoid()).abs().max()
        assert found.probability == pytest.approx(float(far), rel=0.05)
        assert f"{found.changed} of 6 answers change" in sentence


def test_a_score_that_is_not_finite_is_no_small_difference() -> None:
    class Overflowing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(1, 2)
            nn.init.constant_(self.line.weight, 3e4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            once = self.line(images.mean((1, 2, 3))[:, None] * 0 + 3e4)
            return once - once.float().roll(1, dims=1)

    found = rounding(Probe(Overflowing().eval(), "cpu", 3, "fp16"), IMAGES[:2])
    assert math.isnan(found.score)


def test_the_settings_of_pytorch_are_as_they_were() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with pytest.raises(KeyError), at_precision("tf32", torch.device("cuda")):
        assert torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]
        with at_precision("fp32", torch.device("cuda")):
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"  # type: ignore[attr-defined]
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        raise KeyError
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
    assert not torch.is_autocast_enabled("cpu")


def test_what_a_device_does_not_have_is_refused() -> None:
    with pytest.raises(OptionError, match=r"--precision tf32: cpu has no such .*, or give bf16"):
        Probe(net(), "cpu", 3, "tf32")


def test_the_page_says_it(tmp_path) -> None:
    words = (*LENET_WORDS, "--sections", "answers", "-q", "-o", tmp_path / "report")
    assert left_with(*words, "--precision", "bf16") == 0
    record = json.loads((tmp_path / "report/report.json").read_text())
    (told,) = [note for note in record["notes"] if "(--precision)" in note]
    assert "Measured on 10 pictured images against fp32: scores differ by at most" in told
    about = (tmp_path / "report/about.html").read_text()
    assert f"in evaluation mode and bf16, and is left as it was found. {told}" in about
    assert "--precision bf16" in record["provenance"]["command"]


def test_of_boxes_no_difference_is_measured_and_the_page_says_so(tmp_path) -> None:
    torch.save(colours.Finder().state_dict(), tmp_path / "net.pth")
    Image.new("RGB", (24, 16), "red").save(tmp_path / "red.png")
    words = ["build", tmp_path / "net.pth", tmp_path / "red.png", "-q", "-o", tmp_path / "report"]
    words += ["--arch", f"{Path(colours.__file__)}:Finder", "--input-size", 16, 24]
    words += ["--mean", *"000", "--std", *"111", "--sections", "answers", "--precision", "bf16"]
    assert left_with(*words) == 0
    record = json.loads((tmp_path / "report/report.json").read_text())
    (told,) = [note for note in record["notes"] if "(--precision)" in note]
    assert told.endswith("No difference to fp32 was measured: the network gives boxes.")
    assert "in bf16" in told and "Measured on" not in told
