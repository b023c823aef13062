"""Gradients through ReLUs that are off, against the rule written out."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reportgen.probe.reviving import Reviving

SPELLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
    "clamp": lambda x: x.clamp(min=0),
    "hardtanh": lambda x: F.hardtanh(x, 0.0, 50.0),
}
# The first image is off everywhere, the second here and there.
VALUES = torch.tensor([[-1.0, -2.0, -0.25, -3.0], [1.0, -2.0, 3.0, -0.5]])
INCOMING = torch.tensor([[1.0, -2.0, 3.0, 0.0], [4.0, 5.0, -6.0, 7.0]])
MASKED = torch.tensor([[0.0, 0.0, 0.0, 0.0], [4.0, 0.0, -6.0, 0.0]])
BOTH = torch.tensor([True, True])
REVIVED = torch.tensor([[0.0, 0.0, 3.0, 0.0], [4.0, 0.0, -6.0, 0.0]])


def through(relu: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = VALUES.clone().requires_grad_()
    before = leaf * 1
    after = relu(before)
    (gradient,) = torch.autograd.grad(after, leaf, INCOMING)
    return after.detach(), gradient


@pytest.mark.parametrize("relu", SPELLINGS.values(), ids=SPELLINGS)
def test_an_image_that_is_off_gets_the_gradient_that_raises_what_is_nearest_to_on(
    relu: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    values, gradient = through(relu)
    assert torch.equal(values, VALUES.clamp(min=0))
    assert torch.equal(gradient, MASKED)
    with Reviving(torch.tensor([False, True])):
        assert torch.equal(through(relu)[1], MASKED)
    with Reviving(BOTH):
        values, gradient = through(relu)
    assert torch.equal(values, VALUES.clamp(min=0))

    assert torch.equal(gradient, REVIVED)


def test_what_is_added_to_it_later_and_what_else_reads_the_operand_stay_as_they_are() -> None:
    leaf = VALUES.clone().requires_grad_()
    with Reviving(BOTH):
        before = leaf * 1
        # PyTorch itself lets no result of `relu` be written to.
        after = before.clamp(min=0)
        after += before
        total = (after * INCOMING).sum()
    (gradient,) = torch.autograd.grad(total, leaf)
    assert torch.equal(gradient, REVIVED + INCOMING)


def test_without_gradients_nothing_changes() -> None:
    with torch.no_grad(), Reviving(BOTH):
        assert torch.equal(F.relu(VALUES), VALUES.clamp(min=0))
