"""Runs the network over the images, once, and keeps what it saw: the only way to run it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reportgen.errors import OptionError, ResourceError
from reportgen.options import Asked, Precision, Task
from reportgen.probe.answers import Answers, logits_in, probabilities, weights_are_finite
from reportgen.probe.blame import blamed
from reportgen.probe.borrow import borrowed
from reportgen.probe.capture import Captured, Targets, capture
from reportgen.probe.channels_last import ChannelsLast
from reportgen.probe.class_correlation import correlations_of
from reportgen.probe.collector import Choice, Collector
from reportgen.probe.device import device_named
from reportgen.probe.evidence import Evidence
from reportgen.probe.gradients import Slopes, Spot, slopes
from reportgen.probe.passing import Batches, Keeper, Team, first_of, passed
from reportgen.probe.precision import at_precision, check_precision
from reportgen.probe.seen import Seen
from reportgen.probe.selection import matching
from reportgen.probe.trace import Trace, trace
from reportgen.probe.watch import Watch

Result = TypeVar("Result")
Progress: TypeAlias = Callable[[int, int], None]
"Called with the number done and the number in all."

OBSERVED = ("conv", "norm", "activation", "pool", "linear")
"Kinds of calls that statistics and pictures are kept of."


class Probe:
    """A network ready to be run and watched.

    The network itself is used where it lies on the chosen device already, and a copy elsewhere. It
    is given back as it was found after every method, also after an error or Ctrl-C (see
    `borrowed`).
    """

    def __init__(
        self,
        module: nn.Module,
        device: str = "auto",
        batch_size: int = 16,
        precision: Precision = "fp32",
    ) -> None:
        """Makes the network ready.

        Args:
            module: takes (b c h w), or volumes (b c slices h w), gives scores (b classes).
            device: as PyTorch names it; `auto` is a GPU where there is one.
            batch_size: images at a time; halved when memory runs out.
            precision: in which `collect` runs the network.

        Raises:
            OptionError: if there is no such device, it has no such precision, or the batch size is
                not positive.
        """
        if batch_size < 1:
            raise OptionError(f"The batch size is {batch_size}; it must be at least 1.")
        self.device = device_named(device)
        check_precision(precision, self.device)
        self.precision: Precision = precision
        self.batch_size = batch_size
        self.task: Task = "classify"
        self.gives_probabilities = False
        self.traced: Trace | None = None  # `collect` finds these three out
        self._channels_last = ChannelsLast()
        self._is_borrowed = False
        tensors = [*module.parameters(), *module.buffers()]
        is_there = all(tensor.device == self.device for tensor in tensors)
        self._module = module if is_there else deepcopy(module).to(self.device)
        self._dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)

    @property
    def device_name(self) -> str:
        """What the network runs on, as the report calls it."""
        is_gpu = self.device.type == "cuda"
        return torch.cuda.get_device_name(self.device) if is_gpu else self.device.type

    @contextmanager
    def borrow(self) -> Iterator[None]:
        """Borrows the network for many uses: quicker than once for each."""
        if self._is_borrowed:
            yield
            return
        with borrowed(self._module):
            self._is_borrowed = True
            try:
                yield
            finally:
                self._is_borrowed = False

    def logits(self, batch: torch.Tensor) -> torch.Tensor:
        """Scores (b classes), float32 on the CPU, of normalised images (b c h w).

        Raises:
            ResourceError: if one image alone does not fit the memory.
        """
        with self.borrow():
            return torch.cat(list(self.in_parts(batch, self._scores)))

    def probabilities(self, logits: torch.Tensor) -> NDArray[np.float64]:
        """Probability of every class (b classes) for scores that the network gave."""
        return probabilities(logits, self.gives_probabilities, self.task)

    def trace(self, image: torch.Tensor) -> Trace:
        """Follows one normalised image (c h w), or volume, through the network, call by call.

        Raises:
            ModelError: if the network cannot take the image, or gives no scores per class.
            ResourceError: if the image does not fit the memory.
        """
        with self.lent(image[None]) as (module, moved):
            return trace(module, moved[0])

    def slopes(
        self, image: torch.Tensor, spots: Collection[Spot], classes: Sequence[int]
    ) -> Mapping[Spot, Slopes]:
        """Values at `spots` and the gradients of the scores of `classes`, for one image (c h w).

        Raises:
            ModelError: if no gradient can be taken through the network.
            ResourceError: if the image does not fit the memory.
        """
        with self.lent(image) as (module, moved):
            return slopes(module, moved, spots, classes)

    def capture(
        self,
        images: torch.Tensor,
        layers: Sequence[str],
        *,
        gradients: bool = False,
        targets: Targets = None,
    ) -> Mapping[str, Captured]:
        """What layers read and give for some images, and the gradients of their scores with it.

        All images go through the network at once, and nothing stays hooked afterwards.

        Args:
            images: normalised, (b c h w), (c h w), or volumes (b c slices h w).
            layers: globs over names of calls, as `features.3`, `layer4.*` or `relu#2`; or the exact
                name of a module that holds others, as `layer4`.
            gradients: whether to take the gradient of each image's target score as well.
            targets: the class to explain, one for all images or one an image; None for the class
                that the network says.

        Returns:
            By name of the call.

        Raises:
            ModelError: if the network cannot take the images, or no gradient can be taken.
            OptionError: if there is no such layer or class, or not one target for each image.
            ResourceError: if the images do not fit the memory.
        """
        if images.ndim not in (3, 4, 5) or not len(images):
            shape = tuple(images.shape)
            raise OptionError(
                f"The images are {shape}; give (b c h w), normalised, or (c h w), and volumes as "
                "(b c slices h w)."
            )
        names = [layers] if isinstance(layers, str) else list(layers)
        with self.lent(images[None] if images.ndim == 3 else images) as (module, moved):
            return capture(module, moved, names, targets, gradients=gradients)

    @contextmanager
    def lent(
        self, images: torch.Tensor, first: int | None = None
    ) -> Iterator[tuple[nn.Module, torch.Tensor]]:
        """Lends the borrowed network, and images copied to its device, to write to.

        They are (b c h w), (c h w), or volumes (b c slices h w).

        For what only `probe/` may do: run the network in another way than this class does. Where
        it fails, `first` says which image is the first of these.

        Raises:
            ModelError: if the network's own code fails inside.
            ResourceError: if the memory is too small for what is done inside.
        """
        with self.borrow(), blamed(images, first, self.device):
            is_pinned = images.is_pinned()  # then nobody waits for the copy
            yield self._module, images.to(self.device, self._dtype, is_pinned, copy=True)

    def collect(
        self,
        batches: Batches,
        n_images: int,
        pictured: Collection[int],
        *,
        keep_arrays: bool = False,
        layers: Sequence[str] = (),
        task: Asked = "auto",
        correlated: Choice | None = None,
        progress: Progress | None = None,
        keeper: Keeper | None = None,
        team: Team | None = None,
        traced: Trace | None = None,
    ) -> Evidence:
        """Runs all images once: statistics of every call, pictures of some images, and the answers.

        Args:
            batches: gives the images.
            n_images: how many there are.
            pictured: indices of the images whose activations are kept as pictures.
            keep_arrays: whether to keep the whole activations of these images as well.
            layers: globs over call names; statistics and pictures are kept of matching calls only.
            task: what the output means.
            correlated: chooses calls whose units are correlated with the scores of the classes.
            progress: told of the images done.
            keeper: keeps the state every so often, and has it where a run before this one ended.
            team: processes that share the images.
            traced: the calls, where they are known; None to follow the first image.

        Raises:
            ImageError: if there is no image.
            ModelError: if the network cannot take the images, or gives no scores per class.
            OptionError: if a glob matches no call, the output is not of that task, or what the
                keeper has is of another run.
            ResourceError: if one image alone does not fit the memory.
        """
        with self.borrow():
            if traced is None:
                first = first_of(batches)
                traced = self.trace(first[0])
                with self.lent(first[:1]) as (net, image):
                    self._channels_last.try_on(net, image, traced.scores)
            self.traced = traced
            wanted = matching([call.key for call in traced.calls], layers)
            calls = [one for one in traced.calls if one.kind in OBSERVED and one.key in wanted]
            known, ends = traced.arrangements, traced.ends_in_sigmoid
            observed = {call.key: known[call.key] for call in calls if call.key in known}
            chosen = list(correlated(traced.calls, traced.classes, observed) if correlated else ())
            is_sound = weights_are_finite(self._module, calls)

            def empty(images: int) -> Seen:
                correlations = correlations_of(chosen, traced.classes)
                answers = Answers(images, traced.classes, ends, is_sound, task, traced.form)
                return Seen(traced, observed, correlations, pictured, answers)

            def watched(seen: Seen, part: torch.Tensor, offset: int) -> Collector:
                kept = {i: offset + i for i in range(len(part)) if offset + i in seen.pictures}
                mapped, averaged = seen.strongest, seen.correlations
                collector = Collector(
                    observed, len(part), kept, keep_arrays, mapped, offset, averaged
                )
                with (
                    self.lent(part, offset) as (module, moved),
                    at_precision(self.precision, self.device),
                    Watch(module, collector),
                ):
                    arranged_images = self._channels_last.arranged(module, moved)
                    collector.logits = logits_in(module(arranged_images), len(part))
                return collector

            seen = passed(self, batches, n_images, empty, watched, progress, keeper, team)
        self.gives_probabilities, self.task = seen.answers.are_probabilities, seen.answers.task
        return seen.evidence(traced)

    def _scores(self, part: torch.Tensor, _: int) -> torch.Tensor:
        with self.lent(part) as (module, moved):
            return logits_in(module(self._channels_last.arranged(module, moved)), len(part))

    def in_parts(
        self, batch: torch.Tensor, run: Callable[[torch.Tensor, int], Result], offset: int = 0
    ) -> Iterator[Result]:
        """Runs a batch in parts no larger than the batch size, which halves when memory runs out.

        Args:
            batch: (b c h w)
            run: takes a part and the index of its first image, and gives it to `lent`.
            offset: index of the batch's first image.

        Raises:
            ResourceError: if one image alone does not fit the memory.
        """
        start = 0
        while start < len(batch):
            part = batch[start : start + self.batch_size]
            try:
                result = run(part, offset + start)
            except ResourceError:
                if len(part) == 1:
                    raise
                self.batch_size = len(part) // 2
            else:
                start += len(part)
                yield result
                continue
            # Outside of the handler: there the error still holds the tensors of its frames.
            torch.cuda.empty_cache()
