"""Takes the tensors out of a pickle with an inert stub for every class and function it names."""

import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar

import torch
from torch import Tensor
from torch.serialization import add_safe_globals, clear_safe_globals

from reportgen.errors import ModelError
from reportgen.load.legacy import MODULE_CLASS
from reportgen.load.limits import is_out_of_memory
from reportgen.load.pickle_names import is_suspicious_call, refusal

# Shared modules are listed once per path, which a hostile file could multiply without end.
_MOST_MODULES = 20_000
# Wrappers around a whole network: they add a level and no weights.
_WRAPPERS = frozenset(
    {"DataParallel", "DistributedDataParallel", "OptimizedModule", "AveragedModel"}
)


class Stub:
    """Stands in for an object of a class that we do not load: keeps its state, does nothing."""

    name: ClassVar[str] = ""
    called: ClassVar[set[str]] = set()
    "Names that the file called, rather than merely rebuilt, while it was read."
    state: Any
    arguments: tuple[object, ...]

    def __new__(cls, *arguments: object) -> "Stub":  # noqa: D102
        stub = object.__new__(cls)
        stub.state = None
        stub.arguments = arguments
        return stub

    # Reached only through the pickle instruction REDUCE: NEWOBJ stops at `__new__`.
    def __init__(self, *arguments: object) -> None:
        self.called.add(self.name)

    def __setstate__(self, state: object) -> None:
        self.state = state


def load_inert(stream: IO[bytes], names: frozenset[str], file: str) -> Any:
    """What `torch.load` makes of a file when each of `names` that torch does not know is a stub.

    Raises:
        MemoryError: if it asks for more memory than there is.
        ModelError: if torch cannot read it.
        OSError: if it asks for what cannot be opened.
        UnsafeModelError: if it calls a function other than those that build data.
    """
    # Subclasses of dict and list are filled item by item, which torch allows for the plain types
    # only. Which names those are shows when torch meets them.
    containers: dict[str, Callable[..., object]] = {}
    while True:
        called: set[str] = set()
        stubs = {name: containers.get(name) or _stub(name, called) for name in sorted(names)}
        fault: Exception | None = None
        try:
            stream.seek(0)
            found = _load(stream, {**stubs, MODULE_CLASS: _module_class})
        except Exception as error:
            if is_out_of_memory(error):
                raise MemoryError from error
            if isinstance(error, OSError):  # what the file asks for may not be opened
                raise
            fault = error
        suspicious = sorted(filter(is_suspicious_call, called))
        if suspicious:
            raise refusal(suspicious, file)
        if fault is None:
            return found
        met = re.search(r"Can only (\w+).*but got <class 'stub\.(.+)'>", str(fault))
        if not met or met[2] in containers or met[2] not in names:
            raise ModelError(f"{file} {_fault(fault)}") from fault
        containers[met[2]] = _PlainList if met[1] in ("append", "extend") else _PlainDict


class _PlainDict:
    def __new__(cls, *arguments: object) -> Any:
        return OrderedDict()


class _PlainList:
    def __new__(cls, *arguments: object) -> Any:
        return []


def _stub(name: str, called: set[str]) -> type:
    return type(name, (Stub,), {"name": name, "called": called, "__module__": "stub"})


def _module_class(tag: str, module_class: type, source_file: str, source: str) -> type:
    """The class in a reference of the old file format, which carries its source along."""
    return module_class


