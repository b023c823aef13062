"""Every number of a comparison, found again from the networks and the arrays of the reports."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from reportgen.compare.compared import compared
from reportgen.compare.findings import findings, verdict
from reportgen.compare.given import given_reports
from reportgen.compare.metrics import metrics
from reportgen.gates.judge import conditions_in, judged
from tests.compare.tiny import LABELS, checkpoints, network_input, tiny

NAMES = ("a", "b")


@pytest.fixture(scope="module")
def nets():
    return {name: tiny(state) for name, state in checkpoints().items()}


@pytest.fixture(scope="module")
def answers(nets, root):
    """By network: the class of each image, by its path."""
    return {
        name: {
            path.relative_to(root / "images").as_posix(): int(net(network_input(path)).argmax())
            for path in sorted((root / "images").rglob("*.png"))
        }
        for name, net in nets.items()
    }


def activations(net, layer, root):
    """(images units h w) that a layer gives."""
    caught = []
    hook = getattr(net, layer).register_forward_hook(lambda _, __, out: caught.append(out.detach()))
    for path in sorted((root / "images").rglob("*.png")):
        net(network_input(path))
    hook.remove()
    return torch.cat(caught).double().numpy()


def test_weights_moved_as_far_as_they_did(pair):
    a, b = (checkpoints()[name] for name in NAMES)
    far = {name: float((b[name].double() - a[name].double()).norm()) for name in a}
    size = {name: float(a[name].double().norm()) for name in a}
    for made in pair.parameters:
        assert made.error == 0
        assert made.change == pytest.approx(far[made.name] / size[made.name], rel=1e-6)
    layers = {layer.title: layer for layer in pair.layers}
    for name in ("conv1", "conv2", "line"):
        change = far[f"{name}.weight"] / size[f"{name}.weight"]
        assert layers[name].weight_change == pytest.approx(change, rel=1e-6)
    assert layers["relu1"].weight_change is None
    weights = [name for name in a if name.endswith("weight")]
    whole = np.sqrt(sum(far[n] ** 2 for n in weights) / sum(size[n] ** 2 for n in weights))
    assert pair.metrics["weight_change"] == pytest.approx(whole, rel=1e-6)
    most = max(layers[name].weight_change for name in ("conv1", "conv2", "line"))
    assert pair.metrics["weight_change_max"] == most


def test_filters_moved_as_far_as_they_did(pair):
    a, b = (checkpoints()[name]["conv2.weight"].double() for name in NAMES)
    table = next(layer.table for layer in pair.layers if layer.title == "conv2")
    at = [column.name for column in table.columns].index("Weights moved")
    changes = {row[0]: row[at] for row in table.rows}
    for unit in range(6):
        expected = float((b[unit] - a[unit]).norm() / a[unit].norm())
        assert changes[unit] == pytest.approx(expected, rel=1e-6)
    order = [row[at] for row in table.rows]
    assert order == sorted(order, reverse=True)


def test_units_died_and_came_to_life(pair, nets, root):
    died, born = {}, {}
    for layer in ("relu1", "relu2"):
        fires = [activations(nets[name], layer, root).max(axis=(0, 2, 3)) > 0 for name in NAMES]
        died[layer] = tuple(np.flatnonzero(fires[0] & ~fires[1]).tolist())
        born[layer] = tuple(np.flatnonzero(~fires[0] & fires[1]).tolist())
    assert 2 in died["relu1"] and 1 in born["relu2"]
    rectified = {layer.title: layer for layer in pair.layers if layer.title in died}
    assert {title: layer.died for title, layer in rectified.items()} == died
    assert {title: layer.born for title, layer in rectified.items()} == born
    assert pair.metrics["units_died"] == sum(map(len, died.values()))
    assert pair.metrics["units_born"] == sum(map(len, born.values()))
    # Those whose state changed stand first, whatever else moved.
    first = [row[0] for row in rectified["relu1"].table.rows]
    assert first[0] == 2
    said = {finding.kind: finding for finding in pair.findings}
    assert said["units-died"].severity == "warning"
    assert said["units-died"].href == "layers/relu1.html"
    assert said["units-born"].href == "layers/relu2.html"
    for kind, lost in (("units-died", died), ("units-born", born)):
        layer, count = max(lost, key=lambda title: len(lost[title])), sum(map(len, lost.values()))
        shown = said[kind].text
        if len(lost[layer]) == count:
            assert re.match(rf"{count} units? of {layer} (that fired|dead) in a ", shown)
        else:
            assert shown.endswith(f", {len(lost[layer])} of them in {layer}.")


def test_activations_moved_as_far_as_they_did(pair, nets, root):
    for title in ("conv1", "relu2"):
        layer = next(layer for layer in pair.layers if layer.title == title)
        a, b = (activations(nets[name], title, root) for name in NAMES)
        assert layer.mean_a == pytest.approx(a.mean(), rel=1e-4)
        assert layer.std_b == pytest.approx(b.std(), rel=1e-4)
        assert layer.zero_a == pytest.approx((a == 0).mean(), abs=1e-12)
        # Sorted values side by side are the cheapest way from one sample to the other; within
        # its bin, a value is off by half the bin's width on average at most.
        work = np.abs(np.sort(a, axis=None) - np.sort(b, axis=None)).mean()
        scale = np.sqrt((a.var() + b.var()) / 2)
        bins = layer.histogram_a
        width = (bins.high - bins.low) / len(bins.counts)
        assert width < 0.1 * scale
        assert layer.distance == pytest.approx(work / scale, abs=width / scale)
        at = [column.name for column in layer.table.columns].index("Mean moved")
        rows = {row[0]: row[at] for row in layer.table.rows}
        for unit in range(layer.units_a):
            one, other = a[:, unit], b[:, unit]
            spread = np.sqrt((one.var() + other.var()) / 2)
            if spread > 0:
                gap = abs(other.mean() - one.mean()) / spread
                assert rows[unit] == pytest.approx(gap, rel=1e-3, abs=1e-6)


def test_answers_that_changed(pair, answers, root):
    a, b = (answers[name] for name in NAMES)
    truth = {path: LABELS.index(path.split("/")[0]) for path in a}
    kinds = {}
    for path, true in truth.items():
        right = a[path] == true, b[path] == true
        if a[path] == b[path]:
            kinds[path] = "same"
        else:
            kinds[path] = {(True, False): "broken", (False, True): "corrected"}.get(
                right, "changed"
            )
    assert {image.path: image.outcome for image in pair.images} == kinds
    changed = sum(kind != "same" for kind in kinds.values())
    assert set(kinds.values()) == {"broken", "corrected", "changed", "same"}
    assert pair.metrics["answers_changed"] == changed
    assert pair.metrics["answers_changed_share"] == pytest.approx(changed / 9)
    shares = [sum(of[path] == true for path, true in truth.items()) / 9 for of in (a, b)]
    assert pair.metrics["accuracy_a"] == pytest.approx(shares[0])
    assert pair.metrics["accuracy_drop"] == pytest.approx(shares[0] - shares[1])
    order = ["broken", "corrected", "changed", "same"]
    places = [order.index(image.outcome) for image in pair.images]
    assert places == sorted(places)


def ranks(values):
    """Rank of each value by counting those below; equal ones share the mean."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]


