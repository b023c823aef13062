"""Everything a build can be told, in one frozen place."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias

Fill: TypeAlias = Literal["mean", "gray", "black", "blur"]

SERVICES = ("tensorboard", "wandb")
"What a report can be logged to; each is also the name of its package and of the extra for it."

Engine: TypeAlias = Literal["exact", "fast", "plain"]
"How occlusion is computed: only what a window changes, that in bfloat16, or every image in full."

Precision: TypeAlias = Literal["fp32", "tf32", "bf16", "fp16"]
"What convolutions and products of matrices round their inputs to in the pass over the images."


Task: TypeAlias = Literal["classify", "multilabel", "regress", "segment", "detect"]
"""What a network's output means: one class of several, several classes at once, values, a map of
scores for each class, or boxes around objects."""

Asked: TypeAlias = Literal["auto", "classify", "multilabel", "regress", "segment", "detect"]
"The same as it is asked for: `auto` finds it out."


@dataclass(frozen=True)
class Options:
    """One build, as asked for on the command line, else by its default."""

    model: Path
    images: tuple[Path, ...]
    output: Path = Path("report")
    title: str = ""
    # the network
    arch: str = ""
    "`FILE.py:NAME`, `torchvision:NAME`, `timm:NAME`; empty to recognise it from the file."
    arch_args: str = ""
    "Keyword arguments of the constructor, as JSON."
    weights_key: str = ""
    "Which entry of a wrapped checkpoint holds the weights; empty to find it."
    task: Asked = "auto"
    "What its output means; `auto` to find it out."
    # the images
    labels: str = ""
    "A file with one class name a line, or `imagenet`."
    input_size: tuple[int, int] | None = None
    "(height, width)"
    crop_pct: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    slices: int | None = None
    "Slices of volumes or frames of videos that the network is given."
    max_pixels: int = 64_000_000
    "Pixels that a file may have; larger ones are skipped before they are unpacked."
    follow_links: bool = False
    "Whether links that lead out of a folder, or to a folder, are followed."
    max_images: int = 10
    "Images that get a page; statistics use all of them."
    # the analysis
    target: str = ""
    "Class to explain, by index or name; empty for the true class, else the predicted one."
    layers: tuple[str, ...] = ()
    "Globs over layer names; empty for all."
    sections: tuple[str, ...] = ()
    "Names of the sections to make; empty for all."
    exclude: tuple[str, ...] = ()
    "Names of sections to leave out."
    cam_layer: str = ""
    "Layer whose output class activation maps are drawn at; empty to choose by stage."
    occlusion_window: tuple[int, int] = (0, 0)
    "(height, width) in pixels; zeros for a seventh of the input, 32 at 224."
    occlusion_stride: tuple[int, int] = (0, 0)
    "(down, across) in pixels; zeros for half the window."
    occlusion_fill: Fill = "mean"
    occlusion_engine: Engine = "exact"
    visualise: int = 2
    "Units of each stage that get an optimised picture; 0 for none."
    visualise_also: tuple[str, ...] = ()
    "More of them by name: `features.3:12` for a unit, `class:tabby` for a class."
    save_arrays: bool = False
    seed: int = 0
    # the run
    device: str = "auto"
    batch_size: int = 16
    workers: int | None = None
    "Threads that decode images ahead of the network. None for the processors left free, to 16."
    timeout: float | None = None
    "Seconds after which a build that is not done is ended. None for as long as it takes."
    threads: int = 2
    "Of PyTorch on the processor: some sums take another order with another number of them."
    precision: Precision = "fp32"
    "Of the pass over the images; single images are explained in fp32."
    resume: bool = False
    "Whether to go on where a run that was killed left off."
    checkpoint_every: float = 300.0
    "Seconds of the pass over the images after which its state is kept, for such a run."
    # the outcome
    force: bool = False
    strict: bool = False
    fail_on: tuple[str, ...] = ()
    "Conditions that fail the build, in the language of docs/gates.md."
    summary_file: Path | None = None
    "Where the report is summed up in Markdown."
    summary_base: str = ""
    "Address that the site will have, which makes links of the summary's findings."
    log: tuple[str, ...] = ()
    "Services that pictures, histograms and numbers are logged to: `tensorboard`, `wandb`."
    single_file: Path | None = None
    "Where the report stands once more, in one HTML file."
    budget_mb: float | None = None
    "Megabytes that the site may take: feature maps are left out until it fits. None for any size."

    def changed(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The options that differ from their defaults, as (name, words)."""
        for option in fields(self):
            value = getattr(self, option.name)
            if value != option.default and option.name in _SHAPING:
                yield option.name, self._words(option.name)

    def digest(self) -> str:
        """SHA-256 of all options that shape a report, without the folders of this machine."""
        words = {name: self._words(name) for name in sorted(_SHAPING)}
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()

    def read_beside(self) -> tuple[Path, ...]:
        """The files beside the model and the images that say what is in a report."""
        code, _, _ = self.arch.rpartition(":")
        found = [Path(code).expanduser()] if code.endswith(".py") else []
        if self.labels and self.labels.lower() != "imagenet":
            found.append(Path(self.labels))
        return tuple(found)

    def _words(self, name: str) -> tuple[str, ...]:
        """The value of an option as words, files by their names alone."""
        value = getattr(self, name)
        if name == "arch" and ".py:" in value:
            value = value.replace("\\", "/").rsplit("/", 1)[-1]
        if name == "labels":
            value = Path(value).name
        if isinstance(value, bool):
            return () if value else ("no",)
        return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)


# Where a report is written, and how hard we try, does not change what is in it. The model and the
# images are told of by their own records.
_SHAPING = {option.name for option in fields(Options)} - (
    {"model", "images", "output", "force", "strict", "summary_file", "summary_base"}
    | {"single_file", "log", "timeout", "workers", "resume", "checkpoint_every"}
)
