"""How the tokens of a vision transformer look at one another: the weights of its attention.

The weights are those of the forward pass itself. They are computed once more beside each function
that attends, from the same tensors, and the network goes on with its own result.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reportgen.probe.answers import scores_in
from reportgen.probe.evidence import CallKey
from reportgen.probe.gradients import differentiated
from reportgen.probe.layout import Axis, Layout, TokenGrid, grid_in
from reportgen.probe.probe import Probe
from reportgen.probe.trace import COPIES, Tracer
from reportgen.probe.watch import Watch
from reportgen.report.arrays import FloatArray


@dataclass(frozen=True, eq=False)
class Attention:
    """One layer of self-attention among all tokens, for one image."""

    key: CallKey
    weights: FloatArray
    "Mean over heads, (queries keys) float64; each row sums to one."
    heads: int


@dataclass(frozen=True, eq=False)
class Attended:
    """All self-attention of one forward pass; no layers, and why, where there is none to show."""

    layers: tuple[Attention, ...]
    "In the order of execution."
    last: FloatArray
    "Weights of the last layer, (heads queries keys) float32."
    read: NDArray[np.bool_]
    "(queries,) of the last layer: those whose result the score depends on."
    tokens: TokenGrid | None
    problem: str = ""


NOTHING = Attended((), np.empty((0, 0, 0), np.float32), np.empty(0, bool), None)
"A network without attention."


def attended(probe: Probe, image: torch.Tensor, target: int) -> Attended:
    """The attention of a network while it looks at one normalised image (c h w).

    Args:
        probe: of the network.
        image: normalised.
        target: class whose score tells which tokens are read in the end.

    Raises:
        ModelError: if no gradient can be taken through the network.
        ResourceError: if the image does not fit the memory.
    """
    with probe.lent(image) as (module, moved), differentiated(UNFOLLOWED):
        return _attended(module, moved, target)


def _attended(module: nn.Module, image: torch.Tensor, target: int) -> Attended:
    leaf = image.detach().clone().requires_grad_()
    batch = leaf.expand(COPIES, *leaf.shape).clone()
    follower = _Follower(batch)
    with Watch(module, follower):
        score = scores_in(module(batch), COPIES)[0, target]
    found, seen = follower.found, follower.seen
    problem = follower.problem
    if any(other != seen[-1] for other in seen):
        problem = problem or "Attention layers differ in their positions; no rollout is shown."
    if not all(np.isfinite(layer.weights).all() for layer in found):
        problem = "The attention of this image is not finite; none is shown."
    if problem or not found:
        return replace(NOTHING, problem=problem)
    (gradient,) = torch.autograd.grad(score, follower.result, allow_unused=True)
    read = np.zeros(found[-1].weights.shape[0], bool)
    if gradient is not None:
        read = (follower.of_first(gradient) != 0).any(2).any(0).cpu().numpy()
    if not read.any():
        return replace(NOTHING, problem=UNUSED)
    return Attended(tuple(found), follower.last, read, seen[-1])


def rollout(layers: Sequence[FloatArray]) -> FloatArray:
    """How much of each token of the image reaches each token in the end [abnar2020].

    A token is passed on half by attention and half as it is, by the residual sum: each layer's
    weights, averaged over heads, are added to the identity, rows are made to sum to one again, and
    the matrices are multiplied through the layers.

    Args:
        layers: weights in the order of execution, each (queries keys), as many of one as of other.

    Returns:
        (tokens at the end, tokens at the start) float64; each row sums to one.
    """
    flow = np.eye(len(layers[0]))
    for weights in layers:
        mixed = weights + np.eye(len(weights))
        flow = (mixed / mixed.sum(axis=1, keepdims=True)) @ flow
    return flow


UNFOLLOWED = "The attention of this network cannot be followed"
WINDOWS = "Attention is within windows of the image here; no rollout is shown."
OTHER_KEYS = "Attention looks at other tokens than those that it is for; no rollout is shown."
UNREAD = "How images and heads lie in the attention is not known; no rollout is shown."
UNUSED = "The score does not change with what the last attention gives; no rollout is shown."
RANDOM = "Attention is dropped at random here, also in eval mode; no weights are shown."


class _Follower(Tracer):
    """Follows the layout of every tensor, and takes the weights wherever tokens attend."""

    def __init__(self, batch: torch.Tensor) -> None:
        super().__init__(FlopCounterMode(display=False), batch)
        self.found: list[Attention] = []
        self.seen: list[TokenGrid] = []
        self.last = NOTHING.last
        self.result = torch.empty(0)
        "Of the last function that attended."
        self.is_by_position = False
        "Whether its axes are (queries b c), as inside `nn.MultiheadAttention`."
        self.problem = ""

    def operate(self, name: str, run: Any, args: Any, kwargs: Any) -> Any:
        """Runs a function, and looks at what it did where it is attention."""
        result = super().operate(name, run, args, kwargs)
        if name == "multi_head_attention_forward":
            bound = _bound(F.multi_head_attention_forward, args, kwargs)
            query, key = (self._layout(bound[part]) for part in ("query", "key"))
            if query and key and len(query) == 3:
                self._take(query[0], key[0], query[1], _of_module(args, kwargs), result[0], True)
        elif name == "scaled_dot_product_attention":
            bound = _of_function(args, kwargs)
            query, key = (self._layout(bound[part]) for part in ("query", "key"))
            if query and key:
                self._take(query[-2], key[-2], query[0], lambda: _weights(**bound), result)
        elif name == "softmax" and (layout := self._layout(result)) and len(layout) > 2:
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            if dim in (-1, len(layout) - 1):
                self._take(layout[-2], layout[-1], layout[0], lambda: result, result)
        return result

    def of_first(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor like the last result, of the first of the two copies, as (heads queries c)."""
        if self.is_by_position:
            return tensor[None, :, 0]
        return tensor.reshape(COPIES, -1, *tensor.shape[-2:])[0]

    def _layout(self, tensor: Any) -> Layout | None:
        flow = self._flow(tensor)
        return flow.layout if flow else None

    def _take(
        self,
        queries: Axis,
        keys: Axis,
        batch: Axis,
        weigh: Callable[[], torch.Tensor | None],
        result: torch.Tensor,
        is_by_position: bool = False,
    ) -> None:
        """Takes the weights where all tokens of a grid look at one another."""
        if not _are_places(queries) or not _are_places(keys):
            return
        (before, grid), others = grid_in(queries), grid_in(keys)
        if not grid:
            # Otherwise what attends is no position of the image: a class token, or a learned query.
            if queries == keys and any(factor.role != "token" for factor in queries):
                self.problem = WINDOWS
            return
        # Everything between the images and the tokens is a head, also where they share an axis.
        images, *rest = batch or (None,)
        is_first = images is not None and images.role == "batch" and images.size == COPIES
        if not is_first or any(factor.role != "channel" for factor in rest):
            self.problem = self.problem or UNREAD
            return
        weights = weigh()
        if weights is None:
            self.problem = self.problem or RANDOM
            return
        if others != (before, grid) or weights.shape[-1] != weights.shape[-2]:
            self.problem = self.problem or OTHER_KEYS
            return
        heads = weights.detach().reshape(COPIES, -1, *weights.shape[-2:])[0]
        self.last = heads.float().cpu().numpy()
        self.seen.append(TokenGrid(0, before, grid[0].size, grid[1].size))
        mean = heads.double().mean(0).cpu().numpy()
        self.found.append(Attention(next(reversed(self._pending)), mean, len(heads)))
        self.result, self.is_by_position = result, is_by_position


def _are_places(factors: Axis) -> bool:
    """Whether an axis counts positions of the image or tokens."""
    return bool(factors) and all(factor.role in ("height", "width", "token") for factor in factors)


def _bound(function: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by name, defaults filled in."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def _of_module(args: Any, kwargs: Any) -> Callable[[], torch.Tensor | None]:
    """Weights (b heads queries keys) of `F.multi_head_attention_forward`, asked for once more."""

    def weigh() -> torch.Tensor | None:
        bound = _bound(F.multi_head_attention_forward, args, kwargs)
        if bound["training"] and bound["dropout_p"] > 0:
            return None
        weights = F.multi_head_attention_forward(
            **{**bound, "need_weights": True, "average_attn_weights": False}
        )[1]
        return weights

    return weigh


def _of_function(args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of `F.scaled_dot_product_attention`, which has no signature of its own."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _weights(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor | None:
    """Weights (... queries keys) of `F.scaled_dot_product_attention`, by its definition."""
    if dropout_p > 0:
        return None
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.mT * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1)
