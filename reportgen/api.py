"""What a Python program may ask of reportgen: `build`, `load` and `probe`.

Nothing here imports torch before it is needed: `reportgen.load` does without.
"""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from reportgen.errors import GateError, OptionError
from reportgen.facade import Report

if TYPE_CHECKING:
    from torch import nn

    from reportgen.load.given_images import GivenImages
    from reportgen.load.model import LoadedModel
    from reportgen.probe.probe import Probe

    Network: TypeAlias = nn.Module | LoadedModel | str | os.PathLike[str]


@contextmanager
def random_kept() -> Iterator[None]:
    """Python's random numbers go on as if nothing happened: some packages draw when imported."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


@random_kept()
def build(
    model: "Network",
    images: Any,
    *,
    output: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | Sequence[str] = "",
    normalised: bool = False,
    progress: bool = False,
    **options: Any,
) -> Report:
    """Runs a network over images and says what it learned and what is wrong with it.

    The network is given back as it was found: modes, weights, buffers, gradients, random numbers.

    Args:
        model: a `torch.nn.Module`, or a model file, which is read without running anything in it.
        images: paths of files and folders; or in memory: a tensor (n c h w), a list of Pillow
            images or of tensors (c h w), or a Dataset or DataLoader of these, alone or in pairs
            with the index of their class. What is in memory is read once and kept. Tensors go into
            the network at their size, Pillow images are resized and cropped as files are. Volumes
            and videos are a tensor (n c slices h w), or a DataLoader of these.
        output: folder to write the site to at once; `Report.save` does it later.
        labels: the names of the classes, a file of them, or `imagenet`.
        normalised: whether tensors hold what the network takes; else they hold pixels, 0..1 or
            0..255 in bytes, and are normalised with `mean` and `std`.
        progress: whether to tell on standard error what is being done.
        options: all that `reportgen build` takes, by the names of `reportgen.options.Options`, such
            as `sections=["gradcam"]`, `mean=(0.5,)`, `device="cpu"`.

    Raises:
        ReportgenError: of the kind that says what is wrong with the network, images or options.
    """
    from reportgen import pipeline
    from reportgen.deadline import deadline
    from reportgen.keywords import call_of, options_from
    from reportgen.making import Source
    from reportgen.progress import Progress

    paths = image_paths(images)
    held = None if paths else held_images(images, normalised)
    if held and held.size:
        _fix_size(held.size, held.slices, options)
    names = () if isinstance(labels, (str, os.PathLike)) else tuple(labels)
    if labels and not names:
        options["labels"] = labels
    file = Path(model) if isinstance(model, (str, os.PathLike)) else Path()
    folder = None if output is None else Path(output)
    asked = options_from(file, paths, folder, options)
    source = Source(None if file.name else _network(model, options), held, names)
    more = {"labels": "labels"} if names else {}
    command = call_of(
        asked,
        repr(file.name) if file.name else "model",
        _words(paths) if paths else "images",
        more | ({"normalised": "True"} if normalised else {}),
    )
    if folder is None and (asked.single_file or asked.budget_mb):
        raise OptionError("single_file and budget_mb are of a site: give output, or use .save().")
    with Progress(quiet=not progress) as shown, deadline(asked.timeout, lambda: shown.at):
        built = pipeline.build(
            asked, shown, command=command, source=source, is_saved=folder is not None
        )
    if built.problem and not isinstance(built.problem, GateError):  # gates are for who asks
        raise built.problem
    return Report(built.report, inputs=source.inputs(asked))


def load(path: str | os.PathLike[str]) -> Report:
    """The report that was saved in a folder; needs neither the network nor torch.

    Raises:
        OptionError: if there is no report that this version can read.
    """
    from reportgen.report.store import load_report

    folder = Path(path)
    return Report(load_report(folder, pictures=True), name=folder.resolve().name)


def probe(
    model: "Network",
    *,
    device: str = "auto",
    batch_size: int = 16,
    arch: str = "",
    arch_args: str = "",
    weights_key: str = "",
) -> "Probe":
    """A network ready to be run and watched; it is given back as found after every use.

    Args:
        model: a network, or a model file, which is read without running anything in it.
        device: as PyTorch names it; `auto` is a GPU where there is one.
        batch_size: images at a time, where a method takes them in batches.
        arch: for a file: `FILE.py:NAME`, `torchvision:NAME` or `timm:NAME`; empty to recognise it.
        arch_args: keyword arguments of its constructor, as JSON.
        weights_key: which entry of a wrapped checkpoint holds the weights; empty to find it.

    Raises:
        ReportgenError: of the kind that says what is wrong with the file or the options.
    """
    from reportgen.load.model import LoadedModel, load_model
    from reportgen.probe.probe import Probe

    if isinstance(model, (str, os.PathLike)):
        model = load_model(Path(model), arch=arch, arch_args=arch_args, weights_key=weights_key)
    module = model.module if isinstance(model, LoadedModel) else model
    return Probe(module, device, batch_size)


def image_paths(images: Any) -> tuple[Path, ...]:
    """The files and folders among what was given as images; none where they are in memory."""
    if isinstance(images, (str, os.PathLike)):
        return (Path(images),)
    if isinstance(images, (list, tuple)) and any(isinstance(i, (str, os.PathLike)) for i in images):
        if not all(isinstance(image, (str, os.PathLike)) for image in images):
            raise OptionError("Give paths, or images in memory, but not both in one list.")
        return tuple(Path(image) for image in images)
    return ()


def _words(paths: Sequence[Path]) -> str:
    from reportgen.load.listing import shown_names

    names = shown_names(paths)
    return repr(names[0] if len(names) == 1 else names)


def held_images(images: Any, normalised: bool) -> "GivenImages":
    """Images in memory."""
    from reportgen.load.given_images import GivenImages, given_images

    if isinstance(images, GivenImages):  # of a callback, which reads them once
        return images
    return given_images(images, is_normalised=normalised)


def _fix_size(size: tuple[int, int], slices: int | None, options: dict[str, Any]) -> None:
    """Tensors fix the size of the input."""
    if options.get("slices") not in (None, slices):
        raise OptionError(
            "slices cannot be changed here: tensors go into the network as they are"
            + (f", {slices} slices." if slices else ", and these are pictures.")
        )
    for name in ("input_size", "crop_pct"):
        if options.get(name) not in (None, size, list(size)):
            raise OptionError(
                f"{name} cannot be changed here: tensors go into the network as they are, "
                f"{size[0]} x {size[1]}."
            )
    options["input_size"] = size


def _network(model: Any, options: dict[str, Any]) -> "LoadedModel":
    """A network in memory."""
    from torch import nn

    from reportgen.load.given_network import given_network
    from reportgen.load.model import LoadedModel

    for name in ("arch", "arch_args", "weights_key"):
        if options.get(name):
            raise OptionError(f"{name} says how to read a model file, and a network was given.")
    if isinstance(model, LoadedModel):
        return model
    if isinstance(model, nn.Module):
        return given_network(model)
    raise OptionError(
        f"The model is a {type(model).__name__}: give a torch.nn.Module or the path of a file."
    )