def test_maps_correlate_as_their_arrays_do(pair, folders):
    raw = {name: json.loads((folders[name] / "report.json").read_text()) for name in NAMES}
    checked = {"occlusion": [], "gradcam": []}
    for image in pair.images:
        for made in image.maps:
            maps, evidence = [], []
            for name in NAMES:
                record = next(one for one in raw[name]["images"] if one["sha256"] == image.sha256)
                key = "array" if made.method == "occlusion" else "gradcam"
                file, entry = record[made.method][key].split("#")
                with np.load(folders[name] / file) as arrays:
                    maps.append(arrays[entry].astype(np.float64).ravel())
                evidence.append(record[made.method]["has_evidence"])
            assert made.problem == ""
            if all(evidence):
                expected = np.corrcoef(ranks(maps[0].tolist()), ranks(maps[1].tolist()))[0, 1]
                assert made.spearman == pytest.approx(expected, abs=1e-9)
                assert made.pearson == pytest.approx(np.corrcoef(*maps)[0, 1], abs=1e-9)
                checked[made.method].append(made.spearman)
            else:
                assert made.spearman is None and made.pearson is None
            shown = [m if made.method == "occlusion" else np.maximum(m, 0) for m in maps]
            if made.method == "occlusion":
                shown.append(maps[1] - maps[0])
            most = max(np.abs(values).max() for values in shown)
            assert made.map_a.maximum == made.map_b.maximum
            if any(evidence):
                assert made.map_a.maximum == pytest.approx(most)
            if made.method == "occlusion":
                np.testing.assert_allclose(made.difference.values.ravel(), maps[1] - maps[0])
    for method, values in checked.items():
        assert pair.metrics[f"{method}_correlation_min"] == min(values)


