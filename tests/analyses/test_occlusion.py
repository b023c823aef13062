from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses.occlusion import METHODS, run
from reportgen.analyses.occlusion_results import window_and_stride
from reportgen.analyses.study import Study
from reportgen.analyses.targets import target_index
from reportgen.errors import OptionError
from reportgen.options import Options
from reportgen.probe.probe import Probe
from tests.analyses.planted import a_call, an_answer, evidence_of, preparation, study_of

SIZE = (14, 21)


class Patch(nn.Module):
    """Sees one place only: the first class is how bright it is there, the others are constant."""

    def __init__(self, rows: slice, columns: slice, gain: float = 8) -> None:
        super().__init__()
        self.rows, self.columns, self.gain = rows, columns, gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pixels = x * 0.25 + 0.5
        bright = pixels[:, :, self.rows, self.columns].mean(dim=(1, 2, 3)) * self.gain
        other = torch.full_like(bright, 0.3 * self.gain)
        return torch.stack([bright, other, other - 1], dim=1)


def study_with(module: nn.Module, true: dict[int, int] | None = None, **options: Any) -> Study:
    values = np.zeros((2, 3), dtype=np.float32)
    prepared = preparation(size=SIZE)
    probe = Probe(module, "cpu", 4)
    chosen = Options(Path("model.pth"), (Path("images"),), **options)
    arguments: dict[str, Any] = {"preprocessing": prepared, "options": chosen, "probe": probe}
    draft = study_of(evidence_of([(a_call("x", values), values)]), module, **arguments)
    logits = probe.logits(
        draft.images.normalise(torch.stack([draft.images.pixels(i) for i in (0, 1)]))
    )
    answers = [an_answer(row.tolist()) for row in logits]
    evidence = evidence_of([(a_call("x", values), values)], answers, pictured=(0, 1))
    return study_of(evidence, module, true=true, **arguments)


def test_the_map_is_a_literal_loop_over_positions() -> None:
    study = study_with(
        Patch(slice(2, 6), slice(12, 18)), occlusion_window=(5, 4), occlusion_stride=(3, 4)
    )
    panel = run(study).panels["photo1"]
    pixels = study.images.pixels(1)
    rows, columns = 4, 6  # ceil((14 - 5) / 3) + 1, ceil((21 - 4) / 4) + 1

    def scores(image: torch.Tensor) -> torch.Tensor:
        return study.loaded.module(study.images.normalise(image[None]))[0].double()

    clean = scores(pixels)
    assert panel.arrays["array"].shape == (rows, columns)
    for row in range(rows):
        for column in range(columns):
            hidden = pixels.clone()
            hidden[:, row * 3 : row * 3 + 5, column * 4 : column * 4 + 4] = 0.5
            after = scores(hidden)
            target = panel.facts["target"]
            drop = clean.softmax(0)[target] - after.softmax(0)[target]
            assert panel.arrays["array"][row, column] == pytest.approx(drop.item(), abs=1e-6)
            logit_drop = (clean - after)[target].item()
            assert panel.arrays["logit_array"][row, column] == pytest.approx(logit_drop, abs=1e-5)
            assert panel.arrays["answers"][row, column] == after.argmax().item()
    flips = panel.arrays["answers"] != clean.argmax().item()
    assert panel.facts["flips"] == flips.sum()
    assert (panel.blocks["probability"].marks == flips).all()


def test_facts_say_what_was_done() -> None:
    panel = run(study_with(Patch(slice(0, 4), slice(15, 21)))).panels["photo0"]
    facts = panel.facts
    assert (facts["window"], facts["stride"], facts["fill"]) == ((2, 2), (1, 1), "mean")
    assert facts["positions"] == 13 * 20
    drops = panel.arrays["array"]
    assert facts["peak_drop"] == drops.max()
    assert drops[facts["peak_row"], facts["peak_column"]] == drops.max()
    assert facts["peak_place"] == "upper right"
    assert panel.blocks["probability"].over.pixels.height == 14
    assert panel.blocks["probability"].window == (2, 2)


