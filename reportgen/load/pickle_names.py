"""Which Python names a pickle asks for, read without running it, and which are dangerous."""

import _compat_pickle  # the table by which every unpickler renames Python 2's modules
import pickletools
import re
import tomllib
from collections import deque
from importlib.resources import files
from typing import IO, Any

from reportgen.errors import ModelError, UnsafeModelError

_LISTS: dict[str, list[str]] = tomllib.loads(
    files("reportgen.load").joinpath("pickle_names.toml").read_text(encoding="utf-8")
)
_DANGEROUS_MODULES = frozenset(_LISTS["dangerous_modules"])
_DANGEROUS_PARTS = tuple(_LISTS["dangerous_parts"])
_DANGEROUS_ANYWHERE = frozenset(_LISTS["dangerous_anywhere"])
_DANGEROUS_NAMES = frozenset(_LISTS["dangerous_names"])
_PLAIN_DUNDERS = frozenset(_LISTS["plain_dunders"])
_PLAIN = frozenset(_LISTS["plain"])
_PLAIN_CALLS = _PLAIN | frozenset(_LISTS["plain_calls"])
# `torch.save` never writes these: they build objects in ways that hide the name they call.
_ODD_OPCODES = frozenset({"INST", "OBJ", "EXT1", "EXT2", "EXT4"})
_CALLS = frozenset({"REDUCE", "BUILD", "NEWOBJ", "NEWOBJ_EX", "BINPERSID"})
_MOST_INSTRUCTIONS, _MOST_CALLS = 2_000_000, 300_000
"A tensor takes some 35 of the first, and 3 to 5 of the second: over 50,000 tensors in a file."
_STRINGS = frozenset(
    opcode.name
    for opcode in pickletools.opcodes
    if re.fullmatch("(SHORT_)?(BIN)?(STRING|UNICODE)8?", opcode.name)
)


def names_in_pickle(stream: IO[bytes], file: str) -> tuple[frozenset[str], int]:
    """The full names (`module.name`) that the next pickle in `stream` asks for, and its protocol.

    An instruction that hides what it calls is named in brackets, and counts as dangerous.

    Raises:
        ModelError: if it is no whole pickle, or one that takes longer to read than any network.
    """
    names: set[str] = set()
    protocol = calls = 0
    # What lies on top of the stack, as far as it is a text.
    recent: deque[str | None] = deque(maxlen=2)
    memo: dict[Any, str | None] = {}
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream), start=1):
            kind = opcode.name
            calls += kind in _CALLS
            if count > _MOST_INSTRUCTIONS or calls > _MOST_CALLS:
                raise ModelError(
                    f"{file} holds more tensors or other entries than any network: save its "
                    "state_dict alone."
                )
            if kind in _STRINGS:
                recent.append(argument if isinstance(argument, str) else None)
                continue
            if kind in _ODD_OPCODES:
                names.add(f"(pickle instruction {kind})")
            if kind == "PROTO":
                protocol = int(argument or 0)
            elif kind in ("GLOBAL", "INST"):
                names.add(_python3_name(*str(argument).split(" ", 1)))
                recent.append(None)
            elif kind == "STACK_GLOBAL":
                module, name = [*recent, None, None][:2]
                names.add(_python3_name(module, name) if module and name else "(hidden name)")
                recent.append(None)
            elif kind == "MEMOIZE":
                memo[len(memo)] = recent[-1] if recent else None
            elif kind in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[argument] = recent[-1] if recent else None
            elif kind in ("GET", "BINGET", "LONG_BINGET"):
                recent.append(memo.get(argument))
            else:
                recent.append(None)
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise ModelError(f"{file} is damaged or cut short: its pickle does not end.") from error
    for name in names:
        if name[0] != "(" and not all(part.isidentifier() for part in name.split(".")):
            raise ModelError(f"{file} is damaged: its pickle asks for {name!a}, which is no name.")
    return frozenset(names), protocol


def refuse_dangerous(names: frozenset[str], file: str) -> None:
    """Stop here when any of `names` has no place in a model file.

    Raises:
        UnsafeModelError: naming them.
    """
    found = sorted(name for name in names if is_dangerous(name))
    if found:
        raise refusal(found, file)


def refusal(names: list[str], file: str) -> UnsafeModelError:
    """The error that names what a file asked for."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return UnsafeModelError(
        f"{file} was refused: it asks for {shown}, which no model file needs; nothing in it was "
        "run. Ask its author for a plain state_dict or a safetensors file."
    )


def is_dangerous(name: str) -> bool:
    """Whether a full name such as `os.system` runs code or reaches files."""
    if name in _PLAIN:
        return False
    parts = name.split(".")
    return (
        parts[0] in _DANGEROUS_MODULES
        or not _DANGEROUS_ANYWHERE.isdisjoint(parts[:-1])
        or parts[-1] in _DANGEROUS_NAMES
        or any(name == part or name.startswith(f"{part}.") for part in _DANGEROUS_PARTS)
        or parts[-1].startswith("register_module_")
        or any(part[:2] == part[-2:] == "__" and part not in _PLAIN_DUNDERS for part in parts)
        or name.startswith("(")
    )


def is_suspicious_call(name: str) -> bool:
    """Whether a file that calls `name` while loading does more than hold data.

    Modules are rebuilt by `NEWOBJ`, never called; what is called is a constructor of a data class
    (`torch.Size`, an enum, a config object), which Python names in CapWords, or one of the few
    functions listed here. Any other function, such as `torchvision.io.write_file`, acts: our stub
    stands in for it, so nothing happens, but a file that tries is not one to trust.
    """
    last = name.rsplit(".", 1)[-1].lstrip("_")
    return name not in _PLAIN_CALLS and not last[:1].isupper()


def _python3_name(module: str, name: str = "") -> str:
    """`module.name` as an unpickler reads it: names of Python 2 are given those of Python 3."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        module, name = _compat_pickle.NAME_MAPPING[module, name]
    else:
        module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    return f"{module}.{name}"