def test_sizes(pair, folders):
    first, second = pair.subjects
    values = sum(value.numel() for value in checkpoints()["a"].values())
    assert (first.parameters, second.parameters) == (values, values)
    assert first.bytes == folders["a"].with_suffix(".pth").stat().st_size
    assert pair.metrics["parameters_ratio"] == pair.metrics["macs_ratio"] == 1


def test_a_network_without_one_unit(compare, nets, answers):
    made = compare("a", "narrow")
    layers = {layer.title: layer for layer in made.layers}
    assert (layers["conv2"].units_a, layers["conv2"].units_b) == (6, 5)
    assert layers["conv2"].weight_change is None and not layers["conv2"].has_page
    assert layers["relu2"].died == layers["relu2"].born == ()
    assert (layers["relu2"].dead_a, layers["relu2"].dead_b) == (1, 0)
    assert layers["conv1"].weight_change == 0
    # The dead unit gave nothing, so the answers are the same.
    assert answers["a"] == answers["narrow"]
    assert made.metrics["answers_changed"] == 0
    parameters = [sum(v.numel() for v in checkpoints()[n].values()) for n in ("a", "narrow")]
    assert made.metrics["parameters_ratio"] == pytest.approx(parameters[1] / parameters[0])
    assert made.metrics["occlusion_correlation_min"] == pytest.approx(1)
    said = {finding.kind: finding.text for finding in made.findings}
    assert "conv2 has 6 units in a and 5 in narrow" in said["widths-differ"]
    assert "units-died" not in said
    assert "dead units went from 1 to 0; there are 14 % fewer parameters" in made.verdict


def test_what_got_worse_is_what_got_better_the_other_way(pair, compare):
    back = compare("b", "a")
    assert back.metrics["accuracy_drop"] == -pair.metrics["accuracy_drop"]
    assert back.metrics["units_died"] == pair.metrics["units_born"]
    assert back.metrics["answers_broken"] == pair.metrics["answers_corrected"]
    assert back.metrics["occlusion_correlation_min"] == pytest.approx(
        pair.metrics["occlusion_correlation_min"]
    )


def test_the_timeline_follows_every_report(compare, nets, answers, root):
    names = ("a", "b", "c")
    made = compare(*names)
    line = made.timeline
    truth = {path: LABELS.index(path.split("/")[0]) for path in answers["a"]}
    for index, name in enumerate(names):
        right = sum(answers[name][path] == true for path, true in truth.items()) / 9
        assert line.accuracy[index] == pytest.approx(right)
        rectified = [activations(nets[name], layer, root) for layer in ("relu1", "relu2")]
        dead = sum((values.max(axis=(0, 2, 3)) <= 0).sum() for values in rectified)
        assert line.dead_share[index] == pytest.approx(dead / 10)
        zeros = sum((values == 0).sum() for values in rectified)
        assert line.zero_share[index] == pytest.approx(zeros / sum(v.size for v in rectified))
        state = checkpoints()[name]
        weights = torch.cat([v.flatten() for n, v in state.items() if n.endswith("weight")])
        assert line.weight_norm[index] == pytest.approx(float(weights.double().norm()), rel=1e-6)
        conv2 = next(one for one in line.layers if one.title == "conv2")
        norm = float(state["conv2.weight"].double().norm())
        assert conv2.weight_norm[index] == pytest.approx(norm, rel=1e-6)
    for index, (one, other) in enumerate((("a", "b"), ("b", "c"))):
        before, after = (
            torch.cat([v.flatten() for n, v in checkpoints()[name].items() if "weight" in n])
            for name in (one, other)
        )
        change = float((after.double() - before.double()).norm() / before.double().norm())
        assert line.step_change[index] == pytest.approx(change, rel=1e-5)
    # The pages compare the first with the last.
    assert made.metrics == compare("a", "c").metrics


