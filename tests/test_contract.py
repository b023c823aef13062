"""Every section keeps the same promises, on every kind of network."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image as Picture
from torch import nn

from reportgen.analyses import ANALYSES
from reportgen.analyses.overview import verdict
from reportgen.analyses.study import Analysis, Outcome, Study
from reportgen.analyses.subjects import image_records, layer_records, parameter_records
from reportgen.load.images import image_set
from reportgen.load.model import LoadedModel
from reportgen.options import Options
from reportgen.probe.probe import Probe
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Atlas, Curves, Heatmap, Link, MapStrip, Photo, Strip, Table
from reportgen.report.records import Panel, Preprocessing

SIZE = (20, 28)
LABELS = ("cat", "dog", "<script>owl")


class Odd(nn.Module):
    """Reused and in-place modules, a bare function, groups, a transposed convolution, a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.depth = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn(self.conv(x)))
        x = self.relu(self.depth(x)) + x
        x = F.relu(self.up(x))
        return self.fc(x.mean(dim=(2, 3)))


class Broken(nn.Module):
    """Gives NaN from its second layer on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)
        with torch.no_grad():
            self.fc.weight[0, 0] = float("nan")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).relu().mean(dim=(2, 3)))


def flat(channels: int) -> int:
    return channels * SIZE[0] * SIZE[1]


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {
    "odd": (Odd, 3, 4),
    "one image": (Odd, 3, 1),
    "no convolution": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(flat(3), 5), nn.ReLU(), nn.Linear(5, 3)),
        3,
        3,
    ),
    "one linear layer": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(flat(1), 3)), 1, 3),
    "no rectifier, grey": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, (3, 5)),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
            nn.Softmax(1),
        ),
        1,
        3,
    ),
    "one score": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 2, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(2, 1)
        ),
        3,
        2,
    ),
    "all dead": (
        lambda: nn.Sequential(dead_convolution(), nn.ReLU6(), nn.Flatten(), nn.Linear(flat(2), 3)),
        3,
        3,
    ),
    "not finite": (Broken, 3, 2),
}


def dead_convolution() -> nn.Conv2d:
    layer = nn.Conv2d(3, 2, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(-1)
    return layer


def study_of(name: str, folder: Path) -> Study:
    make, channels, n = NETWORKS[name]
    torch.manual_seed(0)
    module = make().eval()
    rng = np.random.default_rng(1)
    for index in range(n):
        noise = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Picture.fromarray(noise).save(folder / f"photo {index}.png")
    prepared = Preprocessing(
        *SIZE, None, "bilinear", (0.5,) * channels, (0.25,) * channels, channels, "flag", False
    )
    images = image_set((folder,), prepared)
    probe = Probe(module, "cpu", 2)
    pictured = tuple(range(min(n, 2)))
    evidence = probe.collect(images.batches, n, pictured)
    labels = LABELS[: evidence.classes]
    true = [index % evidence.classes if index else None for index in range(n)]
    return Study(
        options=Options(Path("model.pth"), (folder,), occlusion_window=(9, 9)),
        loaded=LoadedModel(
            module, "model.pth", "0" * 64, "net", "flag", "state_dict", "float32", None,
            (), "", channels, None, (),
        ),
        images=images,
        evidence=evidence,
        probe=probe,
        layer_records=layer_records(evidence),
        image_records=image_records(images, evidence, labels, true, pictured),
        parameter_records=parameter_records(module),
        labels=labels,
    )  # fmt: skip


@pytest.fixture(scope="module", params=NETWORKS)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of(request.param, tmp_path_factory.mktemp("images"))


@pytest.fixture(params=ANALYSES, ids=lambda analysis: analysis.name)
def analysis(request: pytest.FixtureRequest) -> Analysis:
    found: Analysis = request.param
    return found


def state_of(module: nn.Module) -> tuple[object, ...]:
    """All that a section must not change."""
    weights = hashlib.sha256(
        b"".join(v.detach().numpy().tobytes() for v in module.state_dict().values())
    ).hexdigest()
    modes = tuple(part.training for part in module.modules())
    hooks = sum(len(p._forward_hooks) + len(p._forward_pre_hooks) for p in module.modules())
    grads = tuple((p.requires_grad, p.grad is None) for p in module.parameters())
    return weights, modes, hooks, grads, torch.get_rng_state().numpy().tobytes()


def pictures_in(block: object) -> list[Pixels]:
    if isinstance(block, MapStrip):
        return [pixels for _, pixels, _, _ in block.maps]
    if isinstance(block, Heatmap):
        return [] if block.over is None else [block.over.pixels]
    return [block.pixels] if isinstance(block, Atlas | Strip | Photo) else []


def same(first: Any, second: Any) -> bool:
    """Whether two blocks, panels or arrays hold the same values."""
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, tuple | list):
        return len(first) == len(second) and all(map(same, first, second))
    if hasattr(first, "__dataclass_fields__"):
        return type(first) is type(second) and same(vars(first), vars(second))
    if isinstance(first, float) and first != first:
        return bool(second != second)
    return bool(first == second)


def test_a_section_leaves_the_network_as_found_and_repeats_itself(
    study: Study, analysis: Analysis
) -> None:
    before = state_of(study.loaded.module)
    first = analysis.run(study)
    assert state_of(study.loaded.module) == before
    second = analysis.run(study)
    assert same(vars(first), vars(second))


def test_panels_belong_to_subjects_that_exist(study: Study, analysis: Analysis) -> None:
    panels = analysis.run(study).panels
    pictured = {image.slug for image in study.image_records if image.is_pictured}
    subjects = {
        "index": {""},
        "page": {""},
        "layer": {layer.slug for layer in study.layer_records},
        "image": pictured,
    }[analysis.place]
    assert set(panels) <= subjects
    if analysis.place in {"index", "page"}:
        assert set(panels) == {""}


def test_blocks_are_whole(study: Study, analysis: Analysis) -> None:
    outcome = analysis.run(study)
    slugs = {layer.slug for layer in study.layer_records}
    for panel in outcome.panels.values():
        for block in panel.blocks.values():
            for pixels in pictures_in(block):
                assert pixels.content and pixels.values().shape[:2] == (pixels.height, pixels.width)
                assert pixels.path.isascii() and pixels.path.startswith("img/")
            if not isinstance(block, Table | MapStrip) and hasattr(block, "alt"):
                assert block.alt.strip()
            if isinstance(block, Table):
                assert all(len(row) == len(block.columns) for row in block.rows)
            if isinstance(block, Curves):
                assert block.layers == tuple(layer.slug for layer in study.layer_records)
                assert all(len(curve.values) == len(block.layers) for curve in block.curves)
            if isinstance(block, MapStrip):
                assert {slug for slug, *_ in block.maps} <= slugs
            if isinstance(block, Atlas):
                rows = -(-block.count // block.columns)
                assert block.pixels.height == rows * (block.tile_height + 1) - 1
                assert block.pixels.width == block.columns * (block.tile_width + 1) - 1
                assert len(block.low) == len(block.high) == block.count
                assert len(block.labels) in {0, block.count}
                assert len({*block.order}) == len(block.order) in (0, min(block.count, 32))
                assert set(block.order) <= set(range(block.count))
            if isinstance(block, Heatmap):
                assert block.marks is None or block.marks.shape == block.values.shape


def test_facts_and_arrays_are_plain_data(study: Study, analysis: Analysis) -> None:
    for panel in analysis.run(study).panels.values():
        for fact in panel.facts.values():
            items = fact if isinstance(fact, tuple) else (fact,)
            assert all(type(item) in {str, int, float, bool, type(None)} for item in items)
        assert all(isinstance(array, np.ndarray) for array in panel.arrays.values())
        assert not set(panel.facts) & set(panel.arrays)
        for block in panel.blocks.values():
            if isinstance(block, Table):
                kinds = {type(cell) for row in block.rows for cell in row}
                assert kinds <= {str, int, float, bool, type(None), Link}


def pages_of(study: Study) -> set[str]:
    own = {f"{analysis.name}.html" for analysis in ANALYSES if analysis.place == "page"}
    layers = {f"layers/{layer.slug}.html" for layer in study.layer_records}
    images = {f"images/{image.slug}.html" for image in study.image_records if image.is_pictured}
    return own | layers | images | {"about.html", "layers/index.html", "images/index.html"}


def hrefs_in(outcome: Outcome) -> list[str]:
    tables = [
        block
        for panel in outcome.panels.values()
        for block in panel.blocks.values()
        if isinstance(block, Table)
    ]
    cells = [cell for table in tables for row in table.rows for cell in row]
    links = [cell.href for cell in cells if isinstance(cell, Link)]
    return links + [finding.href for finding in outcome.findings]


def test_links_lead_somewhere_and_findings_have_rules(study: Study, analysis: Analysis) -> None:
    outcome = analysis.run(study)
    pages = pages_of(study)
    assert [href for href in hrefs_in(outcome) if href.split("#")[0] not in pages] == []
    rules = {rule.kind for rule in analysis.rules}
    assert {finding.kind for finding in outcome.findings} <= rules
    assert all(finding.text.endswith(".") for finding in outcome.findings)


def test_rules_are_of_at_least_eight_kinds_and_no_two_share_a_name() -> None:
    kinds = [rule.kind for analysis in ANALYSES for rule in analysis.rules]
    assert len(kinds) == len(set(kinds)) >= 8


def findings_of(name: str, folder: Path) -> set[str]:
    study = study_of(name, folder)
    return {finding.kind for analysis in ANALYSES for finding in analysis.run(study).findings}


def test_a_dead_network_is_told_from_a_broken_one(tmp_path: Path) -> None:
    for name in ("dead", "broken"):
        (tmp_path / name).mkdir()
    dead = findings_of("all dead", tmp_path / "dead")
    broken = findings_of("not finite", tmp_path / "broken")
    assert {"dead-filters", "occlusion-no-effect"} <= dead
    assert {"non-finite-values", "non-finite-weights", "non-finite-output"} <= broken
    assert "dead-filters" not in broken


def test_layers_by_depth_have_panels(tmp_path: Path) -> None:
    study = study_of("odd", tmp_path)
    panels: dict[str, Mapping[str, Panel]] = {a.name: a.run(study).panels for a in ANALYSES}
    assert set(panels["kernels"]) == {"conv", "depth", "up"}
    assert {"conv", "bn", "relu", "relu-2", "depth", "up", "fc"} <= set(panels["activations"])
    assert set(panels["occlusion"]) == set(panels["answers"]) == {"photo-0", "photo-1"}
    assert verdict(study, ()).startswith("net, ")
