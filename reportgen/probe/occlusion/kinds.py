"""What kinds of operations a network is made of, as far as the place of a cell matters."""

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

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
        return replace(self, weight=weight, bias=None if self.bias is None else self.bias.detach())


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


def convolution(
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    **_: Any,
) -> Convolution | None:
    """A convolution from the arguments of `conv2d`; None where it pads one side more."""
    kernel, dilations = (weight.shape[2], weight.shape[3]), _pair(dilation)
    if padding == "same":
        beyond = [dilations[i] * (kernel[i] - 1) for i in (0, 1)]
        if any(cells % 2 for cells in beyond):
            return None
        padding = (beyond[0] // 2, beyond[1] // 2)
    reaches = _reaches(kernel, stride, 0 if padding == "valid" else padding, dilations)
    return Convolution(weight, bias, reaches, groups)


def pooling(
    is_maximum: bool,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    **_: Any,
) -> Pooling:
    """A pooling from the arguments of `max_pool2d` or `avg_pool2d`."""
    stride = kernel_size if stride in (None, (), []) else stride
    reaches = _reaches(kernel_size, stride, padding, dilation)
    return Pooling(reaches, is_maximum, count_include_pad, divisor_override)


def _reaches(kernel: Any, stride: Any, padding: Any, dilation: Any) -> Reaches:
    settings = [_pair(value) for value in (kernel, stride, padding, dilation)]
    down, across = (Reach(*(pair[axis] for pair in settings)) for axis in (0, 1))
    return down, across


def _pair(value: Any) -> tuple[int, int]:
    """Down and across, given as one number, as a sequence of one or of two."""
    first, second = (value, value) if isinstance(value, int) else (*value, *value)[:2]
    return int(first), int(second)
