from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from reportgen.analyses.subjects import (
    accuracy,
    image_records,
    layer_records,
    model_record,
    slugs,
)
from reportgen.probe.evidence import CallKey
from tests.analyses.planted import (
    PlainImages,
    a_call,
    an_answer,
    evidence_of,
    loaded_model,
    preparation,
)

RNG = np.random.default_rng(0)


def test_slugs_are_ascii_unique_when_folded_and_never_hidden() -> None:
    names = ["layer1.0.relu", "layer1.0.relu#2", "Relu", "relu", "_a", ".a", "шум", "", "index"]
    made = slugs(names)
    assert made[:3] == ("layer1.0.relu", "layer1.0.relu-2", "Relu")
    assert all(slug.isascii() and slug[0] not in "._" for slug in made)
    assert len({slug.casefold() for slug in made}) == len(names)
    assert "index" not in made


def test_a_slug_that_is_taken_gets_the_next_free_number() -> None:
    assert slugs(["a-2", "a", "a", "A"]) == ("a-2", "a", "a-3", "A-4")


def test_a_slug_is_no_device_of_windows_and_no_index() -> None:
    names = ["con", "AUX.0.conv", "com1", "index-2", "lpt9.x", "console", "aux1.conv"]
    wanted = ("layer-con", "layer-AUX.0.conv", "layer-com1", "layer-index-2", "layer-lpt9.x")
    assert slugs(names) == (*wanted, "console", "aux1.conv")


def test_layer_records_pool_all_values() -> None:
    values = RNG.normal(3, 2, (4, 5, 3, 7)).astype(np.float32)
    values[values < 2] = 0
    call = a_call("features.0", values)
    (layer,) = layer_records(evidence_of([(call, values)]))
    assert layer.mean == pytest.approx(float(values.astype(np.float64).mean()))
    assert layer.std == pytest.approx(float(values.astype(np.float64).std()))
    assert layer.zero_fraction == pytest.approx(float((values == 0).mean()))
    assert (layer.units, layer.output_shape) == (5, (5, 3, 7))


def test_layer_records_name_the_slugs_of_what_they_read() -> None:
    values = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
    first = a_call("block.relu", values)
    second = a_call("block.relu", values, key=CallKey("block.relu", 2), inputs=(first.key,))
    records = layer_records(evidence_of([(first, values), (second, values)]))
    assert records[1].slug == "block.relu-2"
    assert records[1].title == "block.relu#2"
    assert records[1].inputs == ("block.relu",)


def test_layer_records_count_planted_units() -> None:
    values = RNG.uniform(0.1, 1, (201, 6, 2, 3)).astype(np.float32)
    values[:, 1] = 0
    values[:, 4] = 0
    values[7, 4, 1, 2] = 5  # fires on 1 of 201 images: less than 1 %
    values[:, 5] = 2.5
    (layer,) = layer_records(evidence_of([(a_call("relu", values), values)]))
    assert (layer.dead_filters, layer.near_dead_filters, layer.constant_filters) == (1, 1, 1)
    assert layer.dead_units == (1,)


def test_no_claims_where_nothing_rectifies_or_values_are_not_finite() -> None:
    values = RNG.uniform(-1, 1, (3, 4, 2, 3)).astype(np.float32)
    values[:, 0] = 0
    sick = values.copy()
    sick[1, 2, 0, 0] = np.nan
    smooth, broken = layer_records(
        evidence_of(
            [
                (a_call("gelu", values, type="GELU", rectifies=False), values),
                (a_call("relu", sick), sick),
            ]
        )
    )
    counts = [(r.dead_filters, r.near_dead_filters, r.constant_filters) for r in (smooth, broken)]
    assert counts == [(None, None, 1), (None, None, None)]
    assert broken.mean == pytest.approx(float(np.nanmean(sick.astype(np.float64))))


def test_a_layer_without_evidence_has_no_numbers() -> None:
    values = RNG.normal(size=(1, 3, 4, 5)).astype(np.float32)
    evidence = replace(evidence_of([(a_call("x", values), values)]), layers={})
    (layer,) = layer_records(evidence)
    assert (layer.mean, layer.zero_fraction, layer.dead_filters) == (None, None, None)


def test_image_records_and_accuracy() -> None:
    answers = [an_answer([0.0, 3.0, 1.0]), an_answer([5.0, 0.0, 1.0])]
    answers.append(an_answer([float("nan"), 0.0, 0.0]))
    images = PlainImages([torch.rand(3, 7, 9)] * 3, preparation())
    evidence = evidence_of([], answers, pictured=(0,))
    first, second, third = image_records(images, evidence, ("cat", "dog"), [1, 2, None], {0})
    assert [p.label for p in first.predictions] == ["dog", "2", "cat"]
    assert first.predictions[0].probability == pytest.approx(
        float(torch.tensor([0.0, 3.0, 1.0]).softmax(0)[1])
    )
    assert (first.true_class, second.true_class, third.true_class) == ("dog", "2", None)
    assert (first.is_pictured, second.is_pictured) == (True, False)
    assert third.predictions == ()
    assert accuracy((first, second, third)) == 0.5
    assert accuracy((third,)) is None


def test_model_record_counts_shared_weights_once() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    images = PlainImages([torch.rand(3, 7, 9)], preparation())
    record = model_record(loaded_model(module), images, evidence_of([]), "indices")
    assert record.parameters == 16 + 4 + 4 + 4 + 4
    assert (record.macs, record.classes, record.labels_source) == (349_152_000, 3, "indices")
