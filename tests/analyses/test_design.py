"""The section on frequencies, strides and width: real small networks with planted kernels."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.analyses import redundancy
from reportgen.analyses.design import DRAWN, run
from reportgen.analyses.study import Outcome, Study
from reportgen.load.images import image_set
from reportgen.probe.correlation import Moments
from tests.analyses.planted import preparation
from tests.analyses.test_gradcam import squeezenet, study_with
from tests.analyses.test_gradient_flow import sample
from tests.probe.nets import seeded
from tests.probe.test_sampling import gaussian, literal, share_above

PHOTOS = Path(__file__).parents[2] / "sample_models/photos"
SIZE = (132, 164)


def photographs() -> Sequence[torch.Tensor]:
    """Four real photos (c h w) in [0, 1]."""
    images = image_set((PHOTOS,), preparation(size=SIZE))
    return [images.pixels(index) for index in range(4)]


def outcome_of(study: Study) -> Outcome:
    """With the look-alikes that the section reads its dimensions from."""
    study.__dict__["earlier"] = {"redundancy": redundancy.run(study)}
    return run(study)


def gratings(frequencies: Sequence[float], side: int, filters: int = 8) -> torch.Tensor:
    """Kernels (filters 3 side side): waves under a Gaussian, of all directions, grey."""
    down, across = np.indices((side, side)) - side // 2
    kernels = []
    for number in range(filters):
        frequency = frequencies[number % len(frequencies)]
        angle = math.pi * (number + 0.3) / filters
        phase = across * math.cos(angle) + down * math.sin(angle)
        kernel = np.cos(2 * np.pi * frequency * phase) * gaussian(side, side / 5).numpy()
        if frequency:
            kernel -= kernel.sum() * gaussian(side, side / 5).numpy()
        kernels.append(np.broadcast_to(kernel / np.linalg.norm(kernel), (3, side, side)))
    return torch.from_numpy(np.stack(kernels)).float()


def first_layer(weight: torch.Tensor, stride: int) -> nn.Module:
    """A network whose first convolution has these kernels."""
    filters, channels, side, _ = weight.shape
    net = nn.Sequential(
        nn.Conv2d(channels, filters, side, stride, side // 2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(filters, 4),
    )
    net[0].weight.data[:] = weight
    return net.eval()


def row_of(outcome: Outcome, block: str, name: str) -> dict[str, object]:
    """The cells of one layer by the name of the column."""
    table = outcome.panels[""].blocks[block]
    names = [column.name for column in table.columns]
    (row,) = [row for row in table.rows if row[0].text == name]
    return dict(zip(names, row, strict=True))


@pytest.fixture(scope="module")
def fine_on_photos() -> dict[int, tuple[Outcome, torch.Tensor]]:
    """The same waves of 5 pixels, as AlexNet's first layer and as Zeiler and Fergus changed it."""
    made = {}
    for side, stride in ((11, 4), (7, 2)):
        weight = gratings([0.2], side)
        made[side] = run(study_with(first_layer(weight, stride), SIZE, photographs())), weight
    return made