def _load(stream: IO[bytes], stubs: Mapping[str, Callable[..., object]]) -> Any:
    """`torch.load` with these stubs, and nothing else added to what it knows.

    Which names it knows belongs to the whole process. This one reads a single file, and ends.
    """
    ours: list[Any] = [(stub, name) for name, stub in stubs.items()]
    clear_safe_globals()
    add_safe_globals(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(stream, map_location="cpu", weights_only=True)


def _fault(error: Exception) -> str:
    """Say in one plain sentence why torch could not read a file."""
    text = " ".join(re.sub(r"\x1b\[\d+m", "", str(error)).split())
    if isinstance(error, EOFError) or re.search(r"unexpected EOF|EOFError|central directory", text):
        return "is cut short: the download or copy did not finish; get it again."
    if "Unsupported operand" in text:
        return (
            "is written with a pickle protocol that torch's safe reader does not take; save the "
            "weights again with torch.save(model.state_dict(), FILE) or as safetensors."
        )
    short = text.rsplit("WeightsUnpickler error: ", 1)[-1].split(" Check the documentation")[0]
    return f"cannot be read as a torch file: {short.split('. ')[0][:200].rstrip('. ')}."


@dataclass(frozen=True)
class SavedModule:
    """What a file says about one module: the name of its class, its plain settings."""

    name: str
    "Full name of its class."
    settings: Mapping[str, object]
    is_leaf: bool
    has_hooks: bool

    @property
    def short_name(self) -> str:
        """Its class without the folder: `ReLU`."""
        return self.name.rsplit(".", 1)[-1]


def is_module(found: Stub) -> bool:
    """Whether a stub stands for a network or a part of one."""
    if isinstance(found.state, dict):
        return "_modules" in found.state or "training" in found.state
    return unwrapped(found) is not found


def unwrapped(stub: Stub) -> Stub:
    """The network inside a wrapper such as DataParallel; the stub itself where it is none."""
    if stub.name.rsplit(".", 1)[-1] not in _WRAPPERS:
        return stub
    held = stub.state if isinstance(stub.state, dict) else {}
    held = {**held, **_table(held, "_modules")}
    # A compiled network is pickled as a call of its wrapper with the network.
    for inner in (held.get("module"), held.get("_orig_mod"), *stub.arguments):
        if isinstance(inner, Stub) and is_module(inner):
            return inner
    return stub


def module_contents(root: Stub, file: str) -> tuple[dict[str, Tensor], dict[str, SavedModule]]:
    """The state_dict of a pickled module and what the file says about each of its parts.

    Buffers that are not persistent are left out, as `Module.state_dict` does.

    Raises:
        ModelError: if the module contains itself.
    """
    tensors: dict[str, Tensor] = {}
    modules: dict[str, SavedModule] = {}
    for path, stub in _walk(root, "", (), file):
        if len(modules) >= _MOST_MODULES:
            raise ModelError(f"{file} holds more than {_MOST_MODULES:,} modules.")
        state = stub.state
        transient = state.get("_non_persistent_buffers_set")
        # A TorchScript module keeps tensors, children and settings side by side.
        held = {**_table(state, "_parameters"), **_table(state, "_buffers")}
        for name, value in (held if "_modules" in state else state).items():
            if isinstance(transient, set) and name in transient:
                continue
            if isinstance(value, Tensor):
                tensors[f"{path}.{name}" if path else name] = value
        modules[path] = SavedModule(
            name=stub.name,
            settings={
                name: value
                for name, value in state.items()
                if isinstance(name, str) and not name.startswith("_") and _is_setting(value)
            },
            is_leaf=not any(True for _ in _children(stub)),
            has_hooks=bool(state.get("_forward_hooks") or state.get("_forward_pre_hooks")),
        )
    return tensors, modules


def _walk(stub: Stub, path: str, above: tuple[int, ...], file: str) -> Iterator[tuple[str, Stub]]:
    if id(stub) in above or len(above) > 100:
        raise ModelError(f"{file} holds a module that contains itself ({path}).")
    yield path, stub
    for name, child in _children(stub):
        inner = f"{path}.{name}" if path else name
        yield from _walk(child, inner, (*above, id(stub)), file)


def _children(stub: Stub) -> Iterator[tuple[str, Stub]]:
    held = _table(stub.state, "_modules") if "_modules" in stub.state else stub.state
    for name, child in held.items():
        if isinstance(name, str) and isinstance(child, Stub) and is_module(child):
            yield name, child


def _table(state: Mapping[str, object], name: str) -> Mapping[Any, object]:
    """One of the tables that a module keeps; empty where a file has something else in its place."""
    found = state.get(name)
    return found if isinstance(found, Mapping) else {}


def _is_setting(value: object) -> bool:
    if isinstance(value, tuple):
        return all(isinstance(part, int) for part in value)
    return value is None or isinstance(value, (bool, int, float, str))
