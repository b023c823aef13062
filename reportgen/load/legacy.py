"""The file format of `torch.save` before 1.6: five pickles in a row, then the raw numbers."""

import io
import pickletools
from typing import IO, Any

from reportgen.errors import ModelError
from reportgen.load.pickle_names import names_in_pickle

MODULE_CLASS = "reportgen.module_class"
"The function of ours that a rewritten class reference calls."
_PICKLES = 5
_CONTENT = 3
"Place of the pickle with the content; before it: the magic number, the version, the machine."


def names_in_legacy(stream: IO[bytes], file: str) -> tuple[frozenset[str], int]:
    """The full names that any of the five pickles asks for, and the highest protocol of them.

    Raises:
        ModelError: if one is damaged.
    """
    stream.seek(0)
    names, protocols = zip(*(names_in_pickle(stream, file) for _ in range(_PICKLES)), strict=True)
    return frozenset().union(*names), max(protocols)


def check_protocol(protocol: int, file: str) -> None:
    """Refuse the pickle protocols that torch's safe reader does not take.

    Raises:
        ModelError: for protocol 4 and 5.
    """
    if protocol > 3:
        raise ModelError(
            f"{file} is written with pickle protocol {protocol}, which torch's safe reader does "
            "not take; save the weights again with torch.save(model.state_dict(), FILE) or as "
            "safetensors."
        )


def without_class_sources(stream: IO[bytes]) -> IO[bytes]:
    """The same file with plain references to the classes of modules.

    Old files refer to a module's class by a tuple ("module", class, source file, source) behind the
    instruction for outside objects, which torch's safe reader keeps for tensors alone. Here that
    instruction becomes a call of `MODULE_CLASS` with the tuple, which gives the class back.
    """
    stream.seek(0)
    content = stream.read()
    pickles = io.BytesIO(content)
    for _ in range(_CONTENT):
        for _ in pickletools.genops(pickles):
            pass
    pieces: list[bytes] = []
    done = 0
    for start, end in _class_references(pickles):
        pieces += [
            content[done:start],
            b"c" + MODULE_CLASS.replace(".", "\n").encode() + b"\n",
            content[start:end],
            b"R",
        ]
        done = end + 1
    return io.BytesIO(b"".join([*pieces, content[done:]]))


def _class_references(pickles: IO[bytes]) -> list[tuple[int, int]]:
    """Where the tuple of each class reference starts, and where its instruction stands."""
    found: list[tuple[int, int]] = []
    memo: dict[Any, object] = {}
    marks: list[tuple[int, list[object]]] = []
    last: object = None
    start, first = 0, None
    for opcode, argument, position in pickletools.genops(pickles):
        place = position or 0
        if opcode.name == "MARK":
            marks.append((place, []))
            continue
        if opcode.name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = last
            continue
        if opcode.name == "TUPLE" and marks:
            start, items = marks.pop()
            first = items[0] if items else None
        elif opcode.name in ("SETITEMS", "APPENDS") and marks:
            marks.pop()
        elif opcode.name == "BINPERSID" and first == "module":
            found.append((start, place))
        if opcode.name == "BINUNICODE":
            last = argument
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            last = memo.get(argument)
        else:
            last = None
        if marks:
            marks[-1][1].append(last)
    return found
