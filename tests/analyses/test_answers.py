from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch import nn

from reportgen.analyses.answers import eight_bit, luck, peak_place, run
from reportgen.analyses.study import Study
from reportgen.probe.evidence import Answer
from reportgen.probe.probe import Probe
from reportgen.report.arrays import Pixels
from reportgen.report.places import place_of
from reportgen.report.records import Finding
from tests.analyses.planted import a_call, an_answer, evidence_of, preparation, study_of

RNG = np.random.default_rng(7)


def with_files(study: Study, folder: Path) -> Study:
    """The same study with a file of 30 x 50 pixels behind each image."""
    for file in study.images.files:
        noise = RNG.integers(0, 255, (30, 50, 3), dtype=np.uint8)
        Picture.fromarray(noise).save(folder / file.path)
        object.__setattr__(file, "location", folder / file.path)
    return study


def findings(answers: list[Answer], true: dict[int, int] | None = None) -> list[Finding]:
    study = study_of(evidence_of([], answers, pictured=()), true=true)
    return list(run(study).findings)


def test_the_panel_shows_input_file_and_depth(tmp_path: Path) -> None:
    maps = [RNG.normal(size=(2, 4, 6, 8)).astype(np.float32) for _ in range(2)]
    vector = RNG.normal(size=(2, 3)).astype(np.float32)
    layers = [(a_call("a", maps[0]), maps[0]), (a_call("fc", vector), vector)]
    layers.append((a_call("b", maps[1]), maps[1]))
    study = with_files(study_of(evidence_of(layers, pictured=(1,))), tmp_path)
    panels = run(study).panels
    assert list(panels) == ["photo1"]
    blocks = panels["photo1"].blocks
    seen = blocks["seen"].pixels.values()
    expected = (study.images.pixels(1) * 255).round().permute(1, 2, 0).numpy()
    assert seen.shape == (7, 9, 3) and (seen == expected).all()
    assert (blocks["file"].pixels.height, blocks["file"].pixels.width) == (30, 50)
    assert [slug for slug, *_ in blocks["depth"].maps] == ["a", "b"]
    _, _, low, high = blocks["depth"].maps[1]
    mean = maps[1][1].mean(axis=0)
    assert (low, high) == (pytest.approx(mean.min()), pytest.approx(mean.max()))
    words = panels["photo1"].facts["depth_peaks"]
    for values, word in zip(maps, words, strict=True):
        row, column = np.argwhere(values[1].mean(axis=0) == values[1].mean(axis=0).max())[0]
        assert word == place_of(((row + 0.5) / 6, (column + 0.5) / 8))


def test_a_flat_map_has_nopeak_place() -> None:
    flat = Pixels.of(np.zeros((4, 5), np.uint8), "flat")
    assert peak_place(flat, 2.0, 2.0) == peak_place(flat, float("nan"), float("nan")) == ""


