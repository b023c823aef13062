"""Model files that ask for code: 22 tricks, each in the zip format of torch and in the old one."""

import importlib
import io
import marshal
import os
import pickle
import runpy
import subprocess
import tarfile
import timeit
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch.nn.modules.module import register_module_forward_hook

from tests.corpus.runner import CANARY, Case
from tests.load.model_files import Call, with_records

Place = Callable[[Path], Any]

_LEGACY_HEAD = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
"The three pickles with which the old format begins."


def _touch(canary: Path) -> str:
    return f"open({str(canary)!r}, 'w').close()"


def _script(canary: Path) -> str:
    """A file of Python beside the canary that makes it."""
    path = canary.with_name("script.py")
    path.write_text(_touch(canary))
    return str(path)


def _marshalled(canary: Path) -> Call:
    code = marshal.dumps(compile(_touch(canary), "x", "exec"))
    return Call(exec, Call(marshal.loads, code))


CALLS: dict[str, Callable[[Path], Call]] = {
    "posix.system": lambda canary: Call(os.system, f"touch '{canary}'"),
    "builtins.eval": lambda canary: Call(eval, _touch(canary)),
    "builtins.exec": lambda canary: Call(exec, _touch(canary)),
    "builtins.getattr": lambda canary: Call(getattr, Call(__import__, "os"), "system"),
    "importlib.import_module": lambda canary: Call(importlib.import_module, "antigravity"),
    "subprocess.Popen": lambda canary: Call(subprocess.Popen, ["touch", str(canary)]),
    "timeit.timeit": lambda canary: Call(timeit.timeit, _touch(canary), "", timeit.timeit, 1),
    "runpy.run_path": lambda canary: Call(runpy.run_path, _script(canary)),
    "pickle.loads": lambda canary: Call(
        pickle.loads, pickle.dumps(Call(os.system, f"touch '{canary}'"))
    ),
    "marshal.loads": _marshalled,
    "torchvision.io.image.write_file": lambda canary: Call(
        torchvision.io.write_file, str(canary), torch.zeros(1, dtype=torch.uint8)
    ),
    "register_module_forward_hook": lambda canary: Call(register_module_forward_hook, print),
    "torch.hub.load": lambda canary: Call(torch.hub.load, str(canary.parent), "net"),
    "torch.jit._serialization.load": lambda canary: Call(torch.jit.load, str(canary)),
}
"What a pickle calls while it is loaded, by the name that must be told."


def _text(content: str) -> bytes:
    return b"X" + len(content).to_bytes(4, "little") + content.encode()


OPCODES: dict[str, tuple[Callable[[str], bytes], str]] = {
    "STACK_GLOBAL": (
        lambda shell: b"\x80\x04" + _text("posix") + _text("system\x93"[:-1]) + b"\x93"
        + _text(shell) + b"\x85R.",
        r"posix\.system",
    ),
    "INST": (lambda shell: b"\x80\x02(" + _text(shell) + b"iposix\nsystem\n.", "instruction INST"),
    "OBJ": (
        lambda shell: b"\x80\x02(cposix\nsystem\n" + _text(shell) + b"o.", "instruction OBJ",
    ),
    "EXT1": (lambda shell: b"\x80\x02\x82\x01.", "instruction EXT1"),
}  # fmt: skip
"Instructions that hide what they call, with what must be told."


def save(content: object, file: Path, *, is_old: bool) -> Path:
    """A file of `torch.save` in either format."""
    torch.save(content, file, _use_new_zipfile_serialization=not is_old)
    return file


def save_pickle(pickled: bytes, file: Path, *, is_old: bool) -> Path:
    """A file whose content is this pickle."""
    if is_old:
        head = b"".join(pickle.dumps(part, 2) for part in _LEGACY_HEAD)
        file.write_bytes(head + pickled + pickle.dumps([], 2))
        return file
    honest = save(0, file.with_name("honest.pth"), is_old=False)
    with_records(honest, file, lambda name, old: pickled if name.endswith("data.pkl") else old)
    honest.unlink()
    return file


