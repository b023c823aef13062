"""One forward pass, followed tensor by tensor: what each call is, reads, costs and sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reportgen.errors import ModelError, first_line
from reportgen.probe.answers import form_of, logits_in
from reportgen.probe.blame import kind_and_words
from reportgen.probe.borrow import frozen
from reportgen.probe.evidence import Call, CallKey, Kind
from reportgen.probe.flow import UNSEEN, Flow, Operation, memory_of, version_of
from reportgen.probe.layout import Arrangement, arrangement, maps
from reportgen.probe.memory import is_out_of_memory
from reportgen.probe.operations import is_atomic, kind_of, rectifies, tensors_in
from reportgen.probe.output import Form
from reportgen.probe.receptive_field import PIXEL, record
from reportgen.probe.rules import ELEMENTWISE, known_after
from reportgen.probe.similarity import similarity
from reportgen.probe.watch import FunctionCall, Observer, Watch

COPIES = 2
"The image is followed twice in one batch: an axis of length 1 could not be told from others."


@dataclass(frozen=True, eq=False)
class Trace:
    """What one forward pass showed."""

    calls: tuple[Call, ...]
    arrangements: Mapping[CallKey, Arrangement]
    "Of the calls whose output keeps the images apart."
    macs: int
    "Multiply-accumulate operations of the whole forward pass for one image."
    classes: int
    form: Form
    is_deterministic: bool
    ends_in_sigmoid: bool
    "Whether the last call that computes is a sigmoid."
    input_similarity: Mapping[CallKey, float]
    scores: torch.Tensor
    "Of `COPIES` copies of the image (COPIES classes), float32 on the CPU."


def trace(module: nn.Module, image: torch.Tensor) -> Trace:
    """Follows `image`, (c h w) or (c slices h w), through a borrowed network.

    Raises:
        ModelError: if the network cannot take the image, or gives no scores per class.
    """
    batch = image.expand(COPIES, *image.shape).contiguous()
    first = logits_in(_first_forward(module, batch.clone()), COPIES)
    counter = FlopCounterMode(display=False)
    tracer = Tracer(counter, batch)
    with frozen(module), counter, Watch(module, tracer):
        output = module(batch)
    again, form = logits_in(output, COPIES), form_of(output, COPIES)
    scale = float(first.abs().max()) if first.numel() else 0.0
    slack = 1e-5 * scale if scale < float("inf") else 0.0
    return Trace(
        calls=tuple(tracer.calls),
        arrangements=_certain(tracer.arrangements) if form == "boxes" else tracer.arrangements,
        macs=(counter.get_total_flops() + tracer.constant_flops) // 2 // COPIES,
        classes=first.shape[1],
        form=form,
        is_deterministic=torch.allclose(first, again, rtol=1e-4, atol=slack, equal_nan=True),
        ends_in_sigmoid=_ends_in_sigmoid(tracer.calls),
        input_similarity=tracer.input_similarity,
        scores=first,
    )


def _certain(found: Mapping[CallKey, Arrangement]) -> Mapping[CallKey, Arrangement]:
    """Maps alone: all else may hold a row an object, of which there are as many as are found."""
    return {key: known for key, known in found.items() if known.spatial_axes is not None}


def _ends_in_sigmoid(calls: Sequence[Call]) -> bool:
    last = next((call.type for call in reversed(calls) if call.kind != "other"), "")
    return last in ("Sigmoid", "F.sigmoid")


def _first_forward(module: nn.Module, batch: torch.Tensor) -> Any:
    """The network's own answer, or its own complaint with what to do about it."""
    shape = " x ".join(str(size) for size in batch.shape[1:])
    try:
        return module(batch)
    # A network may end the program, too, as a script does.
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        said = kind_and_words(error) if isinstance(error, SystemExit) else first_line(error)
        if isinstance(error, TypeError) and "positional argument" in said:
            raise ModelError(
                f"The network does not take one batch of images alone: {said}. "
                "Give a factory with --arch FILE.py:NAME that fills in the rest."
            ) from error
        slices, flag = (" x slices", "--slices N and ") if batch.ndim == 5 else ("", "")
        raise ModelError(
            f"The network cannot take a {shape} image (channels{slices} x height x width): {said}. "
            f"Give the size that it was trained on with {flag}--input-size HEIGHT WIDTH."
        ) from error


