"""Units of token networks: which are shown, and that only patches count, by hooks and loops."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from reportgen.analyses import patches, redundancy, visualisation
from reportgen.analyses.study import Study
from reportgen.analyses.token_stages import stages_in
from reportgen.analyses.units import unit_calls, unit_layers
from reportgen.probe import visualise
from reportgen.probe.correlation import most_alike
from reportgen.probe.probe import OBSERVED, Probe
from reportgen.probe.visualise import painted
from tests.analyses.test_gradcam import study_with
from tests.probe.transformers import (
    GRID,
    SIZE,
    Encoder,
    Vit,
    loud,
    photo,
    small_convnext,
    small_swin,
    torchvision_vit,
)

PLACES = GRID[0] * GRID[1]


def vit() -> nn.Module:
    """Three tokens before the patches; they are louder than the patches."""
    net = loud(lambda: Vit("module")).float()
    with torch.no_grad():
        net.front[..., 5] = 50
    return net


def given_by(net: nn.Module, path: str, images: torch.Tensor) -> torch.Tensor:
    """What a module gives, by a hook."""
    kept: list[torch.Tensor] = []
    hook = net.get_submodule(path).register_forward_hook(lambda *args: kept.append(args[2]))
    with torch.no_grad():
        net(images)
    hook.remove()
    return kept[0]


NETS: list[tuple[Callable[[], nn.Module], tuple[int, int], list[str]]] = [
    (torchvision_vit, (32, 32), ["encoder.layers.encoder_layer_1.mlp.0"]),
    (lambda: Vit("module"), SIZE, ["blocks.2.mlp.0"]),
    (lambda: Encoder(norm_first=True), SIZE, ["encoder.layers.1.F.relu"]),
    (small_swin, (64, 96), ["features.1.1.mlp.0", "features.3.1.mlp.0"]),
    (small_convnext, (64, 96), ["features.1.1.block.3", "features.3.1.block.3"]),
]


@pytest.mark.parametrize(("build", "size", "names"), NETS)
def test_one_layer_for_each_size_of_maps(
    build: Callable[[], nn.Module], size: tuple[int, int], names: list[str]
) -> None:
    study = study_with(loud(build).float(), size=size)
    assert [str(call.key) for call in unit_layers(study)] == names
    assert all(call.key in study.evidence.strongest for call in unit_layers(study))


@pytest.mark.slow
def test_the_layer_of_torchvisions_vision_transformer() -> None:
    trace = Probe(torchvision.models.vit_b_16().eval(), "cpu").trace(torch.rand(3, 224, 224))
    observed = {call.key for call in trace.calls if call.kind in OBSERVED}
    (call,) = unit_calls(trace.calls, trace.classes, observed)
    assert (str(call.key), call.grid) == ("encoder.layers.encoder_layer_11.mlp.0", (14, 14))


def test_patches_of_tokens_are_cut_where_the_network_looks() -> None:
    net = vit()
    study = study_with(net, size=SIZE)
    panels = patches.run(study).panels
    deep = panels["blocks.2.mlp.0"]
    assert deep.facts["is_whole_image"] and deep.facts["window"] == SIZE
    assert set(deep.blocks) == {"crops", "strongest"}
    why = "blocks.0.attn.mha is attention, for which no such rule is defined."
    assert deep.facts["problem"] == why
    images = study.images.normalise(torch.stack(list(study.images.given)))
    tokens = given_by(net, "blocks.2.mlp.0", images)[:, 3:].reshape(2, *GRID, 20).numpy()
    for unit in range(20):
        image, row, column = (deep.arrays[name][unit, 0] for name in ("image", "row", "column"))
        assert tokens[image, row, column, unit] == tokens[..., unit].max()
    # In front of all attention a token sees its own patch.
    norm = next(call for call in study.evidence.calls if str(call.key) == "blocks.0.norm1")
    shown = patches.Shown(norm, (4, 7), "no way back")
    (drawn,) = patches.pictures(study, [shown])
    assert drawn.window == (8, 8) and not drawn.is_whole
    nine = study.evidence.strongest[norm.key]
    for patch in drawn.patches(nine):
        top, left = 8 * patch.row, 8 * patch.column
        assert drawn.corner(patch) == (top, left)
        pixels = study.images.pixels(patch.image)[:, top : top + 8, left : left + 8]
        tile = drawn.crops[patch.tile].reshape(8, 9, 8, 9, 3)[:, 0, :, 0]
        np.testing.assert_allclose(tile, 254 * pixels.movedim(0, 2), atol=1.01)


def asking(study: Study, visualise: int) -> Study:
    return replace(study, options=replace(study.options, visualise=visualise))


def test_pictures_raise_the_patches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visualise, "STEPS", 12)
    net = vit()
    study = study_with(net, size=SIZE)
    (call,) = unit_layers(study)
    made = painted(study.probe, call, (3, 11), 3, SIZE, study.images.normalise, 1)
    given = given_by(net, str(call.key), study.images.normalise(made.pixels))[:, 3:]
    for place, unit in enumerate((3, 11)):
        own = given[place, :, unit].numpy()
        np.testing.assert_allclose(made.mean[place], own.mean(), rtol=1e-4)
        np.testing.assert_allclose(made.highest[place], own.max(), rtol=1e-4)
    assert all(made.rose)
    panel = visualisation.run(asking(study, 2)).panels[str(call.key)]
    nine = study.evidence.strongest[call.key]
    assert panel.facts["numbers"] and set(panel.facts["kinds"]) == {"unit"}
    for place, unit in enumerate(panel.facts["numbers"]):
        assert panel.facts["best"][place] == pytest.approx(float(nine.value[unit, 0]))
        assert np.isnan(panel.facts["typical"][place])


def test_without_other_tokens_the_means_of_all_images_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(visualise, "STEPS", 12)
    study = study_with(loud(lambda: Vit("module", 0, 0, "mean")).float(), size=SIZE)
    (call,) = unit_layers(study)
    panel = visualisation.run(asking(study, 1)).panels[str(call.key)]
    unit = panel.facts["numbers"][0]
    assert panel.facts["typical"][0] == pytest.approx(study.evidence.layers[call.key].mean[unit])


def test_units_are_alike_on_the_patches() -> None:
    net = vit()
    study = study_with(net, size=SIZE)
    (call,) = unit_layers(study)
    images = study.images.normalise(torch.stack(list(study.images.given)))
    values = given_by(net, str(call.key), images)[:, 3:].flatten(0, 1).T.double().numpy()
    expected = np.corrcoef(values)
    np.fill_diagonal(expected, -2)
    panel = redundancy.run(study).panels[str(call.key)]
    assert panel.facts["answers_problem"] is None, "54 values a unit are too few"
    alike = most_alike(study.probe, lambda: iter(images), [call])[call.key]
    assert alike.values == 2 * PLACES
    np.testing.assert_array_equal(alike.unit, expected.argmax(1))
    np.testing.assert_allclose(alike.correlation, expected.max(1), rtol=1e-5)


def test_means_that_are_correlated_with_classes_are_of_the_patches() -> None:
    net = vit()
    images = torch.stack([photo() + step for step in torch.linspace(-1, 1, 5)]).float()
    images += torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    probe = Probe(net, "cpu", 2)
    evidence = probe.collect(images.split, 5, (), correlated=unit_calls)
    ((key, found),) = evidence.class_correlations.items()
    means = given_by(net, str(key), images)[:, 3:].mean(1).double().numpy()
    with torch.no_grad():
        scores = net(images).double().numpy()
    expected = np.corrcoef(means.T, scores.T)[:20, 20:]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_where_patches_matter_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_with(vit(), size=SIZE)
    passes: list[Any] = []
    slopes = study.probe.slopes
    monkeypatch.setattr(study.probe, "slopes", lambda *args: passes.append(args) or slopes(*args))
    found = [stages_in(replace(study, earlier={})) for _ in range(3)]
    assert len(passes) == 1 and all(one is other for one, other in pairwise(found))
    other = study_with(vit(), size=SIZE)
    assert stages_in(other) is not found[0]
