"""CAM against its formula, where it is defined and where it is not; and the layer asked for."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from reportgen.analyses.class_maps import class_map, heads_of
from reportgen.analyses.gradcam import run
from reportgen.analyses.stages import stages_of
from reportgen.analyses.study import Study
from reportgen.errors import OptionError
from tests.analyses.test_gradcam import Last, Plain, Pooled, plain, squeezenet, study_with
from tests.probe.nets import seeded


def features_of(net: nn.Module, name: str, image: torch.Tensor) -> torch.Tensor:
    """What the last call of a module gives for one image, by a plain hook."""
    kept: list[torch.Tensor] = []
    handle = net.get_submodule(name).register_forward_hook(
        lambda _m, _i, output: kept.append(output.clone())
    )
    with torch.no_grad():
        net(image[None])
    handle.remove()
    return kept[-1][0]


def random_resnet() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return models.resnet18(num_classes=7).eval()


class Functional(Pooled):
    """The same with a pooling function, a flattening and a dropout."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.adaptive_avg_pool2d(F.relu(self.conv(x)), 1).flatten(1)
        return self.fc(F.dropout(x, 0.5, self.training))


@pytest.mark.parametrize(
    ("build", "size", "features", "linear"),
    [
        (lambda: seeded(Pooled).float(), (20, 28), "relu", "fc"),
        (lambda: seeded(Functional).float(), (20, 28), "conv", "fc"),
        (random_resnet, (96, 128), "layer4", "fc"),
    ],
    ids=["pooled", "functional", "resnet18"],
)
def test_cam_of_a_mean_and_a_linear_layer(
    build: Callable[[], nn.Module], size: tuple[int, int], features: str, linear: str
) -> None:
    net = build()
    study = study_with(net, size, true={0: 2})
    for index, panel in enumerate(run(study).panels.values()):
        image = study.images.normalise(study.images.pixels(index))
        maps = features_of(net, features, image).relu()
        target = panel.facts["target"]
        layer = net.get_submodule(linear)
        expected = torch.einsum("u,uhw->hw", layer.weight[target].detach(), maps).numpy()
        cam = panel.arrays["cam"]
        np.testing.assert_allclose(cam, expected, atol=1e-5 * np.abs(expected).max())
        with torch.no_grad():
            score = float(net(image[None])[0, target])
        bias = float(layer.bias[target].detach())
        assert cam.mean() + bias == pytest.approx(score, rel=1e-3, abs=1e-4)
        np.testing.assert_allclose(
            panel.arrays["gradcam"] * cam.size, cam, atol=1e-4 * np.abs(cam).max()
        )
        assert panel.facts["cam_gap"] < 1e-4
        assert (panel.facts["cam_head"], panel.facts["cam_layer"]) == ("linear", linear)
        assert panel.facts["maps"][-1] == "cam" and panel.blocks["cam"].middles is not None
        at = panel.facts["maps"].index("cam")
        assert panel.facts["positive"][at] == pytest.approx(np.maximum(cam, 0).mean(), rel=1e-5)


def test_the_map_of_the_class_is_its_cam_in_squeezenet() -> None:
    net, study = squeezenet(), study_with(squeezenet(), (96, 128))
    for index, panel in enumerate(run(study).panels.values()):
        image = study.images.normalise(study.images.pixels(index))
        own = features_of(net, "classifier.2", image)[panel.facts["target"]].numpy()
        np.testing.assert_allclose(panel.arrays["cam"], own, atol=1e-5 * own.max())
        logit = study.image_records[index].predictions[0].logit
        assert panel.arrays["cam"].mean() == pytest.approx(logit, rel=1e-5)
        facts = panel.facts
        assert (facts["cam_head"], facts["cam_layer"]) == ("maps", "classifier.2")
        assert facts["layers"][-1] == "classifier.2" and facts["sides"][-1] == "output"
        times = panel.arrays["gradcam"] * own.size
        assert facts["cam_gap"] == pytest.approx(np.abs(times - own).max() / own.max(), rel=1e-4)