@pytest.mark.parametrize(("side", "stride"), [(11, 4), (7, 2)])
def test_what_a_first_layer_folds_of_photos_is_that_of_a_literal_transform(
    fine_on_photos: dict[int, tuple[Outcome, torch.Tensor]], side: int, stride: int
) -> None:
    outcome, weight = fine_on_photos[side]
    images = (torch.stack(list(photographs())) - 0.5) / 0.25
    dense = literal(F.conv2d(images, weight, None, 1, side // 2))
    row = row_of(outcome, "sampling", "0")
    before, after = (row[f"Too fine in what it {verb}"] for verb in ("reads", "samples"))
    assert before == pytest.approx(share_above(literal(images), (stride, stride)), abs=1e-4)
    assert after == pytest.approx(share_above(dense, (stride, stride)), abs=1e-4)
    if stride == 4:
        half = row["With half the stride"]
        assert half == pytest.approx(share_above(dense, (2, 2)), abs=1e-4)
        assert half < 0.25 * after


def test_alexnets_first_layer_is_found_and_the_change_mends_it(
    fine_on_photos: dict[int, tuple[Outcome, torch.Tensor]],
) -> None:
    (finding,) = fine_on_photos[11][0].findings
    assert (finding.severity, finding.kind) == ("warning", "aliasing")
    assert finding.href == "design.html#at-0"
    row = row_of(fine_on_photos[11][0], "sampling", "0")
    said = re.search(
        r"^0 \(11 x 11, stride 4\): (\S+) % of the energy it samples is finer than stride 4 can "
        r"carry .*; of what it reads, (\S+) % is\. Stride 2 would bring it to (\S+) %, a 3 x 3 "
        r"blur before sampling to (\S+) %\.$",
        finding.text,
    )
    assert said, finding.text
    told = [row[f"Too fine in what it {verb}"] for verb in ("samples", "reads")]
    told += [row["With half the stride"], row["With a blur"]]
    assert [float(n) for n in said.groups()] == pytest.approx(
        [100 * share for share in told], abs=0.5
    )
    assert fine_on_photos[7][0].findings == ()


@pytest.mark.parametrize(
    ("frequencies", "kinds"),
    [
        ([0.0, 0.42], ["few-middle-frequencies"]),
        ([0.0, 0.18, 0.42], []),
        ([0.18], []),
        ([0.0], []),
        ([0.42], []),
    ],
    ids=["coarse and fine", "all three", "middle", "coarse", "fine"],
)
def test_kernels_without_a_middle_are_found(frequencies: list[float], kinds: list[str]) -> None:
    outcome = run(study_with(first_layer(gratings(frequencies, 11, 12), 1)))
    assert [finding.kind for finding in outcome.findings] == kinds
    row = row_of(outcome, "frequencies", "0")
    shares = [row[f"Kernels: {band}"] for band in ("coarse", "middle", "fine")]
    assert sum(shares) == pytest.approx(1)
    wanted = {0.0: 0, 0.18: 1, 0.42: 2}
    for frequency in frequencies:
        assert shares[wanted[frequency]] > 0.6 / len(frequencies)
    for finding in outcome.findings:
        numbers = [float(n) for n in re.findall(r"(\S+) %", finding.text)]
        assert numbers == pytest.approx([100 * share for share in shares], abs=0.5)


def test_small_kernels_have_no_octaves_to_miss() -> None:
    weight = gratings([0.0, 0.5], 3, 12)
    assert run(study_with(first_layer(weight, 1))).findings == ()


def test_later_layers_are_remarks_and_only_where_they_are_like_noise() -> None:
    """Of noise that a 1 x 1 convolution passes on, stride 2 folds three quarters."""

    def net(spread: float) -> nn.Module:
        made = nn.Sequential(
            nn.Conv2d(3, 3, 1),
            nn.Conv2d(3, 3, 5, 2, 2, groups=3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        made[1].weight.data[:] = gaussian(5, spread).float()
        return made.eval()

    noise = torch.rand(2, 3, 60, 76, generator=torch.Generator().manual_seed(1)).unbind()
    (finding,) = run(study_with(net(1e-3), (60, 76), noise)).findings
    assert (finding.severity, finding.kind) == ("info", "aliasing")
    assert finding.text.startswith("1 (5 x 5, stride 2): 7") and "Stride 1" not in finding.text
    assert run(study_with(net(0.8), (60, 76), noise)).findings == ()


def test_repeated_units_use_as_many_dimensions_as_there_are_independent_ones() -> None:
    """Five units that are orthogonal and as large, each four times, with any sign and level."""
    waves = np.linalg.qr(np.random.default_rng(0).normal(size=(200, 6)))[0]
    waves -= waves.mean(0)
    independent = np.linalg.qr(waves)[0][:, :5]
    values = np.tile(independent, 4).T * np.repeat([1, -1, 1, -1], 5)[:, None] + 7
    moments = Moments()
    for part in torch.from_numpy(np.vstack([values, np.full((1, 200), 0.1)])).split(37, 1):
        moments.update(part)
    assert moments.alike().dimensions == pytest.approx(5)


@pytest.mark.parametrize("units", [2, 7])
def test_the_participation_ratio_is_that_of_the_eigenvalues(units: int) -> None:
    values = np.random.default_rng(1).normal(size=(units, 90)).cumsum(0)
    moments = Moments()
    moments.update(torch.from_numpy(values))
    eigenvalues = np.linalg.eigvalsh(np.cov(values))
    expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    assert moments.alike().dimensions == pytest.approx(expected)


def test_units_that_never_vary_or_are_not_finite_have_no_dimensions() -> None:
    for value in (0.1, math.nan):
        moments = Moments()
        moments.update(torch.full((3, 40), value))
        assert math.isnan(moments.alike().dimensions)


def wide(copies: int) -> nn.Module:
    """Three channels of noise, passed on `copies` times each."""
    net = nn.Sequential(
        nn.Conv2d(3, 3 * copies, 5, padding=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3 * copies, 4),
    )
    net[0].weight.data.zero_()
    for unit in range(3 * copies):
        net[0].weight.data[unit, unit % 3, 2, 2] = 1
    net[0].bias.data[0] = -1000
    return net.eval()


def test_a_layer_that_says_the_same_over_and_over_is_found() -> None:
    outcome = outcome_of(study_with(wide(25), (40, 52)))
    row = row_of(outcome, "width", "0")
    assert row["Used"] == pytest.approx(3, abs=0.05)
    assert (row["Units"], row["At most"], row["Values"]) == (75, 75, 2 * 40 * 52)
    assert (row["Dead"], row["Copies"], row["Near twins"]) == (1, 75, 0)
    (finding,) = outcome.findings
    assert (finding.severity, finding.kind, finding.href) == (
        "info", "low-rank", "design.html#width",
    )  # fmt: skip
    assert finding.text == (
        f"0: its 75 units vary in about {row['Used']:.1f} dimensions of 75 possible "
        "(participation ratio, over 4,160 positions of the pictured images)."
    )


@pytest.mark.parametrize(
    ("build", "size"), [(lambda: wide(6), (40, 52)), (lambda: wide(25), (12, 16))],
    ids=["narrow", "few values"],
)  # fmt: skip
def test_enough_dimensions_or_too_few_values_are_no_finding(
    build: Callable[[], nn.Module], size: tuple[int, int]
) -> None:
    assert outcome_of(study_with(build(), size)).findings == ()


def test_without_look_alikes_dimensions_are_not_known() -> None:
    row = row_of(run(study_with(wide(2))), "width", "0")
    assert row["Used"] is None and row["Copies"] is None and row["Units"] == 6


def test_patches_are_said_to_be_meant() -> None:
    net = nn.Sequential(nn.Conv2d(3, 20, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    outcome = run(study_with(net, (48, 64)))
    assert outcome.findings == ()
    (words,) = outcome.panels[""].facts["words"]
    assert "side by side" in words and "20 units stand for the 192 values of a patch" in words
    row = row_of(outcome, "sampling", "0")
    assert row["Too fine in what it samples"] is None
    assert row["Too fine in what it reads"] == pytest.approx(63 / 64, abs=0.02)


def test_values_that_are_no_numbers_say_nothing() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    net[0].weight.data[1, 0, 0, 0] = math.nan
    outcome = outcome_of(study_with(net, (40, 52)))
    assert outcome.findings == ()
    assert row_of(outcome, "sampling", "1")["Too fine in what it samples"] is None
    assert np.isnan(outcome.panels[""].arrays["given"][1]).all()
    assert row_of(outcome, "width", "0")["Used"] is None


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 20 * 28, 4)),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)),
    ],
    ids=["linear", "mean"],
)
def test_without_windows_there_is_nothing_to_say(net: nn.Module) -> None:
    outcome = run(study_with(net.eval(), (20, 28)))
    facts = outcome.panels[""].facts
    assert facts["layers"] == () and facts["wide"] == 0 and outcome.findings == ()


