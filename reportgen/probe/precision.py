"""In how many bits the network computes: fp32 unless asked otherwise, for the pass over all images.

Only that pass rounds. What it gives is widened to float32 before any statistics are taken, and
everything that is asked about single images is computed in fp32.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from reportgen.errors import OptionError
from reportgen.options import Precision
from reportgen.report.tasks import SAID, chooses_none

if TYPE_CHECKING:
    from reportgen.probe.probe import Probe

_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BITS = {"tf32": 11, "bf16": 8, "fp16": 11}
"Of the fraction, the leading one included; fp32 has 24."


def check_precision(precision: Precision, device: torch.device) -> None:
    """Refuses a precision that the device does not have.

    Raises:
        OptionError: if it has not.
    """
    has_it = precision == "fp32" or device.type == "cuda" or precision != "tf32"
    if has_it and device.type == "cuda" and precision in ("tf32", "bf16"):
        has_it = torch.cuda.get_device_capability(device) >= (8, 0)
    if not has_it:
        raise OptionError(
            f"--precision {precision}: {device} has no such arithmetic; leave it out for fp32"
            f"{', or give bf16' if device.type != 'cuda' else ''}."
        )


@contextmanager
def at_precision(precision: Precision, device: torch.device) -> Iterator[None]:
    """Convolutions and products of matrices round their inputs so inside, and others do not."""
    with ExitStack() as stack:
        stack.enter_context(_float32_products("tf32" if precision == "tf32" else "ieee"))
        if half := _HALVES.get(precision):
            stack.enter_context(torch.autocast(device.type, dtype=half))
        yield


@contextmanager
def _float32_products(kind: str) -> Iterator[None]:
    """On NVIDIA's GPUs: PyTorch by itself rounds the inputs of convolutions to 11 bits there."""
    places: tuple[Any, ...] = (
        torch.backends.cudnn.conv,  # type: ignore[attr-defined]
        torch.backends.cudnn.rnn,
        torch.backends.cuda.matmul,
    )
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = kind
        yield
    finally:
        for place, known in zip(places, before, strict=True):
            place.fp32_precision = known


def rounding_of(precision: Precision) -> str:
    """What the page says of a precision, before any measurement."""
    return (
        f"The pass over the images ran in {precision} (--precision): convolutions and products of "
        f"matrices round their inputs to {_BITS[precision]} bits, statistics are in float32."
    )


@dataclass(frozen=True)
class Rounding:
    """How far the answers of a precision are from those in fp32, on some images."""

    images: int
    score: float
    "Largest difference of a score, or of a value."
    largest: float
    "Largest size of one, in fp32."
    probability: float | None
    "Largest difference of a probability; None of values, which have none."
    changed: int | None
    "Images whose first class is another, or other classes are said; None of values."

    def sentence(self, precision: Precision) -> str:
        """What the page says of it."""
        if self.probability is None:
            what, rest = "values", ""
        else:
            what = "scores"
            rest = f", probabilities by {self.probability:.3g}; {self.changed} of {self.images} "
            rest += "answers change"
        return (
            f"{rounding_of(precision)} Measured on {self.images} pictured images against fp32: "
            f"{what} differ by at most {self.score:.3g} (they reach {self.largest:.3g}){rest}. "
            "What explains single images is computed in fp32."
        )


def rounding(probe: "Probe", images: Iterable[torch.Tensor]) -> Rounding:
    """Runs normalised images (c h w), at least one, in fp32 and in the precision of the pass."""
    differences, sizes, chances = [], [], []
    changed = 0
    for image in images:
        exact = probe.logits(image[None])
        with at_precision(probe.precision, probe.device):
            rounded = probe.logits(image[None])
        before, after = (probe.probabilities(scores) for scores in (exact, rounded))
        differences.append(float((exact - rounded).abs().max()))
        sizes.append(float(exact.abs().max()))
        chances.append(float(abs(before - after).max()))
        if chooses_none(probe.task, exact.shape[1]):
            changed += int(((before > SAID) != (after > SAID)).any())
        else:
            changed += int(exact.argmax() != rounded.argmax())
    # Unlike max(), these keep a NaN: what is not finite in one precision is no small difference.
    score, largest, probability = (float(np.max(each)) for each in (differences, sizes, chances))
    if probe.task == "regress":
        return Rounding(len(sizes), score, largest, None, None)
    return Rounding(len(sizes), score, largest, probability, changed)