def _content(attack: object) -> dict[str, object]:
    """An honest checkpoint with an attack in its settings."""
    return {"state_dict": {"weight": torch.ones(2, 2)}, "args": [{"x": attack}]}


def _bytes_of(content: object, folder: Path, *, is_old: bool) -> bytes:
    file = save(content, folder / "inner.pth", is_old=is_old)
    inner = file.read_bytes()
    file.unlink()
    return inner


def _nested(folder: Path, file: Path, *, is_old: bool) -> None:
    inner = _bytes_of(_content(CALLS["posix.system"](folder / CANARY)), folder, is_old=is_old)
    save(_content(Call(torch.storage._load_from_bytes, inner)), file, is_old=is_old)


def _doubled(folder: Path, file: Path, *, is_old: bool) -> None:
    """Two contents, of which scanners read the last and torch the first."""
    save(_content(CALLS["posix.system"](folder / CANARY)), file, is_old=is_old)
    if is_old:
        with file.open("ab") as stream:
            stream.write(_bytes_of({"weight": torch.ones(2)}, folder, is_old=False))
    else:
        with zipfile.ZipFile(file) as archive:
            top = archive.namelist()[0].partition("/")[0]
        # Python warns of it: a writer of its own does not.
        with zipfile.ZipFile(file, "a") as archive:
            archive.NameToInfo.clear()
            archive.writestr(f"{top}/data.pkl", pickle.dumps({}, 2))


def _locked(folder: Path, file: Path, *, is_old: bool) -> None:
    """Marked as encrypted, which scanners skip. The old format has no such mark: it opens one."""
    canary = folder / CANARY
    if is_old:
        save(_content(Call(zipfile.ZipFile, str(canary), "w")), file, is_old=True)
        return
    save(_content(CALLS["posix.system"](canary)), file, is_old=False)
    changed = bytearray(file.read_bytes())
    for place in (6, changed.index(b"PK\x01\x02") + 8):
        changed[place] |= 1
    file.write_bytes(changed)


def _tarred(folder: Path, file: Path, *, is_old: bool) -> None:
    """In a tar archive, which torch before 0.2 wrote."""
    inner = _bytes_of(_content(CALLS["posix.system"](folder / CANARY)), folder, is_old=is_old)
    with tarfile.open(file, "w") as archive:
        entry = tarfile.TarInfo("pickle" if is_old else "model.pth")
        entry.size = len(inner)
        archive.addfile(entry, io.BytesIO(inner))


_REFUSED = r"model\.pth was refused: it asks for .*\b{}.*nothing in it was run"


def _cases(is_old: bool) -> list[Case]:
    form = "legacy" if is_old else "zip"
    found = []
    for name, attack in CALLS.items():

        def called(folder: Path, attack: Callable[[Path], Call] = attack) -> None:
            save(_content(attack(folder / CANARY)), folder / "model.pth", is_old=is_old)

        found.append(Case(f"{name} {form}", called, 3, _REFUSED.format(name.replace(".", r"\."))))
    for name, (build, words) in OPCODES.items():

        def hidden(folder: Path, build: Callable[[str], bytes] = build) -> None:
            pickled = build(f"touch '{folder / CANARY}'")
            save_pickle(pickled, folder / "model.pth", is_old=is_old)

        found.append(Case(f"{name} {form}", hidden, 3, _REFUSED.format(words)))
    others = (
        ("nested archive", _nested, 3, r"asks for torch\.storage\._load_from_bytes"),
        (
            "duplicate record",
            _doubled,
            3 if is_old else 4,
            r"asks for posix\.system" if is_old else r"two records named model/data\.pkl",
        ),
        (
            "encrypted record",
            _locked,
            3 if is_old else 4,
            r"asks for zipfile\.ZipFile" if is_old else r"encrypted record \(model/",
        ),
        ("tar", _tarred, 4, "is a tar archive"),
    )
    for name, make, code, words in others:

        def packed(folder: Path, make: Callable[..., None] = make) -> None:
            make(folder, folder / "model.pth", is_old=is_old)

        found.append(Case(f"{name} {form}", packed, code, words))
    return found


HOSTILE = (*_cases(is_old=False), *_cases(is_old=True))