def test_a_large_photo_stands_in_lists_in_a_tenth_of_its_bytes(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:300, :200]
    rng = np.random.default_rng(3)
    smooth = np.stack([rows % 256, columns, (rows + columns) // 2], axis=2)
    pixels = torch.from_numpy((smooth + rng.integers(0, 9, smooth.shape)).clip(0, 255) / 255)
    maps = RNG.normal(size=(2, 4, 6, 8)).astype(np.float32)
    study = with_files(study_of(evidence_of([(a_call("a", maps), maps)], pictured=(1,))), tmp_path)
    study.images.pixels = lambda index: pixels.permute(2, 0, 1).float()
    blocks = run(study).panels["photo1"].blocks
    seen, small = (blocks[name].pixels for name in ("seen", "small"))
    assert (seen.values() == eight_bit(pixels.permute(2, 0, 1))).all()
    assert seen.path.endswith(".webp") and small.path != seen.path
    assert len(small.content) < len(seen.content) / 5
    assert np.abs(small.values().astype(int) - seen.values()).mean() < 6


@pytest.mark.parametrize("true", [0, 6])
def test_the_rank_of_the_true_class_is_known_beyond_the_first_five(
    true: int, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Flatten(), nn.Linear(189, 9))
    probe = Probe(module, "cpu", 2)
    study = study_of(evidence_of([], [an_answer([0.0])]), module, probe=probe)
    logits = probe.logits(study.images.normalise(study.images.pixels(0)[None]))[0]
    answers = [an_answer(logits.tolist())]
    order = logits.argsort(descending=True).tolist()
    study = study_of(
        evidence_of([], answers), module, probe=probe, labels="abcdefghi", true={0: order[true]}
    )
    facts = run(with_files(study, tmp_path)).panels["photo0"].facts
    assert facts["target_rank"] == true + 1
    chance = logits.double().softmax(0)[order[true]].item()
    assert facts["true_probability"] == pytest.approx(chance)


def test_no_rank_without_a_true_class(tmp_path: Path) -> None:
    study = with_files(study_of(evidence_of([], [an_answer([1.0, 2.0])])), tmp_path)
    assert set(run(study).panels["photo0"].facts.values()) == {None}


def test_levels_of_grey_colour_and_other_channels() -> None:
    assert eight_bit(torch.tensor([[[0.0, 0.5, 1.0]]])).tolist() == [[0, 128, 255]]
    assert eight_bit(torch.rand(3, 4, 5)).shape == (4, 5, 3)
    assert eight_bit(torch.tensor([[[0.0]], [[1.0]]])).tolist() == [[0]]  # the first of two
    assert eight_bit(torch.tensor([0.0, 1.0, 0.2, 0.9])[:, None, None]).tolist() == [[[0, 255, 51]]]


def test_a_single_score_is_never_called_unsure() -> None:
    lone = Answer(np.array([0]), np.array([0.1]), np.array([0.1]))
    study = study_of(evidence_of([], [lone], pictured=(), classes=1))
    assert list(run(study).findings) == []


def test_confident_mistakes_unsure_images_and_missing_answers() -> None:
    answers = [
        an_answer([9.0, 0.0, 0.0, 0.0]),  # sure and wrong
        an_answer([0.0, 0.1, 0.0, 0.1]),  # unsure
        an_answer([1.0, float("nan"), 0.0, 0.0]),
        an_answer([0.0, 9.0, 0.0, 0.0]),  # sure and right
    ]
    found = findings(answers, {0: 2, 3: 1})
    kinds = {finding.kind: finding for finding in found}
    assert set(kinds) == {"confident-mistakes", "low-confidence", "non-finite-output"}
    assert "photo0.png is owl, but the network says cat with" in kinds["confident-mistakes"].text
    assert "photo1.png" in kinds["low-confidence"].text
    assert kinds["non-finite-output"].severity == "error"


def test_two_classes_need_more_than_a_coin_to_be_sure() -> None:
    assert [f.kind for f in findings([an_answer([0.3, 0.0, -20.0])])] == []
    study = study_of(evidence_of([], [an_answer([0.3, 0.0])], pictured=(), classes=2))
    assert [finding.kind for finding in run(study).findings] == ["low-confidence"]


def test_luck_is_the_binomial_tail() -> None:
    draws = np.random.default_rng(0).binomial(20, 0.1, 200_000)
    assert luck(4, 20, 0.1) == pytest.approx(float((draws >= 4).mean()), abs=0.003)
    assert luck(0, 20, 0.1) == pytest.approx(1)
    assert luck(20, 20, 0.5) == pytest.approx(comb(20, 20) * 0.5**20)


def test_answers_no_better_than_guessing() -> None:
    always_cat = [an_answer([5.0, 0.0, 0.0])] * 12
    found = findings(always_cat, {index: index % 3 for index in range(12)})
    kinds = [(finding.severity, finding.kind) for finding in found]
    assert kinds[:2] == [("error", "chance-accuracy"), ("error", "one-answer")]
    assert "4 of 12 labelled images are right (33 %)" in found[0].text
    assert [kind for _, kind in kinds[2:]] == ["confident-mistakes"] * 4
    assert found[-1].text == "And 5 more images like this."


def test_a_good_network_gives_nothing() -> None:
    answers = [an_answer(np.eye(3)[index % 3] * 6) for index in range(12)]
    assert findings(answers, {index: index % 3 for index in range(12)}) == []


def test_random_forward_passes_and_assumed_preprocessing() -> None:
    evidence = evidence_of([], [an_answer([4.0, 0.0])], pictured=(), is_deterministic=False)
    prepared = preparation(is_assumed=True, source="no mean is known; 0.5 is assumed")
    found = run(study_of(evidence, preprocessing=prepared)).findings
    assert [(f.severity, f.kind) for f in found] == [
        ("warning", "stochastic-forward"),
        ("info", "assumed-preprocessing"),
    ]
    assert found[1].text.endswith("no mean is known; 0.5 is assumed.")
