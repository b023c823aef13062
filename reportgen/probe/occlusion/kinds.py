"""What kinds of operations a network is made of, as far as the place of a cell matters."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
import torch.nn.functional as F

from reportgen.probe.occlusion.windows import Reach

Reaches: TypeAlias = tuple[Reach, Reach]
"Along rows and along columns."


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution in two directions, with the norm after it folded in."""

    weight: torch.Tensor
    "(outputs inputs/groups h w)"
    bias: torch.Tensor | None
    reaches: Reaches
    groups: int

    def __call__(self, maps: torch.Tensor, is_padded: bool = False) -> torch.Tensor:
        """Maps (b outputs h w) of maps (b inputs h w), which may hold their padding already."""
        down, across = self.reaches
        padding = (0, 0) if is_padded else (down.padding, across.padding)
        return F.conv2d(
            maps,
            self.weight,
            self.bias,
            (down.stride, across.stride),
            padding,
            (down.dilation, across.dilation),
            self.groups,
        )

    def normed(self, scale: torch.Tensor, shift: torch.Tensor) -> "Convolution":
        """The same with its output multiplied by `scale` and moved by `shift`, (outputs,) each."""
        weight = self.weight * scale[:, None, None, None]
        return replace(
            self, weight=weight, bias=shift if self.bias is None else shift + scale * self.bias
        )

    def laid_out(self) -> "Convolution":
        """The same with its weights in the order in which channels-last maps are read."""
        weight = self.weight.detach().contiguous(memory_format=torch.channels_last)
        return replace(
            self, weight=weight, bias=None if self.bias is None else self.bias.detach()
        )


@dataclass(frozen=True, eq=False)
class Pooling:
    """The largest value, or the mean, of the cells around."""

    reaches: Reaches
    is_maximum: bool
    counts_padding: bool = True
    "Whether a mean counts the padding as cells."
    divisor: int | None = None
    "By which the sum is divided, whatever the number of cells."


@dataclass(frozen=True)
class Pointwise:
    """Each cell of the output comes from the cell at its place: activations, norms, permutations.

    The channels of a place may mix.
    """


@dataclass(frozen=True)
class Join:
    """Like `Pointwise`, of several maps of one size: sums and products."""


@dataclass(frozen=True)
class Concatenation:
    """Maps behind each other along the channels."""


@dataclass(frozen=True)
class Mean:
    """The mean of every channel over the whole map."""

    keeps_axes: bool
    "Whether two axes of one cell are left."


@dataclass(frozen=True)
class Measure:
    """Reads the shape of a map, and not what is in it."""


@dataclass(frozen=True)
class Whole:
    """Anything else: needs its inputs whole, and all of its output may change."""


Kind: TypeAlias = Convolution | Pooling | Pointwise | Join | Concatenation | Mean | Measure | Whole
