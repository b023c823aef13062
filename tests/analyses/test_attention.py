"""What the attention section says, against weights and rollouts put together by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.analyses.attention import METHODS, _spread, run
from reportgen.analyses.study import Study
from reportgen.report.blocks import Heatmap
from tests.analyses.test_gradcam import plain, study_with
from tests.probe.test_attention import literal
from tests.probe.transformers import GRID, SIZE, Vit, loud, photo, small_swin

COUNT = GRID[0] * GRID[1]


def study_of_photo(net: nn.Module, size: tuple[int, int] = SIZE) -> Study:
    """A study of one photo; normalised it is that of `transformers.photo`."""
    return study_with(net, size=size, pixels=[(photo(size) * 0.25 + 0.5)])


@pytest.mark.parametrize(
    ("head", "front", "reader"),
    [("class", 3, "the class token"), ("mean", 1, "the mean of 24 patches")],
)
def test_maps_are_the_rows_of_what_the_answer_reads(head: str, front: int, reader: str) -> None:
    net = loud(lambda: Vit("fused", front, 3 - front, head))
    (panel,) = run(study_of_photo(net)).panels.values()
    facts = panel.facts
    rows = [0] if head == "class" else list(range(front, front + COUNT))
    flow = np.eye(COUNT + 3)
    for block in range(3):
        weights = literal(net, block)[0].numpy().mean(0)
        flow = (weights / 2 + np.eye(COUNT + 3) / 2) @ flow
    expected = flow[rows].mean(0)[front : front + COUNT].reshape(GRID)
    np.testing.assert_allclose(panel.arrays["rollout"], expected, rtol=1e-5)
    last = literal(net, 2)[0].numpy()[:, rows].mean(1)[:, front : front + COUNT]
    np.testing.assert_allclose(panel.arrays["heads_array"], last.reshape(3, *GRID), rtol=1e-4)
    assert facts["reader"] == reader and facts["read"] == len(rows)
    assert (facts["heads"], facts["shown_heads"], facts["tokens"]) == (3, 3, COUNT + 3)
    assert (facts["rows"], facts["columns"]) == GRID
    assert facts["rollout_share"] == pytest.approx(expected.sum(), rel=1e-5)
    assert expected[facts["peak_row"], facts["peak_column"]] == expected.max()
    assert facts["layers"] == tuple(
        f"blocks.{i}.attn.F.scaled_dot_product_attention" for i in range(3)
    )
    assert list(panel.blocks) == ["rollout", "last", "head_0", "head_1", "head_2"]
    mean = last.mean(0).reshape(GRID)
    np.testing.assert_allclose(panel.blocks["last"].values, mean, rtol=1e-4)
    for place, block in enumerate(panel.blocks.values()):
        assert isinstance(block, Heatmap) and not block.for_print
        assert facts["high"][place] == pytest.approx(float(block.values.max()))
        assert block.middles == ((3.5, 3.5), (27.5, 43.5))


def test_spread_by_hand() -> None:
    assert _spread(np.full((3, 5), 0.01)) == pytest.approx(15)
    assert _spread(np.array([[0.0, 0.4], [0.0, 0.4]])) == pytest.approx(2)
    assert _spread(np.array([[0.0, 0.4]])) == 1


def test_networks_without_such_attention() -> None:
    assert run(study_with(plain())).panels == {}
    (panel,) = run(study_of_photo(loud(small_swin), (64, 96))).panels.values()
    assert panel.facts == {
        "problem": "Attention is within windows of the image here; no rollout is shown."
    }


def test_the_method_gives_the_rollout_over_the_pixels() -> None:
    net = loud(Vit)
    study = study_of_photo(net)
    (panel,) = run(study).panels.values()
    (method,) = METHODS
    assert (method.name, method.section) == ("attention_rollout", "attention")
    made = method.map_of(study, study.probe, photo(), 1)
    assert made.shape == SIZE
    patches = torch.from_numpy(panel.arrays["rollout"])[None, None].double()
    expected = F.interpolate(patches, SIZE, mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(made, expected, rtol=1e-6)
    swin = study_of_photo(loud(small_swin), (64, 96))
    assert method.map_of(swin, swin.probe, photo((64, 96)), 1) is None
