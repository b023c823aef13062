"""A network that the user names with `--arch FILE.py:NAME`: the only foreign code that runs."""

import contextlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.jit import ScriptModule

from reportgen.errors import ModelError, OptionError, ReportgenError

COUNT_NAMES = ("num_classes", "n_classes", "nb_classes", "num_labels", "classes", "out_features")
"Names under which constructors take the number of classes, the commonest first."


def constructor(arch: str) -> Callable[..., nn.Module]:
    """The class or function NAME in FILE.py.

    Raises:
        ModelError: if the file fails when it is run.
        OptionError: if there is no such file or name.
    """
    location, _, name = arch.rpartition(":")
    path = Path(location).expanduser()
    if not path.is_file():
        raise OptionError(f"--arch {arch}: there is no file {location}.")
    if not name.isidentifier():
        raise OptionError(f"--arch {arch}: after the colon comes the name of a class or function.")
    module = _run_file(path)
    found = getattr(module, name, None)
    if found is None:
        defined = [n for n, value in vars(module).items() if _is_maker(value, module.__name__)]
        close = get_close_matches(name, defined, n=1, cutoff=0.0)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise OptionError(f"--arch {arch}: {path.name} has no {name}{hint}")
    if not callable(found) or isinstance(found, nn.Module):
        raise OptionError(f"--arch {arch}: {name} is neither a class nor a function.")
    return found  # type: ignore[no-any-return]


def arguments_from(text: str) -> dict[str, Any]:
    """`--arch-args` as keyword arguments.

    Raises:
        OptionError: if it is no JSON object.
    """
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise OptionError(f"--arch-args is no JSON ({error}): {text}") from error
    if not isinstance(found, dict):
        raise OptionError(f'--arch-args must be a JSON object such as {{"num_classes": 5}}: {text}')
    return found


def count_name(make: Callable[..., Any]) -> str:
    """The parameter of a constructor that says how many classes there are; empty if none does."""
    parameters = _signature(make).parameters
    return next((name for name in COUNT_NAMES if name in parameters), "")


def needs(make: Callable[..., Any], name: str) -> bool:
    """Whether a constructor has a parameter without a default."""
    parameter = _signature(make).parameters.get(name)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def construct(make: Callable[..., nn.Module], arguments: dict[str, Any], arch: str) -> nn.Module:
    """The network, freshly built, from the constructor's own defaults and `arguments`.

    Random numbers are drawn from a fixed seed and the caller's stay as they were.

    Raises:
        ModelError: if the constructor fails, or gives something else.
        OptionError: if the arguments are not those it takes.
    """
    try:
        _signature(make).bind(**arguments)
    except TypeError as error:
        taken = ", ".join(_signature(make).parameters) or "nothing"
        raise OptionError(
            f"--arch {arch}: {error}; it takes {taken}. Give them with --arch-args."
        ) from error
    location = arch.rpartition(":")[0]
    # A factory may import its network only when it is called.
    folder = _importable(Path(location)) if location.endswith(".py") else contextlib.nullcontext()
    with _failures_of(arch), folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = make(**arguments)
    # Behind the wrapper of torch.compile stands the network itself.
    net = getattr(net, "_orig_mod", net)
    if not isinstance(net, nn.Module):
        raise ModelError(f"--arch {arch} gave a {type(net).__name__}, not a torch.nn.Module.")
    if any(isinstance(p, nn.UninitializedParameter) for p in net.parameters()):
        raise ModelError(f"--arch {arch} has lazy layers, whose shapes are not known before a run.")
    for path, part in net.named_modules():
        if isinstance(part, ScriptModule):
            where = f"its part {path}" if path else "it"
            raise ModelError(
                f"--arch {arch}: {where} is TorchScript, which cannot be watched at work; build "
                "the network without scripting it."
            )
    return net


def _run_file(path: Path) -> Any:
    """Run a Python file as a module."""
    # A name of our own: a user's `types.py` must not stand in for Python's.
    name = f"_reportgen_arch_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and the like look their own module up by name.
    sys.modules[name] = module
    with _importable(path), _failures_of(path.name):
        spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _importable(path: Path) -> Iterator[None]:
    """A file's own folder importable, as when it is run by hand, and nothing written there."""
    folder = str(path.expanduser().resolve().parent)
    written = sys.dont_write_bytecode
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        if folder in sys.path:
            sys.path.remove(folder)


@contextlib.contextmanager
def _failures_of(arch: str) -> Iterator[None]:
    """Turn whatever the user's code raises into one sentence with the place where it happened."""
    try:
        yield
    except ReportgenError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        file = arch.rpartition(":")[0] or arch
        own = [frame for frame in frames if Path(frame.filename).name == Path(file).name]
        line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
        if line is None and own:
            line = own[-1].lineno
        place = f" in line {line}" if line else ""
        words = " ".join(str(getattr(error, "msg", error)).split())
        raise ModelError(
            f"--arch {arch}: the code failed{place} with {type(error).__name__}"
            + (f": {words[:200]}" if words else ".")
        ) from error


def _is_maker(value: object, module: str) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module


def _signature(make: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(make)
    except (TypeError, ValueError):
        return inspect.Signature([inspect.Parameter("any", inspect.Parameter.VAR_KEYWORD)])
