"""Which pixels one position of a layer can see, followed operation by operation [araujo2019].

Each direction (down, across) is followed on its own as a `Span`. Positions at the border see less
than the span says: the part of it that lies in the padding is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reportgen.report.records import ReceptiveField


@dataclass(frozen=True)
class Span:
    """Position i sees the pixels from `start + i * step` to `start + i * step + size - 1`."""

    size: int
    start: int
    step: int
    "0 where all positions see the same pixels, as after a squeeze-and-excitation gate."
    stride: int
    "Pixels between neighbouring positions of the grid; the same as `step` until that becomes 0."


PIXEL = Span(size=1, start=0, step=1, stride=1)


def windowed(
    span: Span | None, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Span | None:
    """What a sliding window over positions sees: convolution and pooling."""
    if span is None:
        return None
    return Span(
        size=span.size + (kernel - 1) * dilation * span.step,
        start=span.start - padding * span.step,
        step=span.step * stride,
        stride=span.stride * stride,
    )


def gathered(span: Span | None, positions: int, pixels: int) -> Span:
    """What a sum over all positions sees, also where it is then shared out to them again.

    Args:
        span: of one position; where it is not known, all positions together are taken to see all.
        positions: number of positions summed over.
        pixels: length of the image.
    """
    if span is None:
        return Span(size=pixels, start=0, step=0, stride=0)
    return replace(span, size=span.size + (positions - 1) * span.step, step=0)


def joined(spans: Sequence[Span | None], pixels: int) -> Span | None:
    """What a sum or a concatenation sees; None where the grids do not agree.

    Args:
        spans: of the operands.
        pixels: length of the image.
    """
    known = [span for span in spans if span is not None]
    is_all_seen = any(
        not span.step and span.start <= 0 and span.start + span.size >= pixels for span in known
    )
    if not known or (len(known) < len(spans) and not is_all_seen):
        return None
    moving = [span for span in known if span.step]
    fixed = [span for span in known if not span.step]
    strides = {span.stride for span in moving or fixed}
    if len(strides) > 1 and moving:
        return None
    # A fixed operand has gathered all positions, so it holds what the moving ones see.
    leading = fixed or moving
    start = min(span.start for span in leading)
    end = max(span.start + span.size for span in leading)
    return Span(end - start, start, leading[0].step, max(strides))


def record(
    down: Span | None,
    across: Span | None,
    image: tuple[int, int],
    positions: tuple[int, int] | None,
) -> ReceptiveField | None:
    """The receptive field as the report states it.

    Args:
        down: what is seen from top to bottom.
        across: what is seen from left to right.
        image: height and width of the image in pixels.
        positions: height and width of the map; None where positions are no grid.
    """
    if down is None or across is None:
        return None
    spans = [down, across]
    if positions is not None:
        spans = [
            span if n > 1 else replace(span, stride=0)
            for span, n in zip(spans, positions, strict=True)
        ]
    counts = positions or (1, 1)
    covers = all(
        span.start + (n - 1) * span.step <= 0 and span.start + span.size >= pixels
        for span, n, pixels in zip(spans, counts, image, strict=True)
    )
    return ReceptiveField(
        size=(down.size, across.size),
        stride=(spans[0].stride, spans[1].stride),
        start=(down.start, across.start),
        covers_image=covers,
    )
