"""Reports every call of a forward pass as it happens, of modules and of bare functions."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode,
    _get_current_function_mode_stack,
)

from reportgen.probe.evidence import CallKey, Kind
from reportgen.probe.operations import (
    is_atomic,
    is_leaf,
    kind_of_function,
    operation_name,
    tensors_in,
)


@dataclass(frozen=True, eq=False)
class FunctionCall:
    """A bare function that counts as a layer."""

    type: str
    "`F.relu`"
    kind: Kind
    operands: tuple[torch.Tensor, ...]


class Observer:
    """What can be told of a forward pass.

    The network may overwrite a tensor as soon as it was handed over: reduce or clone it at once.
    """

    sees_blocks = False
    "Whether `enter` and `leave` are also told of modules that hold others, such as `layer1.0`."

    def start(self, inputs: Any) -> None:
        """A forward pass begins."""

    def enter(self, key: CallKey, inputs: Any) -> None:
        """A call begins."""

    def leave(self, key: CallKey, source: nn.Module | FunctionCall, output: torch.Tensor) -> None:
        """A call ends, with the first tensor that it gives."""

    def operate(self, name: str, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Any function of PyTorch runs, those inside of calls included; gives its result."""
        return run(*args, **kwargs)


@dataclass
class _Frame:
    """A module that is running."""

    path: str
    module: nn.Module
    key: CallKey | None
    "None where it is a container."
    is_inside: bool
    "Whether what runs here is part of one layer: of this module, or of one around it."
    is_alone: bool = False
    "Whether PyTorch's functions run here without being reported to the watch."


class Watch(TorchFunctionMode):
    """Inside `with Watch(module, observer):` the observer is told of every call.

    A call of a module is named by its path. A call of a function, which module hooks cannot see
    (`F.relu`, `torch.relu`, `x.relu_()`), is named by the module that it happens in:
    `layer1.0.F.relu`. Calls of one name are numbered through a forward pass. Hooks are gone
    afterwards, also after an error.
    """

    def __init__(self, module: nn.Module, observer: Observer) -> None:
        super().__init__()
        self._module = module
        self._observer = observer
        self._is_unmoved = type(observer).operate is Observer.operate
        "Whether it lets functions inside of calls run as they are."
        self._hooks = ExitStack()
        self._frames: list[_Frame] = []
        self._calls: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Puts the hooks in place."""
        with ExitStack() as hooks:
            for path, module in self._module.named_modules():
                before = module.register_forward_pre_hook(self._before(path), with_kwargs=True)
                hooks.callback(before.remove)
                # Always, for what it steps aside of has to come back after an error, too.
                after = module.register_forward_hook(
                    self._after, with_kwargs=True, always_call=True
                )
                hooks.callback(after.remove)
            super().__enter__()  # type: ignore[no-untyped-call]
            self._hooks = hooks.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        """Takes the hooks away."""
        with self._hooks:
            self._frames.clear()
            # Ctrl-C may come while it has stepped aside.
            stack = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
            if any(mode is self for mode in stack):
                super().__exit__(*error)  # type: ignore[no-untyped-call]

    def _key(self, path: str) -> CallKey:
        self._calls[path] += 1
        return CallKey(path, self._calls[path])

    def _tell(self, report: Callable[..., None], *args: Any) -> None:
        """Reports, with the observer's own arithmetic kept out of what is watched."""
        with torch._C.DisableTorchFunction():
            report(*args)

    def _before(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            if not path:
                while self._frames:
                    self._end_frame()
                self._calls.clear()
                self._tell(self._observer.start, (args, kwargs))
            is_inside = not path or self._is_inside_call()
            is_whole = not is_inside and is_atomic(module)
            is_call = is_whole or (not is_inside and is_leaf(module))
            is_block = bool(path) and not is_call and self._observer.sees_blocks
            key = self._key(path) if is_call or is_block else None
            self._frames.append(_Frame(path, module, key, self._is_inside_call() or is_whole))
            if key:
                self._tell(self._observer.enter, key, (args, kwargs))
            # Attention would take a way of its own there, and give other last digits.
            if is_whole and self._is_unmoved and is_leaf(module):
                self._frames[-1].is_alone = self._step_aside()

        return hook

    def _after(self, module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        if all(frame.module is not module for frame in self._frames):
            return  # it failed before it began
        frame = self._end_frame()
        while frame.module is not module:
            # A network that catches an error inside leaves frames behind.
            frame = self._end_frame()
        output = next(tensors_in(result), None)
        if frame.key and output is not None:
            self._tell(self._observer.leave, frame.key, module, output)

    def _end_frame(self) -> _Frame:
        frame = self._frames.pop()
        if frame.is_alone:
            super().__enter__()  # type: ignore[no-untyped-call]
        return frame

    def _step_aside(self) -> bool:
        """Has PyTorch report no functions, which costs some time for each, where that is possible.

        It is not where the network has put a mode of its own, such as a device, above this one.
        """
        if _get_current_function_mode() is not self:  # type: ignore[no-untyped-call]
            return False
        super().__exit__(None, None, None)  # type: ignore[no-untyped-call]
        return True

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        """Sees every function of PyTorch that runs in the forward pass."""
        kwargs = kwargs or {}
        if not self._frames:
            return func(*args, **kwargs)
        name = operation_name(func)
        kind = None if self._is_inside_call() else kind_of_function(name, args, kwargs)
        if kind is None:
            return self._observer.operate(name, func, args, kwargs)
        container = self._frames[-1].path
        function = FunctionCall(f"F.{name}", kind, tuple(tensors_in((args, kwargs))))
        key = self._key(f"{container}.{function.type}" if container else function.type)
        self._observer.enter(key, (args, kwargs))
        result = self._observer.operate(name, func, args, kwargs)
        output = next(tensors_in(result), None)
        if output is not None:
            self._observer.leave(key, function, output)
        return result

    def _is_inside_call(self) -> bool:
        return bool(self._frames) and self._frames[-1].is_inside
