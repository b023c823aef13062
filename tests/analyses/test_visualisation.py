"""Which pictures are painted, what is said of them, and how good they are on trained weights."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses.study import Study
from reportgen.analyses.units import unit_layers, used_units
from reportgen.analyses.visualisation import run
from reportgen.errors import OptionError
from reportgen.probe.visualise import STEPS
from reportgen.report.blocks import Atlas
from reportgen.report.records import Panel
from tests.analyses.test_gradcam import IMAGENET, SIZE, photo, plain, squeezenet, study_with
from tests.probe.nets import seeded


def asking(study: Study, *also: str, visualise: int = 0, **options: Any) -> Study:
    changed = replace(study.options, visualise=visualise, visualise_also=also, **options)
    return replace(study, options=changed)


def panels_of(study: Study, *also: str, **options: Any) -> dict[str, Panel]:
    return dict(run(asking(study, *also, **options)).panels)


def test_the_most_used_units_of_each_stage_get_pictures() -> None:
    study = study_with(plain())
    panels = panels_of(study, visualise=3)
    assert list(panels) == ["relu1", "relu2"]
    for call in unit_layers(study):
        panel = panels[str(call.key)]
        assert panel.facts["numbers"] == used_units(study, call, 3)
        assert panel.facts["kinds"] == ("unit",) * 3
        assert panel.facts["names"] == tuple(str(unit) for unit in panel.facts["numbers"])
        (block,) = panel.blocks.values()
        assert isinstance(block, Atlas) and block.pixels.path.endswith(".webp")
        assert (block.count, block.tile_height, block.tile_width) == (3, *SIZE)
        assert block.pixels.values().shape[2] == 3
        assert block.labels == panel.facts["names"]
        assert (panel.facts["heights"], panel.facts["widths"]) == ((20,) * 3, (28,) * 3)


def test_what_it_reaches_stands_beside_what_the_images_reach() -> None:
    net = plain()
    study = study_with(net)
    facts = panels_of(study, visualise=2)["relu2"].facts
    images = study.images.normalise(torch.stack([study.images.pixels(i) for i in range(2)]))
    with torch.no_grad():
        seen = net.relu2(net.conv2(net.pool(net.relu1(net.conv1(images)))))
    for at, unit in enumerate(facts["numbers"]):
        assert facts["best"][at] == pytest.approx(seen[:, unit].max().item(), rel=1e-5)
        assert facts["typical"][at] == pytest.approx(seen[:, unit].mean().item(), rel=1e-5)
        assert facts["ratios"][at] == pytest.approx(facts["reached"][at] / facts["best"][at])
        assert facts["means"][at] > facts["typical"][at]
    assert (facts["images"], facts["steps"], facts["seed"]) == (2, STEPS, 0)


def test_a_batch_size_changes_no_units_and_progress_is_told_before_and_after() -> None:
    told: list[tuple[int, int]] = []
    study = replace(study_with(plain()), progress=lambda done, total: told.append((done, total)))
    study.probe.batch_size = 2
    panels = panels_of(study, visualise=3)
    assert [len(panel.facts["names"]) for panel in panels.values()] == [3, 3]
    assert told[0] == (0, 4 * STEPS) and told[-1] == (4 * STEPS, 4 * STEPS)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_none_are_made_where_none_are_asked_for() -> None:
    assert panels_of(study_with(plain())) == {}
    assert panels_of(study_with(nn.Sequential(nn.Flatten(), nn.Linear(1680, 4))), visualise=2) == {}


def test_units_and_classes_by_name() -> None:
    study = study_with(plain())
    panels = panels_of(study, "conv1:4", "fc:2", "class:CLASS 3", "class:1", "relu2:0", "conv1:4")
    assert {slug: panel.facts["names"] for slug, panel in panels.items()} == {
        "conv1": ("4",),
        "relu2": ("0",),
        "fc": ("2", "class 3", "class 1"),
    }
    last = panels["fc"].facts
    assert last["kinds"] == ("unit", "class", "class") and last["numbers"] == (2, 3, 1)
    assert last["score"] == "logit"
    assert set(panels["fc"].blocks) == {"unit", "class"}
    assert panels["fc"].blocks["class"].count == 2
    logits = study.probe.logits(
        study.images.normalise(torch.stack([study.images.pixels(i) for i in range(2)]))
    )
    assert last["best"][1:] == pytest.approx([logits[:, 3].max().item(), logits[:, 1].max().item()])


def test_a_used_unit_that_is_asked_for_again_is_painted_once() -> None:
    study = study_with(plain())
    first = panels_of(study, visualise=2)["relu1"].facts["numbers"]
    again = panels_of(study, f"relu1:{first[1]}", "relu1:5", visualise=2)["relu1"].facts["numbers"]
    assert again == tuple(dict.fromkeys((*first, 5)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("relu3:0", r"no layer relu3 has units\. Near: relu"),
        ("relu1:6", r"relu1 has units 0 to 5\."),
        ("relu1:-1", r"relu1 has units 0 to 5\."),
        ("relu1", r"give a unit as LAYER:UNIT or a class as class:NAME"),
        ("class:", r"give a unit as LAYER:UNIT or a class as class:NAME"),
        ("class:clas 3", r"--visualise-also class:clas 3: there is no such class.*class 3"),
        ("class:4", r"there is no such class"),
    ],
)
def test_a_name_that_there_is_not_is_refused_with_what_there_is(name: str, said: str) -> None:
    study = study_with(plain())
    with pytest.raises(OptionError, match=said):
        run(asking(study, name))


def test_a_unit_that_nothing_excites_has_no_picture_but_a_word() -> None:
    net = plain()
    with torch.no_grad():
        net.conv1.weight[3] = 0
        net.conv1.bias[3] = -1
    panel = panels_of(study_with(net), "relu1:3", "relu1:0")["relu1"]
    assert panel.facts["not_started"] == ("unit 3",)
    assert panel.facts["names"] == ("0",) and panel.blocks["unit"].count == 1
    alone = panels_of(study_with(net), "relu1:3")["relu1"]
    assert alone.facts["not_started"] == ("unit 3",)
    assert not alone.blocks and alone.facts["names"] == ()


@pytest.mark.filterwarnings("error")
def test_a_unit_that_gives_nan_has_no_picture_but_a_word() -> None:
    net = plain()
    with torch.no_grad():
        net.conv1.weight[0, 0, 0, 0] = torch.nan
    panel = panels_of(study_with(net), *(f"relu1:{unit}" for unit in range(4)))["relu1"]
    assert panel.facts["names"] == () and not panel.blocks


class Deep(nn.Module):
    """A map that a picture of half the size would leave with one position, and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 4, stride=4)
        self.relu = nn.ReLU()
        self.wide = nn.Conv2d(4, 3, (16, 32))
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.wide(self.relu(self.conv(x)))).mean((2, 3))