@dataclass
class _Pending:
    """A call that has begun."""

    inputs: tuple[CallKey, ...]
    first_input: torch.Tensor | None
    "A copy, for the call may overwrite it; of one of the images."
    flops: int
    listed_flops: int
    calls: int
    is_constant: bool
    "True where it reads nothing that depends on the image."
    functions: list[str] = field(default_factory=list)
    "Names of the functions that ran inside and gave tensors."
    written: set[int] = field(default_factory=set)
    "Memory that was overwritten inside."


class Tracer(Observer):
    """Builds the list of calls while the forward pass runs."""

    def __init__(self, counter: FlopCounterMode, batch: torch.Tensor) -> None:
        self.calls: list[Call] = []
        self.arrangements: dict[CallKey, Arrangement] = {}
        self.input_similarity: dict[CallKey, float] = {}
        self._counter = counter
        self._image = (batch.shape[-2], batch.shape[-1])
        self._flows: dict[int, Flow] = {}
        self._kept: list[torch.Tensor] = []
        self._filled: dict[int, tuple[CallKey, ...]] = {}
        "Memory that images were written to, one after the other, and where they came from."
        self._pending: dict[CallKey, _Pending] = {}
        self._counted: set[int] = set()
        self._listed_flops = 0
        self.constant_flops = 0
        "To be added where a batch shares what a single image needs for itself."
        self._last_output: torch.Tensor | None = None

    def start(self, inputs: Any) -> None:
        """Notes the images, which hooks of the network's own may have replaced."""
        images = next(tensors_in(inputs))
        self._learn(images, Flow(maps(images.shape), (PIXEL, PIXEL), ()))

    def _learn(self, tensor: torch.Tensor, flow: Flow) -> None:
        """Notes what is known of a tensor, and keeps it so that no other gets its identity."""
        self._flows[id(tensor)] = flow
        self._kept.append(tensor)

    def _flow(self, value: Any) -> Flow | None:
        flow = self._any_flow(value)
        return None if flow and flow.is_constant else flow

    def _any_flow(self, value: Any) -> Flow | None:
        flow = self._flows.get(id(value))
        if flow is None and self._filled and isinstance(value, torch.Tensor):
            sources = self._filled.get(memory_of(value))
            flow = None if sources is None else Flow(None, UNSEEN, sources)
        return flow

    def operate(self, name: str, run: Any, args: Any, kwargs: Any) -> Any:
        """Runs a function and works out what is known of its results."""
        operands = list(tensors_in((args, kwargs)))
        origins = [flow for operand in operands if (flow := self._any_flow(operand))]
        if not origins or name.startswith("new_") or name.endswith("_like"):
            # A constant, even where it takes its shape from a tensor that is none.
            return run(*args, **kwargs)
        flows = tuple(flow for flow in origins if not flow.is_constant)
        operation = Operation(name, args, kwargs, self._image, self._flow, flows)
        versions = [version_of(operand) for operand in operands]
        result = run(*args, **kwargs)
        sources = tuple(dict.fromkeys(key for flow in origins for key in flow.sources))
        results = list(tensors_in(result))
        for pending in self._pending.values():
            pending.functions += [name] * len(results)
        # All rules read the operands before any result, which may be an operand itself, is noted.
        known = [known_after(operation, tensor, number) for number, tensor in enumerate(results)]
        is_rectified = rectifies(name, args, kwargs)
        for tensor, (layout, spans) in zip(results, known, strict=True):
            self._learn(tensor, Flow(layout, spans, sources, is_rectified, not flows))
        for operand, version in zip(operands, versions, strict=True):
            if version_of(operand) != version:
                if name == "setitem" and (flow := self._flow(operand)):
                    # No rule tells what a tensor sees of which a part was replaced.
                    self._learn(operand, replace(flow, spans=operation.settled))
                self._overwritten(operand, sources, is_constant=not flows)
                for pending in self._pending.values():
                    pending.written.add(memory_of(operand))
        return result

    def _overwritten(
        self, tensor: torch.Tensor, sources: tuple[CallKey, ...], is_constant: bool
    ) -> None:
        """Passes the new origin on to all tensors that share memory with one written to."""
        if self._flow(tensor) is None and not is_constant:
            self._learn(tensor, Flow(None, UNSEEN, sources))
        memory = memory_of(tensor)
        if not is_constant:
            self._filled[memory] = sources
        for other in self._kept:
            flow = self._flows[id(other)]
            if memory_of(other) == memory:
                is_all = other.numel() == tensor.numel()
                merged = sources if is_all else tuple(dict.fromkeys((*flow.sources, *sources)))
                self._flows[id(other)] = replace(flow, sources=merged)

    def enter(self, key: CallKey, inputs: Any) -> None:
        """Notes the state before a call."""
        tensors = list(tensors_in(inputs))
        flows = [flow for tensor in tensors if (flow := self._any_flow(tensor))]
        self._pending[key] = _Pending(
            inputs=tuple(dict.fromkeys(source for flow in flows for source in flow.sources)),
            first_input=_one_copy(tensors[0]).detach().clone() if tensors else None,
            flops=self._counter.get_total_flops(),
            listed_flops=self._listed_flops,
            calls=len(self.calls),
            is_constant=all(flow.is_constant for flow in flows),
        )

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """Adds a call to the list."""
        pending = self._pending.pop(key)
        if len(self.calls) > pending.calls and output is self._last_output:
            # A user's own leaf that ends with a function which is listed already.
            return
        flops = self._counter.get_total_flops() - pending.flops
        flops -= self._listed_flops - pending.listed_flops
        self._listed_flops += flops
        kind = _kind(source, pending)
        # Some make positions anew for each image of a batch, as EdgeNeXt does.
        is_repeated = kind == "conv" and output.ndim == 4 and len(output) == COPIES
        if pending.is_constant and not is_repeated:
            # It is computed once for all images, and here there are `COPIES` of them.
            flops *= COPIES
            self.constant_flops += flops // COPIES * (COPIES - 1)
        flow = self._flows.get(id(output)) or Flow(
            None, UNSEEN, pending.inputs, is_constant=pending.is_constant
        )
        arranged = None if flow.is_constant else arrangement(flow.layout, output.shape, COPIES)
        own_shape = output.shape[1:] if flow.is_constant and is_repeated else output.shape
        grid = None
        if arranged is not None:
            self.arrangements[key] = arranged
            grid = (1, 1) if len(arranged.shape) <= 1 else arranged.grid
        self.calls.append(
            Call(
                key=key,
                type=source.type if isinstance(source, FunctionCall) else type(source).__name__,
                kind=kind,
                output_shape=arranged.shape if arranged else tuple(own_shape),
                channel_axis=arranged.channel_axis if arranged else None,
                spatial_axes=arranged.spatial_axes if arranged else None,
                parameters=self._new_parameters(source),
                macs=flops // 2 // COPIES,
                receptive_field=record(*flow.spans, self._image, grid),
                inputs=pending.inputs,
                rectifies=flow.is_rectified,
                batch_axis=arranged.batch_axis if arranged else 0,
                tokens=arranged.tokens if arranged else None,
                depth_axis=arranged.depth_axis if arranged else None,
            )
        )
        if kind != "other" and pending.first_input is not None:
            alike = similarity(pending.first_input, _one_copy(output))
            if alike is not None:
                self.input_similarity[key] = alike
        self._last_output = output
        self._learn(output, replace(flow, sources=(key,)))
        if memory_of(output) in pending.written:
            self._overwritten(output, (key,), flow.is_constant)

    def _new_parameters(self, source: nn.Module | FunctionCall) -> int:
        """Number of values in the parameters of a call that no earlier call has used."""
        used = source.operands if isinstance(source, FunctionCall) else tuple(source.parameters())
        own = (p for p in used if isinstance(p, nn.Parameter) and id(p) not in self._counted)
        new = {id(p): p.numel() for p in own}
        self._counted.update(new)
        return sum(new.values())


def _one_copy(tensor: torch.Tensor) -> torch.Tensor:
    """The part of one copy, where the first axis is that of the images: the other is the same."""
    return tensor[:1] if len(tensor.shape) > 1 and tensor.shape[0] == COPIES else tensor


def _kind(source: nn.Module | FunctionCall, pending: _Pending) -> Kind:
    if isinstance(source, FunctionCall):
        return source.kind
    is_elementwise = bool(pending.functions) and ELEMENTWISE.issuperset(pending.functions)
    if not is_atomic(source) and is_elementwise and next(source.parameters(), None) is None:
        # A user's own activation function, such as x * sigmoid(x).
        return "activation"
    return kind_of(source)