class TwoLayers(nn.Module):
    """A second linear layer, as wide as the features, so that shapes alone would pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mix, self.fc = nn.Conv2d(3, 7, 5), nn.Linear(7, 7), nn.Linear(7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.mix(F.relu(self.conv(x)).mean((2, 3))).relu())


class Largest(Pooled):
    """The largest value in place of the mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.relu(self.conv(x)).amax((2, 3)))


class Mixed(nn.Module):
    """One map a class, but the scores are no mean of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 5), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.conv(x)).square().mean((2, 3))


@pytest.mark.parametrize("build", [TwoLayers, Largest, Mixed, Plain, lambda: Last(False)])
def test_where_the_mean_is_not_the_score_there_is_no_cam(build: Callable[[], nn.Module]) -> None:
    for panel in run(study_with(seeded(build).float())).panels.values():
        assert "cam" not in panel.facts["maps"] and "cam" not in panel.arrays
        assert panel.facts["cam_head"] is None and panel.facts["cam_gap"] is None


def test_shapes_alone_would_have_passed() -> None:
    for build in (TwoLayers, Largest, Mixed):
        study = study_with(seeded(build).float())
        stages = stages_of(study.evidence.calls, study.evidence.classes, (20, 28))
        heads = heads_of(study, stages)
        assert len(heads) == 1
        image = study.images.normalise(study.images.pixels(0))
        spots = [head.stage.spot for head in heads]
        slopes = study.probe.slopes(image, spots, [0])
        said = study.image_records[0].predictions
        assert class_map(heads, slopes, said, 0) is None


def asking_for(study: Study, layer: str) -> Study:
    return replace(study, options=replace(study.options, cam_layer=layer))


@pytest.mark.parametrize("name", ["relu1", "relu1#1"])
def test_the_maps_are_drawn_at_the_layer_asked_for(name: str) -> None:
    study = study_with(plain())
    automatic, chosen = run(study), run(asking_for(study, name))
    for one, other in zip(automatic.panels.values(), chosen.panels.values(), strict=True):
        assert one.facts["is_chosen"] is False and other.facts["is_chosen"] is True
        assert other.facts["maps"] == ("gradcam", "rival", "layercam", "hirescam")
        assert other.facts["layers"] == ("relu1",) * 4 and other.facts["sides"] == ("output",) * 4
        # Alone it is the map of that stage.
        np.testing.assert_array_equal(other.arrays["gradcam"], one.arrays["stage_1"])
        assert other.arrays["layercam"].shape == (20, 28)


def test_a_second_call_is_named_by_its_number_and_earlier_stages_stay() -> None:
    study = study_with(plain("reused"))
    one, other = run(study), run(asking_for(study, "relu1#2"))
    for automatic, chosen in zip(one.panels.values(), other.panels.values(), strict=True):
        assert chosen.facts["layers"] == automatic.facts["layers"]
        for name, values in automatic.arrays.items():
            np.testing.assert_array_equal(chosen.arrays[name], values)


def test_cam_stays_where_it_is_defined() -> None:
    study = study_with(seeded(Pooled).float())
    one, other = run(study), run(asking_for(study, "conv"))
    for automatic, chosen in zip(one.panels.values(), other.panels.values(), strict=True):
        assert chosen.facts["layers"] == (*("conv",) * 4, "relu")
        np.testing.assert_array_equal(chosen.arrays["cam"], automatic.arrays["cam"])
        assert automatic.facts["cam_gap"] < 1e-4 < chosen.facts["cam_gap"]


@pytest.mark.parametrize(
    ("build", "layer", "words"),
    [
        (plain, "relu3", r"--cam-layer relu3: no layer .* nearest: relu2, relu1; the first is"),
        (
            plain,
            "fc",
            r"--cam-layer fc: it gives no feature maps .*first .* is conv1, .*last relu2",
        ),
        (random_resnet, "layer4", r"holds other layers; name one of them, such as layer4.1.relu#2"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(1680, 4)), "1", "no layer of this network"),
    ],
    ids=["unknown", "no maps", "a block", "none at all"],
)
def test_a_layer_that_will_not_do_is_refused_with_what_there_is(
    build: Callable[[], nn.Module], layer: str, words: str
) -> None:
    size = (96, 128) if build is random_resnet else (20, 28)
    with pytest.raises(OptionError, match=words):
        run(asking_for(study_with(build().float(), size), layer))
