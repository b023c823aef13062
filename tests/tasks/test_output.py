"""Scores from maps and boxes, computed pixel by pixel, and torchvision's own such networks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.load.dense_nets import dense_names
from reportgen.load.model import LoadedModel, load_model
from reportgen.probe.answers import form_of, scores_in
from reportgen.probe.output import share_scores
from reportgen.probe.probe import Probe
from tests.probe.nets import batches_of, photos

MAPS = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(1)).double() * 3


def test_the_softmax_of_the_scores_of_maps_is_the_share_of_each_class() -> None:
    found = share_scores(MAPS).softmax(1).numpy()
    expected = np.zeros((2, 5))
    for image, _, row, column in np.ndindex(2, 1, 6, 7):
        powers = np.exp(MAPS[image, :, row, column].numpy())
        expected[image] += powers / powers.sum() / 42
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_map_of_one_class_gives_the_log_odds_of_its_share() -> None:
    one = MAPS[:, :1]
    expected = 1 / (1 + np.exp(-one.numpy()))
    np.testing.assert_allclose(
        share_scores(one).sigmoid().numpy()[:, 0], expected.mean((1, 2, 3)), rtol=1e-12
    )


@pytest.mark.parametrize("classes", [1, 5])
def test_maps_of_probabilities_give_the_scores_of_the_maps_before(classes: int) -> None:
    maps = MAPS[:, :classes]
    chances = maps.softmax(1) if classes > 1 else maps.sigmoid()
    torch.testing.assert_close(share_scores(chances), share_scores(maps), rtol=1e-9, atol=1e-9)


def test_their_gradient_is_weighted_by_the_probability_of_the_class() -> None:
    maps = MAPS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(share_scores(maps)[0, 3], maps)
    chances = MAPS.softmax(1)[0].numpy()
    weights = chances[3] / chances[3].sum()
    expected = weights * ((np.arange(5) == 3)[:, None, None] - chances)
    np.testing.assert_allclose(slope[0].numpy(), expected, atol=1e-12)
    assert not slope[1].any()


def test_boxes_are_not_taken_for_scores() -> None:
    # Two boxes of two images look like (images, 4 classes), two scores like (images, 1).
    found = {"boxes": torch.rand(2, 4), "labels": torch.ones(2), "scores": torch.rand(2)}
    assert form_of([found, found], 2) == "boxes"
    assert scores_in([found, found], 2).shape == (2, 0)


def loaded(
    name: str, make: object, tmp_path: Path, arguments: str = "", **given: object
) -> LoadedModel:
    """A network of torchvision from a file of its random weights."""
    torch.manual_seed(3)
    net = make(weights_backbone=None, **given)  # type: ignore[operator]
    torch.save(net.state_dict(), tmp_path / "net.pth")
    return load_model(tmp_path / "net.pth", arch=f"torchvision:{name}", arch_args=arguments)


def test_torchvisions_segmentation(tmp_path: Path) -> None:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large as make

    model = loaded("lraspp_mobilenet_v3_large", make, tmp_path, num_classes=5)
    assert model.preprocessing is not None and model.preprocessing.is_assumed
    assert (model.preprocessing.height, model.preprocessing.mean[0]) == (520, 0.485)
    images = photos(3, height=40, width=56).float()
    evidence = Probe(model.module, "cpu", 2).collect(batches_of(images), 3, [0])
    assert (evidence.task, evidence.classes) == ("segment", 5)
    assert "map of scores" in evidence.task_source
    with torch.inference_mode():
        chances = model.module(images)["out"].softmax(1).mean((2, 3))
    for image, answer in enumerate(evidence.answers):
        expected = chances[image][torch.from_numpy(answer.classes)].numpy()
        np.testing.assert_allclose(answer.probabilities, expected, rtol=1e-4)


def test_torchvisions_detection(tmp_path: Path) -> None:
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn as make

    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    sizes = '{"min_size": 40, "max_size": 60}'
    model = loaded(name, make, tmp_path, sizes, num_classes=4)
    assert model.preprocessing is not None and not model.preprocessing.is_assumed
    assert (model.preprocessing.mean, model.preprocessing.std) == ((0,) * 3, (1,) * 3)
    images = torch.rand(3, 3, 40, 56, generator=torch.Generator().manual_seed(2))
    evidence = Probe(model.module, "cpu", 2).collect(batches_of(images), 3, [0])
    assert (evidence.task, evidence.classes) == ("detect", 0)
    assert [len(answer.classes) for answer in evidence.answers] == [0, 0, 0]
    seen = {str(key): layer for key, layer in evidence.layers.items()}
    body = {
        path: part
        for path, part in model.module.named_modules()
        if path.startswith("backbone.body") and isinstance(part, nn.Conv2d)
    }
    assert len(body) > 40 and {p for p in body if f"{p}" in seen} == set(body)
    assert {"rpn.head.cls_logits", "rpn.head.cls_logits#2"} <= seen.keys()
    # The last convolution of the body, watched by a plain hook.
    path, part = list(body.items())[-1]
    given: list[torch.Tensor] = []
    hook = part.register_forward_hook(lambda _, __, output: given.append(output.clone()))
    with torch.inference_mode():
        model.module(list(images))
    hook.remove()
    values = given[0].transpose(0, 1).flatten(1)
    np.testing.assert_allclose(seen[path].maximum, values.amax(1).numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(seen[path].mean, values.mean(1).numpy(), rtol=1e-3, atol=1e-5)


def test_every_network_for_places_is_known_by_name() -> None:
    from torchvision import models

    every = {*models.list_models(module=models.segmentation)}
    assert every < dense_names() and "maskrcnn_resnet50_fpn" in dense_names()
