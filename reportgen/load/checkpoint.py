"""A model file to the tensors in it, whatever wraps them: the weights of one network by name."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import safetensors
import safetensors.torch
from torch import Tensor

from reportgen.errors import ModelError, OptionError
from reportgen.load.exported import Exported, pt2_contents, without_code
from reportgen.load.formats import kind_of
from reportgen.load.legacy import check_protocol, names_in_legacy, without_class_sources
from reportgen.load.pickle_names import names_in_pickle, refuse_dangerous
from reportgen.load.plain_tensors import plain_tensors
from reportgen.load.salvage import (
    SavedModule,
    Stub,
    is_module,
    load_inert,
    module_contents,
    unwrapped,
)

# Where checkpoints keep their weights, in order of preference; averaged (EMA) ones come last.
_RAW_KEYS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
)
_EMA_KEYS = ("ema", "model_ema", "state_dict_ema", "ema_state_dict", "params_ema")
_SUFFIXES = {"safetensors": {".safetensors"}, "pt2": {".pt2"}}
_QUANTISED = "holds quantised weights ({}), which are not supported; give the float checkpoint."


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The weights in a file, and what the file says about the network they belong to."""

    tensors: Mapping[str, Tensor]
    format: str
    notes: tuple[str, ...] = ()
    modules: Mapping[str, SavedModule] = field(default_factory=dict)
    "Every module by its path, of a whole module or a TorchScript file; empty otherwise."
    exported: Exported | None = None
    "The program around the weights, of a .pt2 file."

    @property
    def class_name(self) -> str:
        """Full name of the network's class, as the file gives it; empty where it does not."""
        return self.modules[""].name if "" in self.modules else ""

    @property
    def dtype(self) -> str:
        """Number formats of the weights, the commonest first: `float16`, or `float32, float16`."""
        counts: Counter[str] = Counter()
        for tensor in self.tensors.values():
            if tensor.is_floating_point():
                counts[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
        return ", ".join(name for name, _ in counts.most_common()) or "none"


def read_checkpoint(path: Path, stream: IO[bytes], weights_key: str = "") -> Checkpoint:
    """The weights in an open model file; no code in it is run.

    Args:
        path: where it lies, for its name in messages.
        stream: the open file.
        weights_key: which entry of a wrapped checkpoint to take, as `a.b`; empty to find it.

    Raises:
        ModelError: if it cannot be read, or holds no weights.
        OptionError: if there is no entry `weights_key`.
        UnsafeModelError: if it asks for code.
    """
    file = path.name
    kind = kind_of(stream, file)
    notes: tuple[str, ...] = ()
    found: Any
    exported: Exported | None = None
    if kind == "safetensors":
        found = _safetensors(stream, file)
    elif kind == "pt2":
        found, exported = pt2_contents(stream, file)
    elif kind == "legacy":
        names, protocol = names_in_legacy(stream, file)
        refuse_dangerous(names, file)
        check_protocol(protocol, file)
        found = load_inert(without_class_sources(stream), names, file)
        notes = ("The file is in the format of torch before 1.6, which has no checksums.",)
    else:
        names = _names_in_zip(stream, file)
        plain = without_code(stream) if kind == "TorchScript" else stream
        found = load_inert(plain, names, file)
    suffixes = {suffix for ours in _SUFFIXES.values() for suffix in ours}
    if path.suffix in suffixes and path.suffix not in _SUFFIXES.get(kind, ()):
        notes += (f"The file is named {path.suffix} but is not one; its content decided.",)
    weights, more = _weights(found, weights_key, file)
    content = "whole module" if isinstance(weights, Stub) else "state_dict"
    content = content if kind in ("zip", "legacy") else kind
    checkpoint = Checkpoint({}, content, notes + more, exported=exported)
    filled = _filled(checkpoint, weights, file)
    size = stream.seek(0, io.SEEK_END)
    return replace(filled, tensors=plain_tensors(filled.tensors, size, file))


def _names_in_zip(stream: IO[bytes], file: str) -> frozenset[str]:
    """The names that the pickle of a zip checkpoint asks for, once none of them is dangerous."""
    with zipfile.ZipFile(stream) as archive:
        record = next(name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"])
        with archive.open(record) as pickled:
            names, protocol = names_in_pickle(pickled, file)
    refuse_dangerous(names, file)
    check_protocol(protocol, file)
    return names


def _safetensors(stream: IO[bytes], file: str) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(stream.read())
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{file} is a damaged safetensors file: {error}.") from error


def _weights(
    found: object, key: str, file: str
) -> tuple[Stub | Mapping[str, Any], tuple[str, ...]]:
    """The one part of a file's content that holds a network's weights, and how it was chosen."""
    if key:
        return _entry(found, key, file), (f"The weights are those of the entry {key}.",)
    if isinstance(found, Stub) and is_module(found):
        return found, ()
    if isinstance(found, Stub) and found.name.startswith("__torch__."):
        raise ModelError(
            f"{file} holds no weights by name: it is a frozen TorchScript, whose weights are in "
            "its code; save the state_dict instead."
        )
    if not isinstance(found, Mapping):
        raise ModelError(f"{file} holds no model; it holds {_named(found)}.")
    if _is_state_dict(found):
        return found, ()
    held = {name: value for name, value in found.items() if _holds_weights(value)}
    raw = [name for name in _RAW_KEYS if name in held]
    averaged = [name for name in _EMA_KEYS if name in held]
    sets = raw or averaged or list(held)
    if not sets:
        entries = ", ".join(str(name) for name in list(found)[:8]) or "nothing"
        raise ModelError(f"{file} holds no model weights; it holds {entries}.")
    chosen = sets[0]
    if len(sets) > 1:
        raise ModelError(
            f"{file} holds several sets of weights ({', '.join(map(str, held))}); "
            f"say which with --weights-key {chosen}."
        )
    notes = [f"The weights are those of the checkpoint's entry {chosen}."]
    if raw and averaged:
        notes = [
            f"The checkpoint holds raw weights ({raw[0]}) and averaged ones ({averaged[0]}); the "
            f"raw ones are used. --weights-key {averaged[0]} takes the others."
        ]
    elif averaged:
        notes = [f"The weights are the averaged ones (entry {averaged[0]}); there are no others."]
    inner, more = _weights(found[chosen], "", file)
    return inner, (*notes, *more)


def _entry(found: object, key: str, file: str) -> Stub | Mapping[str, Any]:
    """The entry at a dotted path of a wrapped checkpoint."""
    for name in key.split("."):
        if not isinstance(found, Mapping) or name not in found:
            held = ", ".join(str(k) for k in found) if isinstance(found, Mapping) else "no entries"
            raise OptionError(
                f"--weights-key {key}: {file} has no such entry; it has {held[:200]}."
            )
        found = found[name]
    if not _holds_weights(found):
        raise OptionError(f"--weights-key {key}: that entry of {file} holds {_named(found)}.")
    return _weights(found, "", file)[0]


def _is_state_dict(found: object) -> bool:
    """Whether an object maps names to tensors, give or take a few other entries."""
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        return False
    tensors = sum(isinstance(value, Tensor) for value in found.values())
    return tensors > 0 and 2 * tensors >= len(found)


def _holds_weights(found: object, depth: int = 3) -> bool:
    if isinstance(found, Stub):
        return is_module(found)
    if _is_state_dict(found):
        return True
    names = (*_RAW_KEYS, *_EMA_KEYS)
    return (
        depth > 0
        and isinstance(found, Mapping)
        and any(_holds_weights(found[name], depth - 1) for name in names if name in found)
    )


def _named(found: object) -> str:
    """What an object is, without showing what is in it."""
    if isinstance(found, Stub):
        return f"an object of the class {found.name}"
    if isinstance(found, Tensor):
        return f"a single tensor of shape {tuple(found.shape)}"
    if isinstance(found, type) and issubclass(found, Stub):
        return f"a reference to {found.name}"
    return f"a {type(found).__name__}"


def _filled(checkpoint: Checkpoint, weights: Stub | Mapping[str, Any], file: str) -> Checkpoint:
    """The checkpoint with its tensors, from a state_dict or a pickled module."""
    notes = list(checkpoint.notes)
    if isinstance(weights, Stub):
        root = weights
        while (inner := unwrapped(root)) is not root:
            notes.append(f"The wrapper {root.name.rsplit('.', 1)[-1]} was taken off.")
            root = inner
        tensors, modules = module_contents(root, file)
        if any("quantized" in module.name for module in modules.values()):
            name = next(m.name for m in modules.values() if "quantized" in m.name)
            raise ModelError(f"{file} {_QUANTISED.format(name)}")
        if any(module.has_hooks for module in modules.values()):
            notes.append("The file's modules carry hooks, which are code and are not run.")
        return replace(checkpoint, tensors=tensors, modules=modules, notes=tuple(notes))
    packed = [name for name in weights if "_packed_params" in name]
    if packed:
        raise ModelError(f"{file} {_QUANTISED.format(packed[0])}")
    tensors = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    others = [name for name in weights if name not in tensors]
    if others:
        notes.append(f"Entries that are no tensors were left out: {', '.join(others[:5])}.")
    return replace(checkpoint, tensors=tensors, notes=tuple(notes))