def test_the_target_is_the_true_class_else_the_predicted_one_else_what_was_asked_for() -> None:
    module = Patch(slice(0, 4), slice(0, 4))
    panels = run(study_with(module, true={0: 2})).panels
    assert (panels["photo0"].facts["target"], panels["photo0"].facts["target_source"]) == (
        2,
        "true class",
    )
    assert panels["photo1"].facts["target_source"] == "predicted class"
    assert panels["photo1"].facts["target"] == 0
    asked = run(study_with(module, true={0: 2}, target="dog")).panels["photo0"].facts
    assert (asked["target"], asked["label"], asked["target_source"]) == (1, "dog", "--target")


def test_target_by_name_by_number_or_an_error_with_the_nearest() -> None:
    labels = ("tabby", "tiger cat", "3", "Egyptian cat")
    assert target_index("", labels) is None
    assert [target_index(t, labels) for t in ("tiger cat", "TABBY", "3", "1")] == [1, 0, 2, 1]
    with pytest.raises(OptionError, match=r"--target taby: .* The nearest: tabby"):
        target_index("taby", labels)
    with pytest.raises(OptionError, match="Use a name, or 0 to 3"):
        target_index("17", labels)


@pytest.mark.parametrize(
    ("size", "asked", "expected"),
    [
        ((224, 224), {}, ((32, 32), (16, 16))),
        ((28, 28), {}, ((4, 4), (2, 2))),
        ((112, 300), {}, ((16, 16), (8, 8))),
        ((3, 3), {}, ((1, 1), (1, 1))),
        ((64, 64), {"occlusion_window": (10, 4)}, ((10, 4), (5, 2))),
        ((64, 64), {"occlusion_stride": (3, 9)}, ((9, 9), (3, 9))),
    ],
)
def test_default_window_and_stride(
    size: tuple[int, int], asked: dict[str, Any], expected: tuple[tuple[int, int], ...]
) -> None:
    options = Options(Path("model.pth"), (), **asked)
    assert window_and_stride(options, size) == expected


def test_a_network_that_looks_nowhere_gives_no_evidence() -> None:
    outcome = run(study_with(Patch(slice(0, 4), slice(0, 4), gain=0)))
    assert outcome.panels["photo0"].facts["has_evidence"] is False
    assert [f.kind for f in outcome.findings] == ["occlusion-no-effect"] * 2


def test_a_peak_at_the_border_is_found_and_one_in_the_middle_is_not() -> None:
    corner = Patch(slice(0, 3), slice(0, 3), gain=30)
    found = run(study_with(corner, occlusion_fill="black")).findings
    assert [f.kind for f in found] == ["occlusion-peak-outside"] * 2
    assert found[0].href.startswith("images/photo") and found[0].href.endswith(".html#occlusion")
    assert "where the upper left is hidden" in found[0].text
    middle = Patch(slice(6, 8), slice(9, 12), gain=30)
    assert run(study_with(middle, occlusion_fill="black")).findings == ()


def test_an_answer_that_most_occluders_change_is_fragile() -> None:
    module = Patch(slice(6, 8), slice(10, 12))
    study = study_with(module, occlusion_window=(8, 12), occlusion_fill="black")
    outcome = run(study)
    facts = outcome.panels["photo0"].facts
    assert (facts["positions"], facts["flips"]) == (9, 4)
    assert "fragile-answer" not in {finding.kind for finding in outcome.findings}
    whole = run(study_with(module, occlusion_window=SIZE, occlusion_fill="black"))
    fragile = [finding for finding in whole.findings if finding.kind == "fragile-answer"]
    assert fragile[0].text == (
        "photo0.png: the answer cat changes at 100 % of 1 occluder position."
    )


def test_outputs_that_are_not_finite_have_no_map() -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full((len(x), 3), float("nan"))

    assert run(study_with(Broken())).panels == {}


def test_progress_counts_every_position_of_every_image() -> None:
    told: list[tuple[int, int]] = []
    study = study_with(Patch(slice(0, 4), slice(0, 4)), occlusion_window=(7, 7))
    object.__setattr__(study, "progress", lambda done, total: told.append((done, total)))
    panels = run(study).panels
    total = 2 * panels["photo0"].facts["positions"]
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize(("gain", "is_read"), [(1e-3, True), (4e-5, False)])
def test_a_method_map_reads_no_order_into_rounding(gain: float, is_read: bool) -> None:
    study = study_with(Patch(slice(2, 9), slice(3, 12), gain))
    image = study.images.normalise(study.images.pixels(0))
    values = METHODS[0].map_of(study, study.probe, image, 0)
    assert values is not None and values.shape == SIZE
    assert bool(values.any()) is is_read