def test_the_film_shows_the_image_that_changed_most_or_the_one_asked_for(compare, folders):
    made = compare("a", "b", "c")
    line = made.timeline
    least = {}
    for image in made.images:
        if image.maps:
            film = compare("a", "b", "c", image=image.path).timeline.film
            assert film.is_chosen and film.path == image.path
            known = [value for value in film.correlations if value is not None]
            least[film.path] = min(known, default=2)
    assert len(least) == 9
    assert not line.film.is_chosen and min(least.values()) < 1
    assert line.film.path == min(least, key=least.get)
    by_name = compare("a", "b", "c", image=line.film.path.split("/")[-1]).timeline.film
    assert by_name.path == line.film.path
    raw = json.loads((folders["b"] / "report.json").read_text())
    record = next(one for one in raw["images"] if one["path"] == line.film.path)
    file, entry = record["occlusion"]["array"].split("#")
    with np.load(folders["b"] / file) as arrays:
        np.testing.assert_array_equal(line.film.frames[1].values, arrays[entry])
    assert len(line.film.frames) == 3
    assert len({frame.maximum for frame in line.film.frames}) == 1


def test_a_network_that_became_nan_is_no_network_that_hardly_changed(make, folders, root):
    broken = {name: value.clone() for name, value in checkpoints()["a"].items()}
    broken["conv2.weight"][0, 0, 0, 0] = math.nan
    make("nan", broken)
    before, after = (
        compared(given_reports([root / one, root / two], root / "out"), version="0")
        for one, two in (("a", "nan"), ("nan", "a"))
    )
    right = sum(image.right_a for image in before.images)
    assert right and {image.answer_b for image in before.images} == {None}
    assert before.metrics["answers_changed"] == len(before.images)
    assert before.metrics["answers_changed_share"] == 1
    assert before.metrics["answers_broken"] == after.metrics["answers_corrected"] == right
    for name in ("dead_share_b", "dead_share_rise", "weight_change_max", "activation_distance_max"):
        assert math.isnan(before.metrics[name]), name
    assert before.metrics["dead_share_a"] == after.metrics["dead_share_b"] > 0
    assert "no answer" not in before.verdict and f"{right} newly wrong" in before.verdict
    first = before.findings[0]
    assert (first.severity, first.kind) == ("error", "not-finite")
    assert first.text.startswith("nan holds ")
    assert first.text.endswith("; 9 of the 9 images that both saw have no finite answer.")
    assert {f.severity for f in after.findings if f.kind == "not-finite"} == {"info"}
    tripped = judged(
        conditions_in(["compare:weight_change_max>0.1"], comparing=True),
        given_reports([root / "a", root / "nan"], root / "out")[1].report,
        before.metrics,
    )
    assert [(gate.outcome, gate.words) for gate in tripped] == [("tripped", "not finite")]


def test_a_drop_of_ten_percent_is_not_more_than_ten_percent(pair):
    right = [(n < 8, n < 7) for n in range(10)]
    images = tuple(replace(pair.images[0], right_a=a, right_b=b) for a, b in right)
    first, second = (replace(pair.subjects[0], dead=dead, rectified=10) for dead in (7, 8))
    made = metrics(replace(pair, images=images, subjects=(first, second)))
    # In floats 0.8 - 0.7 is larger.
    assert made["accuracy_drop"] == made["dead_share_rise"] == 0.1


def test_units_that_are_silent_on_other_images_are_not_said_to_have_died(pair):
    other = replace(pair, has_same_images=False)
    (before,) = (found for found in findings(pair) if found.kind == "units-died")
    (after,) = (found for found in findings(other) if found.kind == "units-died")
    assert (before.severity, after.severity) == ("warning", "info")
    assert "other images" in after.text and "other images" not in before.text
    assert "died" in verdict(pair) and "died" not in verdict(other)