def test_of_many_layers_the_strided_ones_are_drawn_and_all_are_in_the_table() -> None:
    layers = [nn.Conv2d(3, 3, 3, 1, 1) for _ in range(DRAWN + 9)]
    layers[-1] = nn.Conv2d(3, 3, 3, 2, 1)
    layers[4] = nn.Conv2d(3, 3, 3, 2, 1)
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    outcome = run(study_with(net, (40, 52)))
    facts = outcome.panels[""].facts
    drawn = facts["drawn"]
    assert len(drawn) == DRAWN and {"4", str(DRAWN + 8)} <= set(drawn)
    assert list(drawn) == sorted(drawn, key=int) and len(facts["layers"]) == DRAWN + 9
    assert len(outcome.panels[""].blocks["frequencies"].rows) == DRAWN + 9
    assert outcome.panels[""].arrays["kernels"].shape[0] == DRAWN


@pytest.mark.parametrize(
    "study",
    [
        lambda: sample("lenet"),
        lambda: sample("small_resnet"),
        lambda: study_with(squeezenet(), SIZE, photographs()),
    ],
    ids=["lenet", "small_resnet", "squeezenet"],
)
def test_trained_networks_give_no_finding(study: Callable[[], Study]) -> None:
    outcome = outcome_of(study())
    assert outcome.findings == ()
    used = [row[4] for row in outcome.panels[""].blocks["width"].rows]
    assert all(0 < share <= 1 for share in used if share is not None) and any(used)


def test_layers_that_are_not_observed_are_left_aside() -> None:
    study = study_with(seeded(lambda: first_layer(gratings([0.2], 5), 2)).float(), (40, 52))
    study.__dict__["evidence"] = study.evidence.__class__(**{**vars(study.evidence), "layers": {}})
    assert run(study).panels[""].facts["layers"] == ()
