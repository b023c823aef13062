"""Saves a report every so often while a network is trained; `reportgen compare` makes a timeline.

callback = ReportCallback(every=100, images="photos/", output="reports/")
for step, batch in enumerate(batches):
    ...
    callback(model, step)
"""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from reportgen.errors import OptionError, ReportgenError

if TYPE_CHECKING:
    from torch import nn

Unit = Literal["epoch", "step"]

_LIGHTNING = ("lightning.pytorch", "pytorch_lightning")
"A trainer of theirs takes callbacks of their own class only; where neither is imported, none is."


class ReportWarning(UserWarning):
    """A report could not be made, and the training goes on."""


class ReportCallback:
    """Makes reports of a network in training, and leaves the training as it would be without.

    In a loop of your own, call it with the network and the step, or `on_epoch_end` with the epoch.
    Where Lightning was imported before, it is a callback for its `Trainer` as well.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """An instance of Lightning's class as well, where that is imported."""
        modules = (sys.modules.get(name) for name in _LIGHTNING)
        theirs = [module.Callback for module in modules if module is not None]
        if theirs and not issubclass(cls, tuple(theirs)):
            cls = type(cls.__name__, (cls, *theirs), {"__doc__": cls.__doc__})
        return object.__new__(cls)

    def __init__(
        self,
        *,
        images: Any,
        output: str | os.PathLike[str],
        every: int = 1,
        unit: Unit = "epoch",
        network: "Callable[[nn.Module], nn.Module] | None" = None,
        labels: str | os.PathLike[str] | Sequence[str] = "",
        normalised: bool = False,
        log: str | Sequence[str] = (),
        **options: Any,
    ) -> None:
        """A callback; nothing is run yet.

        Args:
            images: as for `reportgen.build`; those in memory are read now, once.
            output: folder in which each report gets one of its own, such as `step-000100`.
            every: how many steps or epochs lie between reports.
            unit: what Lightning is followed by; a loop of your own says it by what it calls.
            network: picks the classifier out of what is trained; None for the whole.
            labels: as for `reportgen.build`.
            normalised: as for `reportgen.build`.
            log: services that each report is logged to, with its step.
            options: as for `reportgen.build`, such as `sections=["occlusion"]`.

        Raises:
            OptionError: if an option makes no sense.
            ImageError: if there is no image.
        """
        from reportgen.api import held_images, image_paths
        from reportgen.keywords import options_from
        from reportgen.loggers import check_services

        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise OptionError(f"every is {every!r}; it must be a whole number, at least 1.")
        if unit not in ("epoch", "step"):
            raise OptionError(f"unit is one of epoch, step, not {unit!r}.")
        options_from(Path(), (), None, options)
        self._services = (log,) if isinstance(log, str) else tuple(log)
        check_services(self._services)
        self._images = images if image_paths(images) else held_images(images, normalised)
        self._output, self._every, self._unit = Path(output), every, unit
        self._network = network or (lambda module: module)
        self._options = {**options, "labels": labels, "normalised": normalised}
        self._last: tuple[str, int] | None = None
        self.saved: list[Path] = []
        "Folders of the reports made so far, in order: what `reportgen compare` takes."

    def __call__(self, model: "nn.Module", step: int) -> Path | None:
        """Makes a report if it is time.

        Returns:
            Its folder; None where none was made.

        Raises:
            OptionError: if an option or image does not fit the network. What else goes wrong is a
                `ReportWarning`, for a training is worth more than a report of it.
        """
        return self._made(model, "step", step)

    def on_epoch_end(self, model: "nn.Module", epoch: int) -> Path | None:
        """Makes a report if it is time, as a call does, with the count of epochs."""
        return self._made(model, "epoch", epoch)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Lightning's hook at the end of an epoch."""
        if self._unit == "epoch" and trainer.is_global_zero:
            self._made(pl_module, "epoch", trainer.current_epoch + 1)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Lightning's hook at the end of a batch."""
        if self._unit == "step" and trainer.is_global_zero:
            self._made(pl_module, "step", trainer.global_step)

    def _made(self, model: "nn.Module", unit: str, count: int) -> Path | None:
        # Several batches are one step where gradients are accumulated.
        if count % self._every or self._last == (unit, count):
            return None
        self._last = (unit, count)
        from reportgen.api import build, random_kept

        network = self._network(model)
        folder = self._output / f"{unit}-{count:06d}"
        options = {"title": f"{type(network).__name__}, {unit} {count}", **_device(network)}
        try:
            report = build(network, self._images, output=folder, **{**options, **self._options})
        except OptionError:
            raise
        except ReportgenError as problem:
            told = f"There is no report of {unit} {count}: {problem}"
            warnings.warn(told, ReportWarning, stacklevel=3)
            return None
        self.saved.append(folder)
        try:
            with random_kept():
                report.log(*self._services, step=count, name=self._output.name)
        except ReportgenError as problem:
            told = f"The report of {unit} {count} was not logged: {problem}"
            warnings.warn(told, ReportWarning, stacklevel=3)
        return folder


def _device(network: "nn.Module") -> dict[str, str]:
    """Where the network lies: it is neither moved nor copied."""
    first = next(network.parameters(), None)
    return {} if first is None else {"device": str(first.device)}
