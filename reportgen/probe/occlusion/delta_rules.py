"""What each kind of operation does with the difference that a hidden place makes.

A linear operation treats a difference as it would a value, without its bias. What is not linear
needs the clean value y as well: `f(y + d) - f(y)`.
"""

from collections import ChainMap
from collections.abc import MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx

from reportgen.probe.occlusion.clean import Clean
from reportgen.probe.occlusion.delta_steps import MEANS, MOVES, NOTHING, name_of, weights_of
from reportgen.probe.occlusion.delta_windows import Difference, both_sides, fitted
from reportgen.probe.occlusion.graph import Graph, Step
from reportgen.probe.occlusion.kinds import (
    Concatenation,
    Convolution,
    Join,
    Mean,
    Measure,
    Pointwise,
    Pooling,
)
from reportgen.probe.occlusion.rules import Plan
from reportgen.probe.occlusion.windows import Windows, cells_averaged, needed_span


class Rules:
    """Carries differences through the steps of one network, for one image."""

    def __init__(
        self, graph: Graph, clean: Clean, dtype: torch.dtype, wide: frozenset[fx.Node]
    ) -> None:
        """Gets the weights ready.

        Args:
            graph: of the network.
            clean: results of its steps for the clean image.
            dtype: of the differences.
            wide: steps whose differences stay in float32 all the same.
        """
        # Half a second, for numba, that only a fast map is to cost.
        from reportgen.probe.occlusion import delta_kernels

        self._kernels = delta_kernels
        self._clean = clean
        self._dtypes = {
            step.node: torch.float32 if step.node in wide else dtype for step in graph.steps
        }
        self._weights = weights_of(graph, self._dtypes)
        self._maps: dict[fx.Node, torch.Tensor] = {}
        rectifiers = [step for step in graph.steps if name_of(step) == "relu"]
        self._summed_later = {step.reads[0] for step in rectifiers if step.reads[0] in step.ends}

    def result(self, step: Step, values: MutableMapping[fx.Node, Any], plan: Plan) -> Any:
        """The result of a step: its difference, or true values where no rule is known."""
        if isinstance(step.kind, Measure):
            first = step.reads[0]
            places = len(values[first])
            return step(ChainMap({first: self._clean.repeated(first, places)}, values))
        operands = [values[read] for read in step.reads]
        if all(isinstance(operand, Difference) for operand in operands):
            found = self._difference(step, operands, values, plan.get(step.node))
            if found is not None:
                return found
        return step(ChainMap({read: self.true(read, values[read]) for read in step.reads}, values))

    def _difference(
        self,
        step: Step,
        operands: Sequence[Difference],
        values: MutableMapping[fx.Node, Any],
        windows: Windows | None,
    ) -> Difference | None:
        """None where there is no rule."""
        first, dtype = operands[0], self._dtypes[step.node]
        is_map = step.node in self._clean.sizes
        name = name_of(step)
        match step.kind:
            case Convolution():
                return Difference(self._convolved(step, first, windows), windows, is_own=True)
            case Pooling():
                return Difference(self._pooled(step, first, windows), windows, is_own=True)
            case Mean(keeps_axes=keeps_axes):
                height, width = self._clean.sizes[step.reads[0]]
                inside = self._in(step.reads[0], first, first.windows)
                total = inside.sum((2, 3), keepdim=keeps_axes, dtype=torch.float32)
                return Difference(total / (height * width))
            case Concatenation():
                parts = [
                    self._in(read, one, windows).to(dtype)
                    for read, one in zip(step.reads, operands, strict=True)
                ]
                # One result may be read twice.
                given = step.node.args[0]
                assert isinstance(given, (list, tuple))
                order = [parts[step.reads.index(read)] for read in given]
                return Difference(torch.cat(order, 1), windows)
        if name == "relu" and is_map:
            return self._rectified(step, first)
        if name == "linear" and step.node in self._weights and len(step.reads) == 1:
            return self._linear(step, first)
        if name == "add" and self._is_sum(step):
            return self._sum(step, operands, windows)
        if name in MEANS or (not is_map and name in MOVES):
            return Difference(self._moved(step, first, values))
        if name in MOVES | NOTHING and isinstance(step.kind, Pointwise):
            return Difference(self._in(step.reads[0], first, first.windows), first.windows)
        if isinstance(step.kind, (Pointwise, Join)):
            return self._pointwise(step, operands, values, windows)
        return None

    def _is_sum(self, step: Step) -> bool:
        sizes = [self._clean.results[read].shape for read in step.reads]
        return (
            len(step.node.args) == 2 == len(sizes) and sizes[0] == sizes[1] and not step.node.kwargs
        )

    def _sum(
        self, step: Step, operands: Sequence[Difference], windows: Windows | None
    ) -> Difference:
        dtype = self._dtypes[step.node]
        both = sorted(
            zip(step.reads, operands, strict=True),
            key=lambda one: not (one[1].is_own and one[0] in step.ends),
        )
        first, second = (self._in(*one, windows).to(dtype) for one in both)
        if step.node not in self._summed_later:
            return Difference(first + second, windows, is_own=True)
        is_own = both[0][1].is_own and both[0][0] in step.ends
        return Difference(first, windows, second, is_own)

    def true(self, node: fx.Node, value: Any) -> Any:
        """A result with its difference added, in the order of axes that the network has."""
        if not isinstance(value, Difference):
            return value
        whole = self._in(node, value, None).float()
        if node in self._clean.sizes and self._clean.is_last(node):
            whole = whole.permute(0, 2, 3, 1)
        return self._clean.results[node] + whole

    def _in(self, node: fx.Node, difference: Difference, wanted: Windows | None) -> torch.Tensor:
        """A difference in other windows, or whole."""
        values = difference.values
        if difference.addend is not None:
            values = (values + difference.addend).to(self._dtypes[node])
        if difference.windows is None and wanted is None:
            return values
        places = len(values)
        have = difference.windows or self._clean.everything(node, places)
        want = wanted or self._clean.everything(node, places)
        return fitted(values, have, want)

    def _convolved(
        self, step: Step, difference: Difference, windows: Windows | None
    ) -> torch.Tensor:
        kind, weight = step.kind, self._weights[step.node]
        assert isinstance(kind, Convolution)
        down, across = kind.reaches
        strides, dilations = (down.stride, across.stride), (down.dilation, across.dilation)
        if windows is None:
            maps = self._in(step.reads[0], difference, None)
            padding = (down.padding, across.padding)
        else:
            have = difference.windows or self._clean.everything(step.reads[0], len(difference))
            maps = self._in(step.reads[0], difference, difference.windows)
            sides = [
                both_sides(windows.rows, have.rows, down),
                both_sides(windows.columns, have.columns, across),
            ]
            padding = (sides[0] or 0, sides[1] or 0)
            if None in sides:
                rows, columns = (
                    needed_span(windows.rows, down),
                    needed_span(windows.columns, across),
                )
                maps, padding = fitted(maps, have, Windows(rows, columns)), (0, 0)
        maps = maps.to(weight.dtype)
        return F.conv2d(maps, weight, None, strides, padding, dilations, kind.groups)

    def _linear(self, step: Step, difference: Difference) -> Difference:
        read, weight = step.reads[0], self._weights[step.node]
        if step.node in self._clean.sizes and self._clean.is_last(step.node):
            maps = _last(self._in(read, difference, difference.windows)).to(weight.dtype)
            return Difference(F.linear(maps, weight).permute(0, 3, 1, 2), difference.windows)
        return Difference(F.linear(self._in(read, difference, None).to(weight.dtype), weight))

    def _rectified(self, step: Step, difference: Difference) -> Difference:
        read, dtype, before = step.reads[0], self._dtypes[step.node], difference.values
        if before.device.type != "cpu":
            y = self._cut(read, difference.windows)
            total = self._in(read, difference, difference.windows).float()
            after = torch.maximum(total + y.clamp(max=0), -y.clamp(min=0)).to(dtype)
            return Difference(after, difference.windows)
        windows = difference.windows or self._clean.everything(read, len(before))
        is_free = difference.is_own and read in step.ends
        d = _last(before.to(dtype)).contiguous()
        into = d if is_free else torch.empty_like(d)
        addend = None if difference.addend is None else _last(difference.addend.to(dtype))
        self._kernels.rectified(d, addend, self._whole_map(read), windows, into)
        return Difference(into.permute(0, 3, 1, 2), difference.windows)

    def _pooled(self, step: Step, difference: Difference, windows: Windows | None) -> torch.Tensor:
        pooling, read = step.kind, step.reads[0]
        assert isinstance(pooling, Pooling)
        places = len(difference)
        values = self._in(read, difference, difference.windows)
        have = difference.windows or self._clean.everything(read, places)
        want = windows or self._clean.everything(step.node, places)
        dtype = self._dtypes[step.node]
        down, across = pooling.reaches
        kernel, stride = (down.kernel, across.kernel), (down.stride, across.stride)
        if pooling.is_maximum and values.device.type == "cpu":
            into = torch.empty(places, *want.size, values.shape[1], dtype=dtype)
            both = self._whole_map(read), self._whole_map(step.node)
            self._kernels.largest(_last(values), have, pooling.reaches, both, want, into)
            return into.permute(0, 3, 1, 2)
        needed = Windows(needed_span(want.rows, down), needed_span(want.columns, across))
        maps = fitted(values, have, needed).float()
        if pooling.is_maximum:
            paddings = down.padding, across.padding
            maps = maps + self._clean.cut(read, needed.rows, needed.columns, paddings, -torch.inf)
            after = F.max_pool2d(maps, kernel, stride, 0, (down.dilation, across.dilation))
            return (after - self._cut(step.node, want)).to(dtype)
        if pooling.divisor is not None:
            means = F.avg_pool2d(maps, kernel, stride, divisor_override=pooling.divisor)
            return means.to(dtype)
        counts = [
            cells_averaged(span, reach, length, pooling.counts_padding)
            for span, reach, length in zip(
                (want.rows, want.columns), pooling.reaches, self._clean.sizes[read], strict=True
            )
        ]
        sums = F.avg_pool2d(maps, kernel, stride, divisor_override=1)
        cells = torch.from_numpy(np.einsum("by,bx->byx", *counts)).to(sums)
        return (sums / cells[:, None]).to(dtype)

    def _moved(
        self, step: Step, difference: Difference, values: MutableMapping[fx.Node, Any]
    ) -> torch.Tensor:
        read = step.reads[0]
        whole = self._in(read, difference, None)
        if read in self._clean.sizes and self._clean.is_last(read):
            whole = whole.permute(0, 2, 3, 1)
        moved: torch.Tensor = step(ChainMap({read: whole}, values))
        return moved

    def _pointwise(
        self,
        step: Step,
        operands: Sequence[Difference],
        values: MutableMapping[fx.Node, Any],
        windows: Windows | None,
    ) -> Difference:
        clean, given = self._clean, {}
        for read, operand in zip(step.reads, operands, strict=True):
            difference = self._in(read, operand, windows)
            if read not in clean.sizes:
                given[read] = clean.results[read] + difference.float()
                continue
            true = self._cut(read, windows) + difference.float()
            given[read] = true.permute(0, 2, 3, 1) if clean.is_last(read) else true
        result = step(ChainMap(given, values))
        if step.node in clean.sizes:
            if clean.is_last(step.node):
                result = result.permute(0, 3, 1, 2)
            result = result - self._cut(step.node, windows)
        else:
            result = result - clean.results[step.node]
        return Difference(result.to(self._dtypes[step.node]), windows)

    def _whole_map(self, node: fx.Node) -> torch.Tensor:
        """The clean map of a node, (h w c)."""
        if node not in self._maps:
            self._maps[node] = self._cut(node, None)[0].permute(1, 2, 0).float().contiguous()
        return self._maps[node]

    def _cut(self, node: fx.Node, windows: Windows | None) -> torch.Tensor:
        if windows is None:
            value: torch.Tensor = self._clean.results[node]
            return value.permute(0, 3, 1, 2) if self._clean.is_last(node) else value
        return self._clean.cut(node, windows.rows, windows.columns, (0, 0), 0.0)


def _last(maps: torch.Tensor) -> torch.Tensor:
    """Maps (places c h w) as (places h w c)."""
    return maps.permute(0, 2, 3, 1)