def test_units_get_small_pictures_where_a_map_is_left_and_classes_the_size_of_the_network() -> None:
    net = seeded(Deep).float()
    study = study_with(
        net, (128, 256), [torch.rand(1, 128, 256)], channels=1, mean=(0.5,), std=(0.25,)
    )
    panels = panels_of(study, "relu:1", "act:0", "class:2")
    size = {slug: (p.facts["heights"][0], p.facts["widths"][0]) for slug, p in panels.items()}
    assert size["relu"] == (64, 128)
    assert panels["relu"].blocks["unit"].pixels.values().ndim in (2, 3)
    assert size["act"] == (128, 256), "a picture of 64 x 128 leaves one of its positions"
    last = panels["act"].facts
    sizes = zip(last["heights"], last["widths"], strict=True)
    kept = dict(zip(last["kinds"], sizes, strict=True))
    assert kept == {"unit": (128, 256), "class": (128, 256)}
    # The last call gives maps, not the scores, so that nothing is known of the images' scores.
    assert np.isnan(last["best"][1]) and np.isnan(last["ratios"][1])


@pytest.mark.slow
def test_on_trained_weights_pictures_beat_the_best_of_the_photos() -> None:
    photos = [photo(name) for name in ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg")]
    study = study_with(squeezenet(), (224, 224), photos, **IMAGENET)
    panels = panels_of(study, visualise=2)
    assert len(panels) == 4
    ratios = [ratio for panel in panels.values() for ratio in panel.facts["ratios"]]
    assert len(ratios) == 8
    assert sum(ratio > 1 for ratio in ratios) >= 7
    # The mean is what was raised. In the deepest layer a photo is furthest from what a unit can do.
    for panel in panels.values():
        pairs = zip(panel.facts["means"], panel.facts["typical"], strict=True)
        assert all(mean > typical for mean, typical in pairs), panel.facts
    assert np.mean(panels["features.12.expand3x3_activation"].facts["ratios"]) > 3
