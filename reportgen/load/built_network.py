"""A network from the constructor that was named, with the weights of a file."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from reportgen.errors import ModelError, OptionError
from reportgen.load import timm_nets, torchvision_nets
from reportgen.load.architectures import nearest, shapes_of
from reportgen.load.dense_nets import build_dense, dense_arguments, dense_names
from reportgen.load.fitting import class_count, fit, listed, pour
from reportgen.load.request import BY_FLAG, Network, Request
from reportgen.load.user_code import construct, constructor, count_name, needs
from reportgen.load.video_nets import video_names


def maker(request: Request) -> tuple[Callable[..., nn.Module], str]:
    """The constructor that was asked for, and which argument of it counts the classes.

    Raises:
        ModelError: if the user's file fails when it is run.
        OptionError: if there is no such constructor.
    """
    place, _, name = request.arch.rpartition(":")
    if place == "torchvision":
        _check_torchvision(request, name)

        told = dense_arguments(request.checkpoint.tensors) if name in dense_names() else {}

        def make(**arguments: Any) -> nn.Module:
            return torchvision_module(name, {**told, **arguments})

        return make, "num_classes"
    if place == "timm":
        timm_nets.metadata(name, f"--arch {request.arch}")

        def make_timm(**arguments: Any) -> nn.Module:
            return timm_nets.build(name, arguments)

        return make_timm, "num_classes"
    if not place.endswith(".py"):
        raise OptionError(
            f"--arch {request.arch}: give FILE.py:NAME, torchvision:NAME or timm:NAME."
        )
    made = constructor(request.arch)
    return made, count_name(made)


def _check_torchvision(request: Request, name: str) -> None:
    known = name in torchvision_nets.classifiers() or name in dense_names() | video_names()
    if not known:
        close = torchvision_nets.close_names(name)
        hint = f"did you mean {' or '.join(close)}?" if close else "there is no such classifier."
        raise OptionError(f"--arch {request.arch}: {hint}")
    for word in ("weights", "weights_backbone"):
        if request.arguments.get(word) is not None:
            raise OptionError(f"--arch-args: `{word}` would download others; the file's are used.")


def torchvision_module(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network of torchvision, with shapes and no values of meaning yet.

    Raises:
        OptionError: if its constructor does not take these arguments.
    """
    try:
        if name in dense_names():
            return build_dense(name, arguments)
        return torchvision_nets.build(name, arguments)
    except (TypeError, ValueError) as error:
        raise OptionError(f"--arch-args do not suit {name}: {error}") from error


def built(request: Request, make: Callable[..., nn.Module], count: str) -> Network:
    """A network from a constructor, its class count taken from the file where that is plain."""
    tensors = request.checkpoint.tensors
    arguments = dict(request.arguments)
    said: list[str] = []
    if count and count not in arguments and needs(make, count):
        # The last weight of a classifier is as long as there are classes; the fit below judges it.
        arguments[count] = next(
            (len(tensor) for tensor in reversed(list(tensors.values())) if tensor.ndim), 1
        )
        said.append(f"{count} = {arguments[count]} was read from the file.")
    module = construct(make, arguments, request.arch)
    fitted = fit(module, tensors)
    if isinstance(fitted, list) and count and count not in request.arguments:
        classes = class_count(module, tensors)
        if classes is not None:
            said = [f"{count} = {classes} was read from the file."]
            arguments[count] = classes
            module = construct(make, arguments, request.arch)
            fitted = fit(module, tensors)
    who = type(module).__name__
    if isinstance(fitted, list):
        architecture, shared = nearest(shapes_of(tensors))
        hint = "Other arguments of its constructor go into --arch-args."
        if shared > 0.5 * len(architecture.patterns):
            hint = f"Its names are nearest to torchvision's {architecture.name}."
        raise ModelError(
            f"{request.file} does not fit {who} of --arch {request.arch}: {listed(fitted)}. {hint}"
        )
    reading, notes = fitted
    pour(module, reading, request.file)
    saved = request.checkpoint.class_name
    if saved and saved.rsplit(".", 1)[-1] != who:
        said.append(f"The file names the class {saved}; {request.arch} stands in for it.")
    return Network(module, who, BY_FLAG, None, (*notes, *said), arguments)
