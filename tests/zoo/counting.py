"""Multiplications of a network, counted once more: from the shapes of what it computes with."""

import math
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2)}
"Products of matrices by name: which arguments are multiplied."


class Counter(TorchDispatchMode):
    """Adds up the multiplications of convolutions and products, also those inside attention."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.unweighted = 0
        "Those in products of two batches of matrices, neither of them weights: attention's."

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        name = function.name().split("::")[1].split(".")[0]
        if name == "convolution":
            # Each output value is a sum over the kernel: (inputs of its group) x height x width.
            # A transposed one spreads each input value over a kernel instead.
            is_transposed = args[6]
            values = args[0] if is_transposed else result
            self.macs += values.numel() * math.prod(args[1].shape[1:])
        elif name in _PRODUCTS:
            left = args[_PRODUCTS[name][0]]
            products = result.numel() * left.shape[-1]
            self.macs += products
            self.unweighted += products * (name == "bmm")
        elif "attention" in name:
            raise NotImplementedError(f"{name} is not taken apart here")
        return result


def counted_macs(net: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-accumulate operations for one image of (height, width), on the meta device."""
    return counter_for(net, torch.empty(1, 3, *size, device="meta")).macs


def counter_for(net: nn.Module, image: torch.Tensor) -> Counter:
    """What was counted for this image: what is found in it decides what detection multiplies."""
    with torch.no_grad(), Counter() as counter:
        net(image)
    return counter


def parameters_of(net: nn.Module) -> int:
    """Numbers in all parameters, each once."""
    return sum(parameter.numel() for parameter in net.parameters())
