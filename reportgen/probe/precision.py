"""In how many bits the network computes: fp32 unless asked otherwise, for the pass over all images.

Only that pass rounds. What it gives is widened to float32 before any statistics are taken, and
everything that is asked about single images is computed in fp32.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from reportgen.errors import OptionError
from reportgen.options import Precision

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


@dataclass(frozen=True)
class Rounding:
    """How far the answers of a precision are from those in fp32, on some images."""

    images: int
    score: float
    "Largest difference of a score."
    largest: float
    "Largest size of a score, in fp32."
    probability: float
    "Largest difference of a probability."
    changed: int
    "Images whose first class is another."

    def sentence(self, precision: Precision) -> str:
        """What the page says of it."""
        return (
            f"The pass over the images ran in {precision} (--precision): convolutions and products "
            f"of matrices round their inputs to {_BITS[precision]} bits, statistics are in "
            f"float32. Measured on {self.images} pictured images against fp32: scores differ by "
            f"at most {self.score:.3g} (they reach {self.largest:.3g}), probabilities by "
            f"{self.probability:.3g}; {self.changed} of {self.images} answers change. What "
            "explains single images is computed in fp32."
        )


def rounding(probe: "Probe", images: Iterable[torch.Tensor]) -> Rounding:
    """Runs normalised images (c h w) one by one in fp32 and in the precision of the pass."""
    score = largest = probability = 0.0
    count = changed = 0
    for image in images:
        exact = probe.logits(image[None])
        with at_precision(probe.precision, probe.device):
            rounded = probe.logits(image[None])
        chances = [probe.probabilities(scores) for scores in (exact, rounded)]
        score = max(score, float((exact - rounded).abs().max()))
        largest = max(largest, float(exact.abs().max()))
        probability = max(probability, float(abs(chances[0] - chances[1]).max()))
        changed += int(exact.argmax() != rounded.argmax())
        count += 1
    return Rounding(count, score, largest, probability, changed)
