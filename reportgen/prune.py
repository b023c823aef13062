"""`reportgen prune`: plans, makes the smaller network, proves it, and writes it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isnan
from pathlib import Path

import torch
from torch import nn

from reportgen.errors import ChangedError, ModelError, OptionError, first_line
from reportgen.load.image_set import ImageSet
from reportgen.load.images import images_of, over_whole_images
from reportgen.load.labels import class_names, true_indices
from reportgen.load.listing import files_of
from reportgen.load.model import LoadedModel, load_model
from reportgen.load.narrowing import narrowed
from reportgen.load.preprocessing import preprocessing_for
from reportgen.load.request import BY_SHAPES, BY_TIMM
from reportgen.load.torchvision_nets import first_convolution
from reportgen.options import Options
from reportgen.probe.evidence import Evidence
from reportgen.probe.occlusion.graph import Untraceable
from reportgen.probe.probe import Probe
from reportgen.probe.pruning.decide import KINDS, Decision
from reportgen.probe.pruning.follow import unused
from reportgen.probe.pruning.plan import Plan, planned
from reportgen.probe.pruning.proof import proof
from reportgen.probe.pruning.smaller import smaller_state
from reportgen.progress import Progress
from reportgen.prune_text import plan_lines, proof_lines
from reportgen.pruned_files import check_targets, program_bytes, state_bytes, targets
from reportgen.report import pruned as record
from reportgen.report.pruned import Pruned, Source, Width
from reportgen.write import write_together


@dataclass(frozen=True)
class Pruning:
    """What is to be pruned, and how far."""

    options: Options
    "`output` is the file of weights; the other two stand beside it."
    kinds: tuple[str, ...] = KINDS
    max_drop: float = 0.0
    "Share of the answers, or of the accuracy, that may be lost."
    dry_run: bool = False


def prune(asked: Pruning, progress: Progress, say: Callable[[str], None]) -> None:
    """Takes out of a network what does nothing, and writes what is left of it.

    Args:
        asked: what is to be pruned.
        progress: told of the stages.
        say: takes each line for the user; the last is the path written, if there is one.

    Raises:
        ChangedError: if the smaller network answers otherwise, by more than was allowed.
        ReportgenError: of the kind that says what else went wrong. Nothing is written then.
    """
    options = asked.options
    check_kinds(asked.kinds)
    if isnan(asked.max_drop):
        raise OptionError("--max-drop nan: give a share between 0 and 1.")
    if not asked.dry_run:
        inputs = (options.model, *files_of(options.images))
        check_targets(options.output, inputs, force=options.force)
    loaded, images, probe, evidence = _watched(options, progress)
    if evidence.task == "detect":
        raise ModelError(
            f"{loaded.file} cannot be pruned: it gives boxes, as many as it finds, and whether the "
            "smaller network answers alike cannot be told by them."
        )
    progress.stage("Planning")
    first = next(iter(images.batches(1)))[0]
    try:
        decision, plan = planned(probe, first, evidence, asked.kinds)
    except Untraceable as error:
        raise ModelError(f"{loaded.file} cannot be pruned. {error}") from error
    for line in plan_lines(plan, len(images.files)):
        say(line)
    if not plan.going:
        which = "no unit" if asked.kinds == KINDS else f"no unit that is {' or '.join(asked.kinds)}"
        say(f"Nothing was written: {which} can go from this network without changing its answers.")
        return
    if asked.dry_run:
        say("Nothing was written (--dry-run).")
        return
    small = smaller_network(loaded.module, decision, plan)
    _prove(asked, probe, small, images, evidence, loaded, progress, say)
    progress.stage("Writing")
    architecture, preparation = _architecture(loaded, options), images.preprocessing
    content, digest = state_bytes(small)
    described = record.written(
        Pruned(
            architecture=architecture,
            arguments=loaded.pruned.arguments if loaded.pruned else loaded.arguments,
            widths=_widths(loaded, plan, architecture),
            state_dict=digest,
            preprocessing=preparation,
            labels=_known_labels(loaded, images, options, evidence.classes),
            source=Source(loaded.file, loaded.sha256),
        )
    )
    slices = () if preparation.slices is None else (preparation.slices,)
    size = (preparation.channels, *slices, preparation.height, preparation.width)
    program, note = program_bytes(small, size, described)
    for sentence in filter(None, (*_notes(loaded, decision), note)):
        say(sentence)
    weights, beside, description = targets(options.output)
    # A program of an earlier run is of another network.
    write_together({weights: content, beside: program or None, description: described})
    say(str(options.output))


def check_kinds(kinds: Collection[str]) -> None:
    """Refuses kinds that there are not.

    Raises:
        OptionError: if `--kinds` names one, or none at all.
    """
    for kind in kinds:
        if kind not in KINDS:
            close = get_close_matches(kind, KINDS, n=1, cutoff=0.0)[0]
            raise OptionError(
                f"--kinds {kind}: there is no such kind; did you mean {close}? "
                f"There are {', '.join(KINDS)}."
            )
    if not kinds:
        raise OptionError(f"--kinds names nothing; there are {', '.join(KINDS)}.")


def _watched(options: Options, progress: Progress) -> tuple[LoadedModel, ImageSet, Probe, Evidence]:
    """The network, and what it did on all images."""
    progress.stage("Loading the network")
    loaded = load_model(
        options.model,
        arch=options.arch,
        arch_args=options.arch_args,
        weights_key=options.weights_key,
    )
    progress.stage("Reading the images")
    images = images_of(options, preprocessing_for(loaded, options))
    probe = Probe(loaded.module, device=options.device, batch_size=options.batch_size)
    torch.manual_seed(options.seed)

    def watched(images: ImageSet) -> Evidence:
        progress.stage("Running the network", len(images.files))
        return probe.collect(images.batches, len(images.files), (), progress=progress.reached)

    images, evidence = over_whole_images(images, watched)
    return loaded, images, probe, evidence


def smaller_network(module: nn.Module, decision: Decision, plan: Plan) -> nn.Module:
    """A copy of a network without what goes, in evaluation mode.

    Raises:
        ModelError: if the network holds its layers in a way that cannot be narrowed.
    """
    small = narrowed(module, {path: _sizes(width) for path, width in plan.widths.items()})
    small.load_state_dict(smaller_state(decision, module), strict=True)
    return small.eval()


def _sizes(width: Width) -> Mapping[str, int]:
    sizes = {"out": width.out, "in": width.inputs, "groups": width.groups}
    return {name: size for name, size in sizes.items() if size is not None}


def _prove(
    asked: Pruning,
    probe: Probe,
    small: nn.Module,
    images: ImageSet,
    evidence: Evidence,
    loaded: LoadedModel,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    """Runs both networks, says what came of it, and refuses what changed too much."""
    options = asked.options
    labels, _ = class_names(loaded, images, options, evidence.classes)
    truth = true_indices(images, labels)
    progress.stage("Proving", len(images.files))
    smaller = Probe(small, device=options.device, batch_size=probe.batch_size)
    try:
        proven = proof(probe, smaller, images.batches, truth, progress.reached)
    except RuntimeError as error:
        # A size in the code of a network that no rule saw.
        raise ModelError(
            f"{loaded.file} cannot be pruned: the smaller network fails ({first_line(error)})."
        ) from error
    say("")
    for line in proof_lines(proven, labels, [file.path for file in images.files]):
        say(line)
    if not proven.is_identical and proven.drop > asked.max_drop:
        raise ChangedError(
            f"The smaller network answers otherwise, by more than --max-drop {asked.max_drop:g} "
            f"allows ({proven.drop:.3g}); nothing was written."
        )


def _architecture(loaded: LoadedModel, options: Options) -> str:
    """`torchvision:resnet18`, `timm:NAME`, the user's own file and class, or a program's class."""
    place, _, name = options.arch.rpartition(":")
    if loaded.pruned:
        return loaded.pruned.architecture
    if place.endswith(".py"):
        return f"{Path(place).name}:{name}"
    if place == "timm" or loaded.architecture_source == BY_TIMM:
        return f"timm:{loaded.architecture}"
    if place == "torchvision" or loaded.architecture_source == BY_SHAPES:
        return f"torchvision:{loaded.architecture}"
    # No constructor makes it: it comes back from the program that is written with it.
    return f"{loaded.file}:{loaded.architecture}".replace(":", "_", loaded.file.count(":"))


def _known_labels(
    loaded: LoadedModel, images: ImageSet, options: Options, classes: int
) -> tuple[str, ...]:
    """Class names that were stated or came with the weights: other images have other folders."""
    if not options.labels and len(loaded.labels) != classes:
        return ()
    return class_names(loaded, images, options, classes)[0]


def _widths(loaded: LoadedModel, plan: Plan, architecture: str) -> Mapping[str, Width]:
    """What differs from what the constructor makes."""
    if loaded.pruned:
        return {**loaded.pruned.widths, **plan.widths}
    widths = dict(plan.widths)
    if architecture.startswith("torchvision:") and loaded.in_channels != 3:
        # torchvision's own takes RGB.
        path = first_convolution(loaded.module)
        stem = loaded.module.get_submodule(path)
        assert isinstance(stem, nn.Conv2d)
        widths.setdefault(path, Width(stem.out_channels, stem.in_channels, stem.groups))
    return widths


def _notes(loaded: LoadedModel, decision: Decision) -> Iterator[str]:
    if loaded.dtype != "float32":
        yield f"The weights are written in float32; {loaded.file} has them in {loaded.dtype}."
    idle = unused(decision.found, loaded.module)
    if idle:
        names = f"{', '.join(idle[:3])}{' ...' if len(idle) > 3 else ''}"
        yield f"Not used in evaluation, and so left as it is: {names}."
